"""`launch.py train --dry_run`: what a run would need, and its first batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from experiments import program
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.pipeline import BatchSource, load_data
from seqmodels.evaluation.rows import find_split
from seqmodels.training.feed import Feed
from seqmodels.training.initialize_from import find_source
from seqmodels.training.mesh import mesh_context
from seqmodels.training.setup import Setup, set_up


def dry_run(config: ExperimentConfig, workdir: Path | None) -> int:
    """Validates, counts parameters and memory, makes one batch, and stops."""
    program.show_devices()
    data = load_data(config)
    find_split(data, "validation")  # training refuses one without a target too
    program.say(f"data: {config.data.name}, {data.summary()}")
    for line in program.split_lines(data.description()):
        program.say(line)
    if config.model.fitted:
        program.say(f"model: {config.model.kind} is fitted in one go; parameters are its counts")
        return program.DONE
    source = data.batches(config)
    setup = set_up(config, data.spec, carries_state=source.carries_state)
    start = find_source(config, workdir, setup.abstract.params, data.encoding)
    for line in [] if start is None else start.lines():
        program.say(line)
    if start is None and config.training.init_from is not None:
        program.say(f"init_from: not read, for the run in {workdir} goes on")
    if setup.parts.frozen:
        program.say("trains {:,} of {:,} parameters".format(*setup.count_params()))
    program.say("memory, over all devices:")
    for name, count, size in memory(config, setup, source):
        numbers = "" if count is None else f"{count:>14,} numbers"
        program.say(f"  {name:<24}{size / 1e6:>12,.1f} MB{numbers}")
    batch = source.batch(1)
    shape = " x ".join(map(str, batch.inputs.shape))
    program.say(
        f"batch of step 1: {shape}, {int(batch.loss_weights.sum()):,} targets; "
        f"{source.batches_per_epoch:,} batches an epoch, "
        f"{config.training.num_steps / source.batches_per_epoch:,.1f} epochs in all"
    )
    program.say("dry run: nothing was trained or written to the work directory")
    return program.DONE


def memory(
    config: ExperimentConfig, setup: Setup, source: BatchSource
) -> list[tuple[str, int | None, int]]:
    """Compiles the training step and asks what it needs; makes no state.

    Returns:
      (what, how many numbers where that is known, bytes) of each part.
    """
    state = setup.abstract
    batches = Feed(source, setup.mesh, config.training.steps_per_call)(1)
    with mesh_context(setup.mesh):
        analysis = setup.call.lower(state, batches).compile().memory_analysis()
    rows = [
        ("parameters", _count(state.params), _bytes(state.params)),
        ("optimizer", _count(state.opt_state), _bytes(state.opt_state)),
        ("moving average", _count(state.ema), _bytes(state.ema)),
        ("carry", _count(state.carry), _bytes(state.carry)),
        ("batches of a call", None, _bytes(batches)),
    ]
    rows = [row for row in rows if row[2]]
    if analysis is not None:  # some backends do not tell
        needed = int(analysis.temp_size_in_bytes) * setup.mesh.size
        rows.append(("activations, gradients", None, needed))
    return [*rows, ("in all", None, sum(size for _, _, size in rows))]


def _count(tree: Any) -> int:
    return sum(int(x.size) for x in jax.tree.leaves(tree))


def _bytes(tree: Any) -> int:
    return sum(int(x.size) * x.dtype.itemsize for x in jax.tree.leaves(tree))
