"""`launch.py plan`: what a run needs on devices that are not there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.validate import validate
from seqmodels.planning.devices import DEVICES, MESH_FIELDS, find_device, parse_mesh

DOC = """Estimates what a run needs on devices you do not have: memory, communication, time.

A step is compiled, from shapes alone, for as many simulated CPU devices as --mesh has, and the
operations of its partitioned program are counted. Times follow from the published peaks of --device
and from the shares and rates given by flags. Nothing is trained; the exit status is 1 if the run
does not fit.
"""


def define(values: flags.FlagValues) -> None:
    program.define_json(values)
    string, real = flags.DEFINE_string, flags.DEFINE_float
    axes = ",".join(f"{name}:N" for name in MESH_FIELDS)
    string("mesh", None, f"{axes}; none = that of the config", flag_values=values)
    string("device", "h100", f"one of: {', '.join(DEVICES)}", flag_values=values)
    flags.DEFINE_integer(
        "vocab_size", None, "vocabulary size, instead of that of the data", 2, flag_values=values
    )
    share = "share of the peak rate that matrix products reach"
    real("product_share", 0.6, share, 0.01, 1.0, flag_values=values)
    rate = "GB per second that a host writes to the disk of the checkpoints"
    real("disk_rate", 1.0, rate, 0.001, flag_values=values)
    hours = "hours of one device between failures that end the run"
    real("device_hours", 50_000.0, hours, 1.0, flag_values=values)
    flags.DEFINE_bool(
        "measure",
        False,
        "also run two steps on this machine's CPU, and compare the memory",
        flag_values=values,
    )


def run(arguments: Arguments) -> int:
    asked, config = arguments.flags, on_mesh(arguments.experiment, arguments.flags.mesh)
    device = find_device(asked.device)
    if config.model.fitted:
        raise UserError(f"model.kind={config.model.kind} is fitted in one pass, on one device")
    import jax

    # jax simulates the devices; a cached program would not be written by the partitioner again.
    jax.config.update("jax_platforms", "cpu")
    program.set_up_jax(config)
    jax.config.update("jax_enable_compilation_cache", False)
    from seqmodels.data.pipeline import load_data
    from seqmodels.planning import plan
    from seqmodels.tasks.build import build_task

    config, factor = plan.reduced(config)
    jax.config.update("jax_num_cpu_devices", math.prod(mesh_of(config).values()))
    given = plan.Given(device, asked.product_share, 1e9 * asked.disk_rate, asked.device_hours)
    task = build_task(config)
    data = load_data(config, task)
    spec = data.spec
    if asked.vocab_size is not None:
        spec = plan.with_vocabulary(spec, asked.vocab_size)
    source = data.batches(config)
    facts = {"factor": factor, "carries_state": source.carries_state}
    values = plan.make_plan(config, task, spec, source.batch(1), given, **facts)
    values |= {"device": asked.device, "product_share": asked.product_share}
    if asked.measure:
        values["measured"] = plan.run_steps(config, task, spec, source)
    program.answer(arguments, values, "\n".join(lines_of(values)))
    return program.DONE if values["fits"] else program.FAILED


def mesh_of(config: ExperimentConfig) -> dict[str, int]:
    """Devices by axis; one along an axis that takes what is left."""
    training = config.training
    return {name: getattr(training, field) or 1 for name, field in MESH_FIELDS.items()}


def on_mesh(config: ExperimentConfig, mesh: str | None) -> ExperimentConfig:
    """The validated config on the mesh of a plan, one step at a time.

    Raises:
      UserError: the words of the mesh are wrong, or the batch does not divide.
    """
    sizes = mesh_of(config) if mesh is None else parse_mesh(mesh)
    fields = {MESH_FIELDS[name]: size for name, size in sizes.items()}
    training = dataclasses.replace(config.training, steps_per_call=1, **fields)
    config = dataclasses.replace(config, training=training)
    validate(config)
    return config


def lines_of(plan: Mapping[str, Any]) -> Iterator[str]:
    """The lines that the command prints."""
    axes = " x ".join(f"{name} {size}" for name, size in plan["mesh"].items() if size > 1)
    yield f"{plan['devices']:,} x {plan['device']}" + f" ({axes})" * bool(axes)
    if plan["simulated"] != plan["devices"]:
        yield f"  compiled for {plan['simulated']:,} devices, with fewer along data"
    yield f"  {plan['parameters']:,} parameters; {plan['targets']:,} targets per step"
    yield "memory of a device:"
    for name, size in plan["memory"].items():
        yield f"  {name:<24}{_size(size):>12}"
    fits = "fits" if plan["fits"] else "DOES NOT FIT"
    limit = f"{fits} into {plan['memory_limit'] / 1e9:,.0f} GB"
    yield f"  {'total':<24}{_size(plan['memory_total']):>12}; {limit}"
    for line in plan["advice"]:
        yield f"  {line}"
    if (found := plan.get("measured")) is not None and found["measured"]:
        ratio = found["planned"] / found["measured"]
        yield f"  two steps here: {_size(found['measured'])}, planned / measured {ratio:.2f}"
    yield from _work_lines(plan)


def _work_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    share = plan["flops"] / plan["model_flops"]
    yield "work of a device in a step:"
    work = plan["flops"] / 1e12
    work = f"{work:,.0f} TFLOP" if work >= 1 else f"{1000 * work:,.3g} GFLOP"
    yield f"  {work} in products, {share:.2f} of what the equations need"
    for kind, one in plan["collectives"].items():
        seconds = _seconds(one["seconds"])
        yield f"  {kind:<20}{one['count']:>8,} x{_size(one['bytes']):>12}{seconds:>12}"
    if plan["largest_gather"]:
        yield f"  largest array that is gathered: {_size(plan['largest_gather'])}"
    if plan["uncounted_loops"]:
        yield f"  {plan['uncounted_loops']} loops of unknown length count once"
    times, checkpoint = plan["times"], plan["checkpoint"]
    yield f"expected step, with products at {plan['product_share']:.0%} of the peak:"
    for name, how in (("fastest", "all"), ("slowest", "none")):
        mfu = f"MFU {times[f'mfu_{name}']:.1%}"
        yield f"  {_seconds(times[name])}, {mfu}, if {how} of the messages overlap with products"
    size, taken = _size(checkpoint["bytes"]), _seconds(checkpoint["seconds"])
    hours = f"{checkpoint['seconds_between_failures'] / 3600:,.1f} hours"
    yield f"checkpoint: {size}, {taken}; with a failure every {hours}, one every"
    yield f"  {checkpoint['best_steps']:,} steps loses least, {checkpoint['lost']:.2%} of the time"


def _size(number: float) -> str:
    """Bytes in GB, and below one in MB."""
    return f"{number / 1e9:,.2f} GB" if number >= 1e9 else f"{number / 1e6:,.2f} MB"


def _seconds(number: float) -> str:
    """Seconds, and below one milliseconds."""
    return f"{number:,.2f} s" if number >= 1 else f"{1e3 * number:,.3g} ms"


COMMAND = Command("plan", DOC, run, define, ConfigSource.FILE)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
