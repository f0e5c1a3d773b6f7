"""A trace of a few steps of a run, for https://ui.perfetto.dev. Imports no jax by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.training import TrainingConfig
from seqmodels.runs.clock import Clock
from seqmodels.runs.workdir import saved_steps

WARM_UP, TRACED = 10, 10
"""Steps of a process that are not traced, for the first ones compile; and steps that are."""
_FILE = "perfetto_trace.json.gz"


def traced_steps(training: TrainingConfig, step: int) -> range:
    """The first step of every traced call, in a process that goes on from `step`."""
    per_call = training.steps_per_call
    first = step + -(-WARM_UP // per_call) * per_call + 1
    return range(first, first + -(-TRACED // per_call) * per_call, per_call)


def refuse_profile(config: ExperimentConfig, workdir: Path | None) -> None:
    """Refuses to profile what has too few steps left; needs no jax.

    Raises:
      UserError: names the steps.
    """
    if config.model.fitted:
        raise UserError(f"--profile: a {config.model.kind} is fitted in one go, not in steps")
    done = max(saved_steps(workdir), default=0) if workdir is not None else 0
    last = traced_steps(config.training, done).stop - 1
    if last > config.training.num_steps:
        raise UserError(
            f"--profile: needs {last - done} steps, {WARM_UP} to warm up and {TRACED} to trace; "
            f"from step {done} to training.num_steps={config.training.num_steps} there are "
            f"{max(config.training.num_steps - done, 0)}"
        )


class Profile:
    """Traces steps of a run.

    Args:
      folder: where the trace goes.
      steps: see `traced_steps`; none where nothing is asked for.
      clock: stands still while the trace is written.
      finish: returns once the devices have done all they were given.
      say: tells the user.
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
        """What the call of a step runs in."""
        return self._traced(step) if step in self._steps else contextlib.nullcontext()

    @contextlib.contextmanager
    def _traced(self, step: int) -> Iterator[None]:
        if step == self._steps[0]:
            self._finish()
            with self._aside():
                self._profiler.start_trace(self._folder, create_perfetto_trace=True)
                self._runs = True
        with self._profiler.StepTraceAnnotation("train", step_num=step):
            yield
        self._last = step + self._steps.step - 1
        if step == self._steps[-1]:
            self._finish()
            self.close()

    def close(self) -> None:
        """Writes what was traced, all or the part that a run came to that ended early."""
        if self._runs:
            self._runs = False
            with self._aside():
                self._profiler.stop_trace()
                path = max(self._folder.rglob(_FILE), key=lambda path: path.stat().st_mtime)
                steps = f"steps {self._steps[0]} to {self._last}"
                self._say(f"profile of {steps}: {path}; open it in https://ui.perfetto.dev")

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """A run goes on without its profile."""
        try:
            with self._clock.stopped():
                yield
        except (OSError, RuntimeError, ValueError) as error:
            self._say(f"warning: no profile: {' '.join(str(error).split())}")
