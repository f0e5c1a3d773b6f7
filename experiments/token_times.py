"""Time of a new token by the length of the text before it: recurrence against a cache.

    python -m experiments.token_times --folder=runs/token_times

Untrained models of similar size continue a text, one row, greedily. An LSTM and Aaren, whose
attention is a recurrence, keep a state of one size; a GPT keeps the keys and values of all tokens,
and reads them for each new one. Drawn is the time of a token relative to that of the LSTM after the
shortest text. Writes token_times.png and token_times.json. docs/evaluation.md has the picture.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import AarenConfig, GPTConfig

VOCAB, WIDTH, SHORTEST = 256, 256, 64
CONFIGS: dict[str, Callable[[int], ModelConfig]] = {
    "LSTM": lambda _: RecurrentConfig(num_layers=4, model_dim=WIDTH, hidden_dim=WIDTH),
    "Aaren": lambda _: AarenConfig(num_layers=3, model_dim=WIDTH, num_heads=4, mlp_dim=4 * WIDTH),
    "GPT with its cache": lambda length: GPTConfig(
        num_layers=3, model_dim=WIDTH, num_heads=4, mlp_dim=4 * WIDTH, max_length=length
    ),
}
_NEW, _ROUNDS = 32, 30


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("folder", "runs/token_times", "folder to write to", flag_values=values)
    flags.DEFINE_integer("longest", 8192, "tokens of the longest text", 128, flag_values=values)
    program.define_json(values)


def run(arguments: Arguments) -> int:
    from seqmodels.files import save_figure
    from seqmodels.look.figures import draw_lines
    from seqmodels.runs.workdir import write_json

    longest, folder = arguments.flags.longest, Path(arguments.flags.folder).expanduser()
    lengths = [n for n in (SHORTEST << i for i in range(32)) if n <= longest]
    found = measure(lengths)
    unit = found["LSTM"]["seconds"][0]
    for values in found.values():
        values["times"] = [seconds / unit for seconds in values.pop("seconds")]
    curves = {n: (np.array(lengths), np.array(v["times"])) for n, v in found.items()}
    label = "time of a token (LSTM after the shortest text = 1)"
    words = ("tokens before it", label, "one row, greedy")
    figure = draw_lines(curves, *words, yscale="log")
    figure.axes[0].set_xscale("log", base=2)
    picture = save_figure(figure, folder / "token_times.png")
    found = {"lengths": lengths, "models": found}
    write_json(folder / "token_times.json", found)
    program.answer(arguments, found, json.dumps(found, indent=1))
    program.say(f"written to {picture}")
    return program.DONE


def measure(lengths: list[int]) -> dict[str, dict[str, Any]]:
    """Seconds of a token, and bytes of the state, after texts of these lengths; and parameters.

    All models and lengths take turns, so that other programs of the machine disturb all of them.
    """
    cells = {name: [prepare(make, n) for n in lengths] for name, make in CONFIGS.items()}
    best = {name: [math.inf] * len(lengths) for name in cells}
    for _ in range(_ROUNDS):
        for name, prepared in cells.items():
            for n, (proceed, _) in enumerate(prepared):
                started = time.perf_counter()
                proceed()
                best[name][n] = min(best[name][n], (time.perf_counter() - started) / _NEW)
    return {
        name: {
            "seconds": best[name],
            "state_bytes": [facts["state_bytes"] for _, facts in prepared],
            "parameters": prepared[-1][1]["parameters"],
        }
        for name, prepared in cells.items()
    }


def prepare(
    make: Callable[[int], ModelConfig], length: int
) -> tuple[Callable[[], Any], dict[str, int]]:
    """A program that continues a text by some tokens; bytes of its state, and of parameters the
    number."""
    import flax.linen as nn
    import jax

    from seqmodels.decoding.prefill import Prefill
    from seqmodels.decoding.unroll import unroll
    from seqmodels.models.build import build_model
    from seqmodels.models.initialize import init_params
    from seqmodels.types import DataSpec, TokenInput, VocabOutput

    model = build_model(make(length + _NEW), DataSpec(TokenInput(VOCAB), VocabOutput(VOCAB)))
    params = jax.jit(lambda key: nn.unbox(init_params(model, key)))(jax.random.key(0))
    text = np.random.default_rng(0).integers(0, VOCAB, length).astype(np.int32)
    carry, logits = Prefill(model)(params, [text], length + _NEW)
    choose = lambda logits, index, state: (logits.argmax(axis=-1).astype(np.int32), state)
    decode = jax.jit(functools.partial(unroll, model, choose=choose, state=None, count=_NEW))
    first = logits.argmax(axis=-1).astype(np.int32)
    proceed = lambda: jax.block_until_ready(decode(params, carry, first))
    proceed()
    size = sum(x.nbytes for x in jax.tree.leaves(carry))
    return proceed, {
        "state_bytes": size,
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
    }


COMMAND = Command("token_times", __doc__ or "", run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
