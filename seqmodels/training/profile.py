"""Traces of a few steps of a run, for https://ui.perfetto.dev. Imports no jax at module level."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError, an
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.training import TrainingConfig
from seqmodels.runs.clock import Clock
from seqmodels.runs.workdir import saved_steps

WARM_UP, TRACED = 10, 10
"""Steps at the start of a process that are not traced because they compile; and traced steps."""
_FILE = "perfetto_trace.json.gz"


def traced_steps(training: TrainingConfig, step: int) -> range:
    """The first step of every traced call in a process that starts after `step`."""
    per_call = training.steps_per_call
    first = step + -(-WARM_UP // per_call) * per_call + 1
    return range(first, first + -(-TRACED // per_call) * per_call, per_call)


def refuse_profile(config: ExperimentConfig, workdir: Path | None) -> None:
    """Refuses to profile a run with too few steps left; needs no jax.

    Raises:
      UserError: too few steps are left, or the model is fitted.
    """
    if config.model.fitted:
        raise UserError(f"--profile: {an(config.model.kind)} is fitted in one pass, not in steps")
    done = max(saved_steps(workdir), default=0) if workdir is not None else 0
    last = traced_steps(config.training, done).stop - 1
    if last > config.training.num_steps:
        raise UserError(
            f"--profile: needs {last - done} steps, {WARM_UP} to warm up and {TRACED} to trace; "
            f"from step {done} to training.num_steps={config.training.num_steps} there are only "
            f"{max(config.training.num_steps - done, 0)}"
        )


class Profile:
    """Traces steps of a run.

    Args:
      folder: directory for the trace.
      steps: see `traced_steps`; empty if no profile was requested.
      clock: is stopped while the trace is written.
      finish: returns once the devices have finished all of their work.
      say: shows a line to the user.
    """

    def __init__(
        self,
        folder: Path,
        steps: range,
        clock: Clock,
        finish: Callable[[], Any],
        say: Callable[[str], None],
    ) -> None:
        import jax

        self._profiler = jax.profiler
        self._folder, self._steps, self._clock = folder, steps, clock
        self._finish, self._say = finish, say
        self._runs, self._last = False, 0

    def step(self, step: int) -> AbstractContextManager[None]:
        """Context in which the call of a step runs."""
        return self._traced(step) if step in self._steps else contextlib.nullcontext()

    @contextlib.contextmanager
    def _traced(self, step: int) -> Iterator[None]:
        if step == self._steps[0]:
            self._finish()
            with self._aside():
                # A trace that begins and cannot be written keeps jax from beginning another one.
                self._folder.mkdir(parents=True, exist_ok=True)
                self._profiler.start_trace(self._folder, create_perfetto_trace=True)
                self._runs = True
        with self._profiler.StepTraceAnnotation("train", step_num=step):
            yield
        self._last = step + self._steps.step - 1
        if step == self._steps[-1]:
            self._finish()
            self.close()

    def close(self) -> None:
        """Writes the trace, also if the run ended before all of its steps."""
        if self._runs:
            self._runs = False
            with self._aside():
                self._profiler.stop_trace()
                path = max(self._folder.rglob(_FILE), key=lambda path: path.stat().st_mtime)
                steps = f"steps {self._steps[0]} to {self._last}"
                self._say(f"profile of {steps}: {path}; open it in https://ui.perfetto.dev")

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Lets the run continue if the profile fails."""
        try:
            with self._clock.stopped():
                yield
        except (OSError, RuntimeError, ValueError) as error:
            self._say(f"warning: the profile failed: {' '.join(str(error).split())}")
