"""Steps of a run taken again, and compared with what the run has left."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.distributed.mesh import describe_devices, mesh_context
from seqmodels.runs.changes import read_changes
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.opening import read_config
from seqmodels.runs.provenance import differing_origin
from seqmodels.runs.rows import METRICS, read_rows
from seqmodels.runs.run import open_checkpoints, open_data
from seqmodels.runs.workdir import has_checkpoints
from seqmodels.tasks.build import build_task
from seqmodels.training.feed import Feed
from seqmodels.training.metrics import means
from seqmodels.training.setup import set_up
from seqmodels.types import TrainState

ROUNDING = 1e-3
"""Of the largest number of a tensor, and of a loss: what other libraries may change in a window."""


@dataclasses.dataclass(frozen=True)
class Window:
    """Steps to take again: from the state after `first` to `last`.

    Attributes:
      saved: whether a checkpoint of `last` exists; otherwise rows alone are compared.
    """

    first: int
    last: int
    saved: bool


class Replay:
    """A run whose steps can be taken again.

    Args:
      workdir: of the run.

    Raises:
      UserError: it has no checkpoint, its model is fitted, or its data have changed.
    """

    def __init__(self, workdir: Path) -> None:
        config = self.config = read_config(workdir)
        if config.model.fitted:
            raise UserError(f"{workdir}: {config.model.kind} is counted, and has no steps")
        if not has_checkpoints(workdir):
            raise UserError(f"{workdir}: no checkpoint to start from")
        self.workdir = workdir
        task = build_task(config)
        data = open_data(workdir, config, task)
        self._source = data.batches(config)
        carries = self._source.carries_state
        self._setup = set_up(config, task, data.spec, carries_state=carries)
        self._feed = Feed(self._source, self._setup.mesh, config.training.steps_per_call)
        self.rows = {
            row["step"]: row for row in read_rows(workdir / METRICS) if row["split"] == "train"
        }

    @property
    def devices(self) -> str:
        return describe_devices(self._setup.mesh)

    def close(self) -> None:
        self._feed.close()

    def starts(self) -> list[int]:
        """The steps whose states are known: those of the checkpoints, and 0 if the seed makes it.

        Steps before the last change of the config are left out.
        """
        with self._open() as checkpoints:
            steps = checkpoints.steps()
        changed = max((e["after_step"] for e in read_changes(self.workdir, self.config)), default=0)
        from_seed = self.config.training.init_from is None and 0 not in steps
        found = [0] * from_seed + [step for step in steps if step]
        return [step for step in found if step >= changed]

    def _open(self) -> Checkpoints:
        return open_checkpoints(self.workdir, self.config)

    def windows(self) -> list[Window]:
        """Windows of at most `training.checkpoint_every` steps, one from each known state."""
        every, starts = self.config.training.checkpoint_every, self.starts()
        found = []
        for index, first in enumerate(starts):
            ends = [step for step in starts[index + 1 : index + 2] if step - first <= every]
            if ends:
                found.append(Window(first, ends[0], True))
            elif any(first < step <= first + every for step in self.rows):
                last = max(step for step in self.rows if first < step <= first + every)
                found.append(Window(first, last, False))
        return found

    def state(self, step: int) -> TrainState:
        """The state after a step, as saved or as the seed makes it.

        Raises:
          UserError: the checkpoint is damaged.
        """
        if step == 0:
            return self._setup.create_state(self.config.training.seed)
        with self._open() as checkpoints:
            return checkpoints.restore(self._setup.abstract, step)[1]

    def advance(self, state: TrainState, first: int) -> tuple[TrainState, Mapping[str, Any]]:
        """Takes the steps of one call after step `first`; the state is donated."""
        with mesh_context(self._setup.mesh):
            return self._setup.call(state, self._feed(first + 1))

    def batch(self, step: int) -> Any:
        """The batch of a step."""
        return self._source.batch(step)

    def check(self, window: Window) -> list[str]:
        """Takes the steps of a window again; returns a line per difference, in order.

        Bits are compared where the steps were taken with these libraries and devices, and numbers
        up to `ROUNDING` otherwise.
        """
        exact = not self.foreign(window)
        state, step = self.state(window.first), window.first
        lines = []
        while step < window.last:
            state, outputs = self.advance(state, step)
            step += self.config.training.steps_per_call
            if (row := self.rows.get(step)) is not None:
                lines += _row_lines(row, means(outputs["log"]), exact=exact)
        if window.saved:
            saved = self.state(window.last)
            lines += list(tensor_lines(state, saved, window.last, exact=exact))
        return lines

    def foreign(self, window: Window) -> list[str]:
        """The libraries and devices of the window's steps that are not those of here."""
        return differing_origin(self.workdir, window.first, window.last, self.devices)


def choose_windows(windows: list[Window], count: int, seed: int) -> list[Window]:
    """Random windows, in order."""
    chosen = random.Random(seed).sample(windows, min(count, len(windows)))
    return sorted(chosen, key=lambda window: window.first)


def _row_lines(
    row: Mapping[str, Any], found: Mapping[str, float | None], *, exact: bool
) -> Iterator[str]:
    for name, value in found.items():
        kept = row.get(name)
        if value == kept or (value is None or kept is None):
            continue
        if exact or not math.isclose(value, kept, rel_tol=ROUNDING, abs_tol=ROUNDING):
            yield f"step {row['step']}: {name} was {kept!r}, is {value!r}"


def tensor_lines(found: Any, kept: Any, step: int, *, exact: bool) -> Iterator[str]:
    """A line for the tensors of a state that differ; the first is named."""
    names = differing_tensors(found, kept, exact=exact)
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        name = next(iter(names))
        yield f"step {step}: {name}{more}: {names[name]}"


def differing_tensors(found: Any, kept: Any, *, exact: bool = True) -> dict[str, str]:
    """Path -> in how many numbers two states differ, and by how much at most."""
    pairs = zip(_arrays(found).items(), _arrays(kept).values(), strict=True)
    lines = {}
    for (path, new), old in pairs:
        if new.tobytes() == old.tobytes():
            continue
        wrong = np.atleast_1d(new != old)
        size = float(np.max(np.abs(old.astype(np.float64)), initial=0.0))
        gap = float(np.max(np.abs(new.astype(np.float64) - old.astype(np.float64)), initial=0.0))
        if exact or not gap <= ROUNDING * max(size, ROUNDING):
            lines[path] = f"{wrong.sum()} of {wrong.size} numbers, by {gap:.3g} at most"
    return lines


def _arrays(state: Any) -> dict[str, np.ndarray]:
    """The arrays of a state by path, parameters first."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    found = {jax.tree_util.keystr(p, simple=True, separator="/"): _numbers(x) for p, x in leaves}
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith("params")))


def _numbers(x: Any) -> np.ndarray:
    is_key = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)
