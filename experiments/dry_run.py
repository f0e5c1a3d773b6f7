"""`launch.py train --dry_run`: requirements of a run, and its first batch."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from experiments import program
from seqmodels.benchmark.flops import count
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.pipeline import load_data
from seqmodels.distributed.mesh import mesh_context
from seqmodels.planning.advice import needs_by_parts
from seqmodels.planning.largest_batch import (
    bytes_of_device,
    largest_batch,
    other_size,
    rows_together,
)
from seqmodels.planning.memory import STEP, Part, kept_parts, step_part
from seqmodels.planning.step_time import predict_step_time
from seqmodels.protocols import BatchSource
from seqmodels.runs.opening import read_config
from seqmodels.runs.workdir import has_steps, resolved, saved_steps
from seqmodels.tasks.build import build_task
from seqmodels.training.feed import Feed
from seqmodels.training.initialize_from import find_starting_point
from seqmodels.training.resuming import describe_change
from seqmodels.training.setup import Setup, set_up


def dry_run(config: ExperimentConfig, workdir: Path | None) -> int:
    """Validates the config, counts parameters and memory, makes one batch, and stops.

    Compiling may take minutes, so it comes last.

    Raises:
      UserError: the run does not fit into the memory of its devices.
    """
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
    if workdir is not None and has_steps(workdir):
        show_resuming(config, workdir)
    if setup.parts.frozen:
        program.say("training {:,} of {:,} parameters".format(*setup.count_params()))
    show_batch(config, source)
    devices, limit = setup.mesh.size, device_memory()
    batches = Feed(source, setup.mesh, config.training.steps_per_call)(1)
    parts = kept_parts(setup, batches)
    for line in show(parts, devices):
        program.say(line)
    refuse_misfit(config, parts, devices, limit)
    program.say("compiling the training step")
    started = time.monotonic()
    operations, step = compile_step(setup, batches)
    program.say(f"compiled in {time.monotonic() - started:.1f} s")
    parts = [*parts, *([] if step is None else [step])]
    sizes = sum(part.size for part in parts), sum(part.size_each for part in parts)
    for line in show([*parts[-1:], Part("total", None, *sizes)], devices, heading=False):
        program.say(line)
    refuse_misfit(config, parts, devices, limit)
    if limit is not None and step is not None:
        measure = functools.partial(
            bytes_of_device, config, task, data.spec, batches, carries_state=source.carries_state
        )
        show_largest_batch(config, devices, sum(part.size_each for part in parts), limit, measure)
    for line in predict_step_time(config.training, operations, parts, devices).lines():
        program.say(line)
    program.say("dry run: nothing was trained or written to the work directory")
    return program.DONE


def show_resuming(config: ExperimentConfig, workdir: Path) -> None:
    """Prints where the run would be resumed, and what changes there."""
    step = max(saved_steps(workdir))
    program.say(f"the run in {workdir} would be resumed from step {step}")
    if config.training.init_from is not None:
        program.say(f"init_from: not used, because the run in {workdir} would be resumed")
    for line in describe_change(read_config(workdir), resolved(config), step):
        program.say(line)


def show_batch(config: ExperimentConfig, source: BatchSource) -> None:
    """Makes the first batch, and prints its shape."""
    batch = source.batch(1)
    shape = " x ".join(map(str, batch.inputs.shape))
    program.say(
        f"batch of step 1: {shape}, {int(batch.loss_weights.sum()):,} targets; "
        f"{source.batches_per_epoch:,} batches per epoch, "
        f"{config.training.num_steps / source.batches_per_epoch:,.1f} epochs in all"
    )


def show(parts: list[Part], devices: int, *, heading: bool = True) -> Iterator[str]:
    """Yields lines of text, with bytes per device if there are several devices."""
    if heading:
        yield "memory, over all devices:"
    for part in parts:
        numbers = "" if part.count is None else f"{part.count:,} numbers"
        each = f"{part.size_each / 1e6:>12,.1f} MB on each device" if devices > 1 else ""
        yield f"  {part.name:<24}{part.size / 1e6:>12,.1f} MB{numbers:>22}{each}".rstrip()


def compile_step(setup: Setup, batches: Any) -> tuple[int, Part | None]:
    """Compiles the training step.

    Returns:
      The operations of its products, and the memory that it needs while it runs, if known.
    """
    with mesh_context(setup.mesh):
        traced = setup.call.trace(setup.abstract, batches)
        compiled = traced.lower().compile()
    return count(traced.jaxpr.jaxpr), step_part(setup, compiled)


def show_largest_batch(
    config: ExperimentConfig,
    devices: int,
    size: int,
    limit: int,
    measure: Callable[[int], int],
) -> None:
    """Compiles the training step for another batch, and prints how large a batch may be.

    Args:
      devices: of the mesh.
      size: bytes of a device with the config's batch.
      limit: bytes of a device.
      measure: returns the bytes of a device with batches of some number of rows.
    """
    rows, together = config.data.batch_size, rows_together(config, devices)
    other = other_size(rows, together)
    program.say(f"compiling it for batches of {other:,} rows")
    probes = {rows: size, other: measure(other)}
    largest = largest_batch(probes, limit, together)
    if largest is not None:
        sizes = " and ".join(f"{n:,} rows {probes[n] / 1e6:,.1f} MB" for n in sorted(probes))
        program.say(
            f"data.batch_size={largest:,} is about the largest that fits into "
            f"{limit / 1e9:,.1f} GB: {sizes} on each device"
        )


def device_memory() -> int | None:
    """Bytes of each device, of a CPU its share of the machine's; None if unknown."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return pages // jax.local_device_count()
    return (device.memory_stats() or {}).get("bytes_limit")


def refuse_misfit(
    config: ExperimentConfig, parts: list[Part], devices: int, limit: int | None
) -> None:
    """Compares the memory of a run with that of its devices.

    Args:
      parts: those known so far.
      devices: number of devices of the mesh.
      limit: bytes of each device; None if unknown.

    Raises:
      UserError: it does not fit; names the field to change and, where one would do, a value.
    """
    each = {part.name: part.size_each for part in parts}
    total, step = sum(each.values()), each.get(STEP, 0)
    if limit is None or total <= limit:
        return
    sizes = f"on each device, which has {limit / 1e9:,.1f} GB"
    training, batch_size = config.training, config.data.batch_size
    kept = total - step
    if kept > limit:
        raise UserError(
            f"--config.training.mesh_fsdp={training.mesh_fsdp}: the state and its batch need "
            f"{kept / 1e9:,.1f} GB {sizes}; spread them over more devices, or make config.model "
            "smaller"
        )
    needs = needs_by_parts(config, each, devices)
    fits = next((n for n, size in needs.items() if size <= limit), None)
    advice = (
        "use a smaller batch, shorter sequences or a smaller model"
        if fits is None
        else f"use a smaller batch, or training.accumulation_steps={fits}, which needs about "
        f"{needs[fits] / 1e9:,.1f} GB"
    )
    raise UserError(
        f"--config.data.batch_size={batch_size}: a step needs {total / 1e9:,.1f} GB {sizes}; "
        + advice
    )
