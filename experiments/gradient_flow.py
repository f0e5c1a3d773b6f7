"""How gradients of untrained recurrent cells vanish and explode with distance in time.

    python -m experiments.gradient_flow --folder=runs/gradient_flow

A layer of each cell reads random tokens. Drawn is the norm of the derivative of the last step's
loss by the input of the layer, at each distance. Writes gradient_flow.png and gradient_flow.json.
docs/looking.md has the picture and what it shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command
from seqmodels.config.recurrent import RecurrentConfig

WIDTH, VOCAB = 64, 32
TITLES = {
    "tanh RNN, uniform +-1": {"cell": "rnn", "uniform_init": 1.0},
    "tanh RNN, uniform +-1/8": {"cell": "rnn", "uniform_init": 0.125},
    "tanh RNN, orthogonal": {"cell": "rnn"},
    "ReLU RNN, orthogonal": {"cell": "rnn_relu"},
    "IRNN (identity)": {"cell": "irnn"},
    "LSTM, forget bias 0": {"cell": "lstm", "forget_bias": 0.0},
    "LSTM, forget bias 1": {"cell": "lstm"},
    "LSTM, chrono": {"cell": "lstm", "chrono_length": True},
    "GRU": {"cell": "gru"},
    "GRU, chrono": {"cell": "gru", "chrono_length": True},
}


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("folder", "runs/gradient_flow", "folder to write to", flag_values=values)
    flags.DEFINE_integer("length", 100, "steps of the sequence", 10, flag_values=values)
    program.define_json(values)


def run(arguments: Arguments) -> int:
    from seqmodels.files import save_figure
    from seqmodels.look.figures import draw_lines
    from seqmodels.look.gradients import decay_rate
    from seqmodels.runs.workdir import write_json

    length, folder = arguments.flags.length, Path(arguments.flags.folder).expanduser()
    norms = {title: measure(settings, length) for title, settings in TITLES.items()}
    curves: dict[str, Any] = {title: (np.arange(length), norm) for title, norm in norms.items()}
    label = "norm of the gradient by the input of the layer"
    figure = draw_lines(curves, "distance (steps)", label, "untrained cells", yscale="log")
    picture = save_figure(figure, folder / "gradient_flow.png")
    rates = {title: decay_rate(norm) for title, norm in norms.items()}
    found = {
        "length": length,
        "width": WIDTH,
        "factor_per_step": rates,
        "share_left": {title: float(norm[-1] / norm[0]) for title, norm in norms.items()},
    }
    write_json(folder / "gradient_flow.json", found)
    program.answer(arguments, found, json.dumps(found, indent=1))
    program.say(f"written to {picture}")
    return program.DONE


def measure(settings: dict[str, Any], length: int) -> np.ndarray:
    """The gradient's norms by distance [T], of an untrained layer on random tokens."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    from seqmodels.look.gradients import make_gradient_norms
    from seqmodels.look.inside import look_inside
    from seqmodels.models.build import build_model
    from seqmodels.models.initialize import init_params
    from seqmodels.protocols import Example
    from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput

    given: dict[str, Any] = {k: length if k == "chrono_length" else v for k, v in settings.items()}
    config = RecurrentConfig(num_layers=1, model_dim=WIDTH, hidden_dim=WIDTH, **given)
    model = build_model(config, DataSpec(TokenInput(VOCAB), VocabOutput(VOCAB)))
    params = jax.jit(lambda key: nn.unbox(init_params(model, key)))(jax.random.key(0))
    # As large as the inputs of a trained network: of a standard deviation of 1.
    table = params["embedding"]["table"]
    params = {**params, "embedding": {"table": table / jnp.std(table)}}
    tokens = np.random.default_rng(0).integers(0, VOCAB, (1, length)).astype(np.int32)
    labels = list(map(str, tokens[0]))
    batch = Batch(tokens, np.roll(tokens, -1, axis=1), np.ones(tokens.shape, np.float32))
    inside = look_inside(model, params, Example(batch, labels, targets=labels))
    (norms,) = make_gradient_norms(inside)(params).values()
    return norms


COMMAND = Command("gradient_flow", __doc__ or "", run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
