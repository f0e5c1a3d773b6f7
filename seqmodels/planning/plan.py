"""A plan: memory, operations, collectives and times of a run, from its compiled program."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path
from typing import Any

import jax

from seqmodels.benchmark.memory import PeakMemory
from seqmodels.benchmark.training import Work, forward_flops, needed_flops
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.distributed.mesh import batch_sharding, mesh_context
from seqmodels.planning.advice import advise
from seqmodels.planning.devices import Device
from seqmodels.planning.memory import Part, kept_parts, step_part
from seqmodels.planning.partitioned import KINDS, Collective, Partitioned, read_program
from seqmodels.protocols import BatchSource, Task
from seqmodels.training.feed import Feed
from seqmodels.training.setup import Setup, set_up
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput

MOST_DEVICES = 2048
"""Devices of one process of jax's CPU backend."""


@dataclasses.dataclass(frozen=True)
class Given:
    """Assumptions of a plan.

    Attributes:
      device: published peaks.
      product_share: share of the peak that matrix products reach.
      disk_rate: bytes per second and host to the disk of the checkpoints.
      device_hours: hours of one device between failures that end the run.
    """

    device: Device
    product_share: float
    disk_rate: float
    device_hours: float


def reduced(config: ExperimentConfig) -> tuple[ExperimentConfig, int]:
    """The config on at most `MOST_DEVICES` devices, and the factor by which there are fewer.

    Its axis `data` is shorter and its batch smaller, so that each device does the same.

    Raises:
      UserError: the other axes are too long for that.
    """
    training, factor = config.training, 1
    data = training.mesh_data or 1
    rest = training.mesh_fsdp * training.mesh_sequence * training.mesh_tensor
    while data * rest > MOST_DEVICES * factor:
        factor *= 2
        if data % factor or data == factor:
            raise UserError(
                f"--mesh: {data * rest} devices: at most {MOST_DEVICES} are simulated, and an axis "
                "data of a large power of two can be shortened instead"
            )
    training = dataclasses.replace(training, mesh_data=data // factor)
    data_section = dataclasses.replace(config.data, batch_size=config.data.batch_size // factor)
    return dataclasses.replace(config, training=training, data=data_section), factor


def with_vocabulary(spec: DataSpec, size: int) -> DataSpec:
    """The spec with another number of tokens.

    Raises:
      UserError: it has no tokens.
    """
    parts = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    found = {
        name: dataclasses.replace(part, vocab_size=size)
        for name, part in parts.items()
        if isinstance(part, TokenInput | VocabOutput)
    }
    if not found:
        raise UserError(f"--vocab_size={size}: the data have no tokens")
    return dataclasses.replace(spec, **found)


def make_plan(
    config: ExperimentConfig, task: Task, spec: DataSpec, rows: Batch, given: Given, **facts: Any
) -> dict[str, Any]:
    """Compiles a training step for devices that are simulated, and counts what it needs.

    Args:
      config: with the mesh of the plan; no more devices than `jax.devices()`, see `reduced`.
      rows: a batch or a part of it; its shapes count.
      facts: "factor", of `reduced`; "carries_state".

    Returns:
      A tree of numbers, bytes and seconds per device unless it says otherwise.
    """
    factor = facts.get("factor", 1)
    setup = set_up(config, task, spec, carries_state=facts.get("carries_state", False))
    batch = _shapes(rows, config.data.batch_size, setup)
    parts, program = measure(setup, batch)
    devices = setup.mesh.size * factor
    memory = sum(part.size_each for part in parts)
    work = _model_flops(config, setup, spec, batch) * factor
    state = sum(part.size for part in parts if part.name in _SAVED)
    moved = sum(2 * part.size_each for part in parts if part.name in _SAVED)
    times = _times(config, given, program, work / devices, moved)
    values = {
        "devices": devices,
        "mesh": {**setup.mesh.shape, "data": setup.mesh.shape["data"] * factor},
        "simulated": setup.mesh.size,
        "parameters": setup.count_params()[1],
        "batch_size": config.data.batch_size * factor,
        "targets": math.prod(batch.targets.shape) * factor,
        "memory": {part.name: part.size_each for part in parts},
        "memory_total": memory,
        "memory_limit": given.device.memory,
        "fits": memory <= given.device.memory,
        "advice": advise(config, parts, devices, given.device.memory),
        "flops": program.flops,
        "model_flops": work / devices,
        "uncounted_loops": program.uncounted,
        "collectives": _by_kind(program.collectives, given.device),
        "largest_gather": max(
            (one.size for one in program.collectives if one.operation == "all-gather"), default=0
        ),
        "times": times,
        "checkpoint": _checkpoint(state, devices, given, times["slowest"]),
    }
    values["targets_per_second"] = [
        values["targets"] / times[name] for name in ("slowest", "fastest")
    ]
    return values


_SAVED = ("parameters", "optimizer", "moving average", "carry")


def measure(setup: Setup, batch: Any) -> tuple[list[Part], Partitioned]:
    """Memory and program of a training step, compiled for abstract arrays.

    Raises:
      RuntimeError: this version of XLA does not write the partitioned program.
    """
    with tempfile.TemporaryDirectory() as folder, mesh_context(setup.mesh):
        options = {"xla_dump_to": folder, "xla_dump_hlo_pass_re": "spmd-partitioning"}
        options |= {"xla_dump_emitter_re": "none"}  # one file for each kernel otherwise
        compiled = setup.call.lower(setup.abstract, batch).compile(compiler_options=options)
        found = sorted(Path(folder).glob("*after_spmd-partitioning*.txt"))
        if setup.mesh.size == 1:  # nothing to partition
            found = sorted(Path(folder).glob("*before_optimizations.txt"))
        if not found:
            raise RuntimeError("XLA has not written the partitioned program")
        program = read_program(found[-1].read_text(encoding="utf-8"))
    step = step_part(setup, compiled)
    return [*kept_parts(setup, batch), *([] if step is None else [step])], program


def run_steps(
    config: ExperimentConfig, task: Task, spec: DataSpec, source: BatchSource
) -> dict[str, Any]:
    """Runs two steps on the simulated devices, and compares their memory with the plan's.

    Returns:
      bytes of all devices, planned and measured; the latter None where the system does not say.
    """
    setup = set_up(config, task, spec, carries_state=source.carries_state)
    feed = Feed(source, setup.mesh, 1)
    try:
        batch = feed(1)
        with mesh_context(setup.mesh):
            compiled = setup.call.lower(setup.abstract, batch).compile()
            # Compiling takes memory too; from here on nothing is compiled.
            jax.block_until_ready(setup.create_state(config.training.seed))
            memory = PeakMemory()
            state = setup.create_state(config.training.seed)
            for _ in range(2):
                state, outputs = compiled(state, batch)
                jax.block_until_ready(outputs)
            measured = memory.read()
    finally:
        feed.close()
    parts = [*kept_parts(setup, batch), step_part(setup, compiled)]
    planned = sum(part.size_each for part in parts if part) * setup.mesh.size
    return {"planned": planned, "measured": measured}


def _shapes(rows: Batch, batch_size: int, setup: Setup) -> Batch:
    """Shapes of a whole batch like `rows`, split over the mesh."""
    sharding = batch_sharding(setup.mesh, stacked=False)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((batch_size, *x.shape[1:]), x.dtype, sharding=sharding), rows
    )


def _model_flops(config: ExperimentConfig, setup: Setup, spec: DataSpec, batch: Batch) -> int:
    """Operations that the equations of a step need, over all devices; see `flops.model_flops`.

    With a source, all of its scores count.
    """
    if batch.source is None and batch.inputs.ndim == 2:

        def of_length(_: int, length: int) -> Batch:
            cut = lambda x: jax.ShapeDtypeStruct((x.shape[0], length)[: x.ndim], x.dtype)
            return jax.tree.map(cut, batch)

        return needed_flops(Work(config, spec, of_length), setup, batch.inputs.shape[1])
    plain = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), batch)
    return 3 * forward_flops(setup, plain)


