"""Benchmark of the compile time of a training step by length of rows and depth of the model.

    python -m experiments.benchmark_compilation --config=demo_gpt

In each round all programs are traced and compiled again in turn. Ratios are relative to the
shortest length, and to 13 layers, the smallest depth that is scanned instead of unrolled.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqmodels.benchmark.timing import interleave, ratio
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.config.models import ModelConfig
from seqmodels.config.strict_json import to_text
from seqmodels.distributed.mesh import mesh_context
from seqmodels.tasks.build import build_task
from seqmodels.training.setup import set_up
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput

LENGTHS, DEPTHS = (64, 128, 256, 512), (13, 26, 52)
VOCAB_SIZE, ROWS = 65, 8


def compilation(config: ExperimentConfig, model: ModelConfig, length: int) -> Callable[[], Any]:
    """Makes a function that compiles the training step of `model` on rows of `length` tokens."""
    config = dataclasses.replace(
        config, model=model, data=dataclasses.replace(config.data, batch_size=ROWS)
    )
    spec = DataSpec(TokenInput(VOCAB_SIZE), VocabOutput(VOCAB_SIZE))
    tokens = jax.ShapeDtypeStruct((ROWS, length), jnp.int32)
    batch = Batch(tokens, tokens, jax.ShapeDtypeStruct((ROWS, length), jnp.float32))

    def run() -> None:
        jax.clear_caches()
        setup = set_up(config, build_task(config), spec, carries_state=False)
        with mesh_context(setup.mesh):
            setup.call.lower(setup.abstract, batch).compile()

    return run


def main() -> None:
    """Prints ratios of compile times, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="a config of a language model")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    config = load_config(arguments.config)
    fields = {field.name for field in dataclasses.fields(config.model)}
    bounds = {"max_length": max(LENGTHS)} if "max_length" in fields else {}
    model = dataclasses.replace(config.model, **bounds)
    deep = {n: dataclasses.replace(model, num_layers=n) for n in DEPTHS}
    runs = {f"length {n}": compilation(config, model, n) for n in LENGTHS}
    runs |= {f"depth {n}": compilation(config, deep[n], LENGTHS[0]) for n in DEPTHS}
    timings = interleave(runs, arguments.rounds)
    result: dict[str, Any] = {"device": jax.devices()[0].device_kind, "model": model.kind}
    for name in runs:
        first = f"length {LENGTHS[0]}" if name.startswith("length") else f"depth {DEPTHS[0]}"
        median, low, high = ratio(timings[name], timings[first])
        result[name] = {"against": first, "median": median, "low": low, "high": high}
    sys.stdout.write(to_text(result, indent=1))
    print()


if __name__ == "__main__":
    main()
