"""Benchmark of the overhead of the training loop over the bare jitted step.

    python -m experiments.benchmark_loop --config=demo_gpt [--config.model.num_layers=2 ...]

Both run in turn over the same batches from the same state. The bare step has its batches on the
devices beforehand, and its outputs are not read. The loop is that of `launch.py train`: it makes
the batches, reads every step's finite flag, and logs. Neither evaluates nor saves.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax

from experiments.arguments import override
from seqmodels.benchmark.timing import interleave, ratio
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.config.strict_json import to_text
from seqmodels.config.validate import validate
from seqmodels.data.pipeline import load_data
from seqmodels.distributed.mesh import mesh_context
from seqmodels.distributed.signals import StopRequest
from seqmodels.tasks.build import build_task
from seqmodels.training.feed import Feed
from seqmodels.training.loop import Trainer, prepare


def measure(config: ExperimentConfig, steps: int, rounds: int) -> dict[str, Any]:
    """Times `steps` steps of the loop and of the bare step in turn, `rounds` times."""
    per_call = config.training.steps_per_call
    calls = steps // per_call
    never = (rounds + 2) * calls * per_call
    training = dataclasses.replace(
        config.training, num_steps=never, evaluate_every=never, checkpoint_every=never
    )
    config = dataclasses.replace(config, training=training)
    task = build_task(config)
    data = load_data(config, task)
    setup, _ = prepare(config, Path("/"), task, data)
    feed = Feed(data.batches(config), setup.mesh, per_call)
    batches = [feed(1 + i * per_call) for i in range(calls)]
    state, stop = setup.create_state(config.training.seed), StopRequest()

    def bare() -> Any:
        nonlocal state
        for batch in batches:
            state, _ = setup.call(state, batch)
        return state

    with (
        tempfile.TemporaryDirectory() as folder,
        mesh_context(setup.mesh),
        Trainer(config, Path(folder), data, setup, None) as trainer,
    ):

        def loop() -> Any:
            for _ in range(calls):
                trainer.advance(stop)
            return trainer.state

        timings = interleave({"bare": bare, "loop": loop}, rounds)
    median, low, high = ratio(timings["loop"], timings["bare"])
    return {
        "milliseconds_per_step": 1e3 * timings["bare"].median / (calls * per_call),
        "ratio": {"median": median, "low": low, "high": high},
    }


def main() -> None:
    """Prints the time of a bare step and the relative time of the loop, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    arguments, fields = parser.parse_known_args()
    config = load_config(arguments.config)
    pairs = (word.removeprefix("--config.").partition("=") for word in fields)
    override(config, [(name, value) for name, _, value in pairs])
    validate(config)
    result = measure(config, arguments.steps, arguments.rounds)
    device = jax.devices()[0].device_kind
    sys.stdout.write(to_text({"device": device, "config": arguments.config, **result}, indent=1))
    print()


if __name__ == "__main__":
    main()
