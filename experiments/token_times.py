"""Time of a new token by the length of the text before it: recurrence against a cache.

    python -m experiments.token_times --folder=runs/token_times

Untrained models of similar size continue a text, one row, greedily. A recurrent model keeps a state
of one size; a GPT keeps the keys and values of all tokens, and reads them for each new one. Drawn
is the time of a token relative to that of the LSTM after the shortest text. Writes token_times.png
and token_times.json. docs/evaluation.md has the picture.
"""

from __future__ import annotations

import functools
import json
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
from seqmodels.config.transformers import GPTConfig

VOCAB, WIDTH, SHORTEST = 256, 256, 64
CONFIGS: dict[str, Callable[[int], ModelConfig]] = {
    "LSTM": lambda _: RecurrentConfig(num_layers=4, model_dim=WIDTH, hidden_dim=WIDTH),
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
    found: dict[str, Any] = {name: measure(make, lengths) for name, make in CONFIGS.items()}
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


def measure(make: Callable[[int], ModelConfig], lengths: list[int]) -> dict[str, Any]:
    """Seconds of a token, and bytes of the state, after texts of these lengths; and parameters."""
    import flax.linen as nn
    import jax

    from seqmodels.decoding.prefill import Prefill
    from seqmodels.decoding.unroll import unroll
    from seqmodels.models.build import build_model
    from seqmodels.models.initialize import init_params
    from seqmodels.types import DataSpec, TokenInput, VocabOutput

    spec = DataSpec(TokenInput(VOCAB), VocabOutput(VOCAB))
    found: dict[str, Any] = {"seconds": [], "state_bytes": []}
    for length in lengths:
        model = build_model(make(length + _NEW), spec)
        params = jax.jit(lambda key, m=model: nn.unbox(init_params(m, key)))(jax.random.key(0))
        text = np.random.default_rng(0).integers(0, VOCAB, length).astype(np.int32)
        carry, logits = Prefill(model)(params, [text], length + _NEW)
        choose = lambda logits, index, state: (logits.argmax(axis=-1).astype(np.int32), state)
        proceed = jax.jit(functools.partial(unroll, model, choose=choose, state=None, count=_NEW))
        first = logits.argmax(axis=-1).astype(np.int32)
        jax.block_until_ready(proceed(params, carry, first))
        seconds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            jax.block_until_ready(proceed(params, carry, first))
            seconds.append((time.perf_counter() - started) / _NEW)
        found["seconds"].append(min(seconds))
        found["state_bytes"].append(sum(x.nbytes for x in jax.tree.leaves(carry)))
        found["parameters"] = sum(x.size for x in jax.tree.leaves(params))
    return found


COMMAND = Command("token_times", __doc__ or "", run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
