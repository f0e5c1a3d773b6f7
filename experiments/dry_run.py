"""`launch.py train --dry_run`: requirements of a run, and its first batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from experiments import program
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.pipeline import load_data
from seqmodels.distributed.mesh import mesh_context
from seqmodels.protocols import BatchSource
from seqmodels.tasks.build import build_task
from seqmodels.training.feed import Feed
from seqmodels.training.initialize_from import find_starting_point
from seqmodels.training.setup import Setup, set_up


def dry_run(config: ExperimentConfig, workdir: Path | None) -> int:
    """Validates the config, counts parameters and memory, makes one batch, and stops."""
    program.show_devices()
    task = build_task(config)
    data = load_data(config, task)
    data.check_split("validation")  # training refuses one without a target too
    program.say(f"data: {config.data.name}, {data.summary()}")
    for line in program.split_lines(data.description()):
        program.say(line)
    if config.model.fitted:
        program.say(f"model: {config.model.kind} is fitted in one pass; its parameters are counts")
        return program.DONE
    source = data.batches(config)
    setup = set_up(config, task, data.spec, carries_state=source.carries_state)
    start = find_starting_point(config, workdir, setup.abstract.params, data.features)
    for line in [] if start is None else start.lines():
        program.say(line)
    if start is None and config.training.init_from is not None:
        program.say(f"init_from: not used, because the run in {workdir} would be resumed")
    if setup.parts.frozen:
        program.say("training {:,} of {:,} parameters".format(*setup.count_params()))
    for line in show(memory(config, setup, source), setup.mesh.size):
        program.say(line)
    batch = source.batch(1)
    shape = " x ".join(map(str, batch.inputs.shape))
    program.say(
        f"batch of step 1: {shape}, {int(batch.loss_weights.sum()):,} targets; "
        f"{source.batches_per_epoch:,} batches per epoch, "
        f"{config.training.num_steps / source.batches_per_epoch:,.1f} epochs in all"
    )
    program.say("dry run: nothing was trained or written to the work directory")
    return program.DONE


@dataclasses.dataclass(frozen=True)
class Part:
    """Size of one part of a run.

    Attributes:
      name: name of the part.
      count: number of its elements, if known.
      size: bytes over all devices; copies count once.
      size_each: bytes per device.
    """

    name: str
    count: int | None
    size: int
    size_each: int


def show(parts: list[Part], devices: int) -> Iterator[str]:
    """Yields lines of text, with bytes per device if there are several devices."""
    yield "memory, over all devices:"
    for part in parts:
        numbers = "" if part.count is None else f"{part.count:,} numbers"
        each = f"{part.size_each / 1e6:>12,.1f} MB on each device" if devices > 1 else ""
        yield f"  {part.name:<24}{part.size / 1e6:>12,.1f} MB{numbers:>22}{each}".rstrip()


def memory(config: ExperimentConfig, setup: Setup, source: BatchSource) -> list[Part]:
    """Compiles the training step and returns the memory that it needs; creates no state."""
    state = setup.abstract
    batches = Feed(source, setup.mesh, config.training.steps_per_call)(1)
    with mesh_context(setup.mesh):
        analysis = setup.call.lower(state, batches).compile().memory_analysis()
    parts = [
        _part("parameters", state.params),
        _part("optimizer", state.opt_state),
        _part("moving average", state.ema),
        _part("carry", state.carry),
        dataclasses.replace(_part("batches of a call", batches), count=None),
    ]
    parts = [part for part in parts if part.size]
    if analysis is not None:  # some backends do not report it
        each = int(analysis.temp_size_in_bytes)
        parts.append(Part("activations, gradients", None, each * setup.mesh.size, each))
    total, total_each = sum(part.size for part in parts), sum(part.size_each for part in parts)
    return [*parts, Part("total", None, total, total_each)]


def _part(name: str, tree: Any) -> Part:
    leaves = jax.tree.leaves(tree)
    size = lambda shape, x: math.prod(shape) * x.dtype.itemsize
    return Part(
        name,
        sum(int(x.size) for x in leaves),
        sum(size(x.shape, x) for x in leaves),
        sum(size(x.sharding.shard_shape(x.shape), x) for x in leaves),
    )