def seconds_of(one: Collective, device: Device) -> float:
    """Time of a collective in a call: first within a domain, then between domains.

    A group has g members in each of m domains. Of S bytes a device gathers S (g - 1) / g over the
    links of the domain; S (m - 1) / m come from other domains over the network of g devices. A
    reduction to parts takes the same time and one to all twice as long.
    """
    home = one.members[0] // device.domain
    inside = sum(member // device.domain == home for member in one.members)
    if one.operation == "collective-permute":
        rate = device.link if inside == len(one.members) else device.network
        return one.times * one.size / rate
    domains = len(one.members) / inside
    within = one.size * (inside - 1) / inside / device.link
    between = one.size * (domains - 1) / domains / (inside * device.network)
    return one.times * (within + between) * (2 if one.operation == "all-reduce" else 1)


def _by_kind(collectives: tuple[Collective, ...], device: Device) -> dict[str, Any]:
    found = {}
    for kind in KINDS:
        those = [one for one in collectives if one.operation == kind]
        if those:
            found[kind] = {
                "count": sum(one.times for one in those),
                "bytes": sum(one.times * one.sent for one in those),
                "seconds": sum(seconds_of(one, device) for one in those),
            }
    return found


def _times(
    config: ExperimentConfig, given: Given, program: Partitioned, work: float, moved: float
) -> dict[str, float]:
    """Seconds of a step, and MFU, if all or none of the communication overlaps with products.

    Args:
      work: operations per device that the equations need.
      moved: bytes that the optimizer reads and writes.
    """
    peak = given.device.peak(config.training)
    compute = program.flops / (peak * given.product_share)
    update = moved / given.device.memory_rate
    messages = sum(seconds_of(one, given.device) for one in program.collectives)
    fastest, slowest = max(compute, messages) + update, compute + messages + update
    return {
        "products": compute,
        "update": update,
        "collectives": messages,
        "fastest": fastest,
        "slowest": slowest,
        "mfu_fastest": work / (peak * fastest),
        "mfu_slowest": work / (peak * slowest),
    }


def _checkpoint(state: float, devices: int, given: Given, step: float) -> dict[str, float]:
    """Size and time of a checkpoint, and how often one pays.

    With C seconds to write one and M seconds between failures, an interval of sqrt(2 C M) loses
    least, a share of sqrt(2 C / M) (Young, 1974, Communications of the ACM 17).
    """
    seconds = state / (given.disk_rate * math.ceil(devices / given.device.host))
    between = 3600 * given.device_hours / devices
    interval = math.sqrt(2 * seconds * between)
    return {
        "bytes": state,
        "seconds": seconds,
        "seconds_between_failures": between,
        "best_seconds": interval,
        "best_steps": max(1, round(interval / step)),
        "lost": min(1.0, math.sqrt(2 * seconds / between)),
    }
