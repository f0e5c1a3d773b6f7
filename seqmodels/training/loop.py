"""The trainer, which feeds, logs, evaluates and saves; the task defines the problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from seqmodels.config.errors import RunFailure, UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import from_json, to_json
from seqmodels.data.pipeline import load_data
from seqmodels.distributed.mesh import describe_devices, mesh_context
from seqmodels.distributed.processes import decide, is_main
from seqmodels.distributed.signals import StopRequest, stop_on_signals
from seqmodels.distributed.stop import make_stop_request
from seqmodels.evaluation.evaluate import Evaluator, make_trial
from seqmodels.protocols import Data, Task
from seqmodels.runs.changes import change, read_changes
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.clock import Clock
from seqmodels.runs.divergence import clear_divergence, record_divergence
from seqmodels.runs.event_files import require_tensorboard
from seqmodels.runs.hold import hold
from seqmodels.runs.paths import flat
from seqmodels.runs.progress import TrainingProgress
from seqmodels.runs.provenance import note_origin
from seqmodels.runs.rows import METRICS, MetricsWriter, costs_of, stops_early
from seqmodels.runs.workdir import kept_features, resolved
from seqmodels.tasks.build import build_task
from seqmodels.training.feed import Feed
from seqmodels.training.fit import fit
from seqmodels.training.initialize_from import RECORD, StartingPoint, find_starting_point
from seqmodels.training.metrics import means
from seqmodels.training.profile import Profile, traced_steps
from seqmodels.training.resuming import describe_change
from seqmodels.training.setup import Setup, set_up
from seqmodels.types import Params, TrainState


class NonFiniteError(RunFailure):
    """The loss or the gradient of a step is not finite."""


def prepare(
    config: ExperimentConfig, workdir: Path, task: Task, data: Data
) -> tuple[Setup, StartingPoint | None]:
    """Prepares what a run computes with and starts from; finds mistakes and writes nothing.

    Raises:
      UserError: the devices do not fit the config, the config names a part that the model lacks,
        the data are too short, or the run cannot start from training.init_from.
    """
    batches = data.batches(config)
    setup = set_up(config, task, data.spec, carries_state=batches.carries_state)
    return setup, find_starting_point(config, workdir, setup.abstract.params, data.features)


def train(
    config: ExperimentConfig,
    workdir: Path,
    task: Task | None = None,
    data: Data | None = None,
    prepared: tuple[Setup, StartingPoint | None] | None = None,
    *,
    profile: bool = False,
) -> int:
    """Trains, or resumes, the run of `config` in `workdir`.

    Args:
      task: of `config` where the caller has built it already.
      data: likewise its data, loaded with that task.
      prepared: what `prepare` made of them, likewise.
      profile: trace a few steps, see `Profile`.

    Returns:
      The exit status: 0 if done, 143 or 130 if stopped by a signal after saving.

    Raises:
      UserError: the work directory belongs to another run, another process trains in it, the
        validation split is empty, or see `prepare`.
      NonFiniteError: the loss or gradient of a step is not finite; earlier checkpoints are kept.
    """
    require_tensorboard(config.training)
    task = build_task(config) if task is None else task
    data = load_data(config, task, kept_features(workdir, config)) if data is None else data
    data.check_split("validation")  # not only after hours of training
    if prepared is None and not config.model.fitted:
        prepared = prepare(config, workdir, task, data)
    with hold(workdir, config, data):
        if prepared is None:
            return fit(config, task, data, workdir)
        with (
            Trainer(config, workdir, data, *prepared, profile) as trainer,
            stop_on_signals(trainer.make_stop_request()) as stop,
        ):
            trainer.train(stop)
    return stop.exit_status


class Trainer:
    """A run in progress: the state of the loop between two steps.

    Args:
      config, workdir, data: of the run.
      setup, start: see `prepare`.
      profile: trace a few steps.
      evaluator: shared with other runs; None makes one.
      label: a name for its lines, where other runs print theirs too; None = the kind of model.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        workdir: Path,
        data: Data,
        setup: Setup,
        start: StartingPoint | None,
        profile: bool = False,
        evaluator: Evaluator | None = None,
        label: str | None = None,
    ) -> None:
        training = self._training = config.training
        self._config, self._data = config, data
        self._best = config.task.metric(training.best_metric)
        self._source = data.batches(config)
        self._workdir = workdir
        self._setup = setup
        self._evaluate = evaluator or Evaluator(
            setup.model, data, config.evaluation, setup.task, training.seed
        )
        self._feed = Feed(self._source, setup.mesh, training.steps_per_call)
        self._checkpoints = Checkpoints(
            workdir / "checkpoints",
            training.keep_checkpoints,
            self._best,
            writable=True,
        )
        self.state = self._resume_or_create(start)
        self._step = int(self.state.step)
        before = self._change_config() if self._step else config
        self._writer = MetricsWriter(
            workdir / METRICS, self._step, tensorboard=training.tensorboard
        )
        self._progress = TrainingProgress(
            training.num_steps, self._step, label or config.model.kind, live=label is None
        )
        self._say_how_it_starts(start, before)
        clear_divergence(workdir)
        note_origin(workdir, self._step, describe_devices(setup.mesh, packed=label is not None))
        rows = self._writer.rows
        self._clock = Clock(rows[-1]["seconds"] if rows else 0.0, self._step)
        self._unread: tuple[int, Mapping[str, Any]] | None = None
        profile = profile and is_main()
        self._profile = Profile(
            workdir / "profile",
            traced_steps(training, self._step) if profile else range(0),
            self._clock,
            finish=lambda: jax.block_until_ready(self.state),
            say=self._progress.say,
        )

    def _say_how_it_starts(self, start: StartingPoint | None, before: ExperimentConfig) -> None:
        training, setup = self._training, self._setup
        for line in [] if start is None else start.lines():
            self._progress.say(line)
        if setup.parts.frozen:
            self._progress.say("training {:,} of {:,} parameters".format(*setup.count_params()))
        if self._step:
            self._progress.say(f"resumed from step {self._step} of {training.num_steps}")
            for line in describe_change(before, resolved(self._config), self._step):
                self._progress.say(line)
        due, rows = self._step - self._step % training.log_every, self._writer.rows
        changes = read_changes(self._workdir, resolved(self._config))
        changed = max((entry["after_step"] for entry in changes), default=0)
        # Up to a change, rows may have been due at other steps.
        if due > changed and not (rows and rows[-1]["step"] >= due):
            self._progress.say(f"warning: metrics.jsonl is incomplete: no rows up to step {due}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self._progress.close()
        if isinstance(error, NonFiniteError):
            record_divergence(self._workdir, str(error))
        if kind is KeyboardInterrupt:
            return  # at once, without waiting for a save in progress
        self._profile.close()
        self._feed.close()
        try:
            self._writer.close()
        finally:
            self._checkpoints.close()

    def _resume_or_create(self, start: StartingPoint | None) -> TrainState:
        steps = decide(self._checkpoints.steps)
        if not steps:
            return self._create(start)
        if steps == [0]:
            return self._begin_with(self._checkpoints)
        step, state = self._checkpoints.restore(self._setup.abstract, "latest")
        self._checkpoints.delete_after(step)
        return state

    def _change_config(self) -> ExperimentConfig:
        """Makes the config that of the run from here on; returns the one until here."""
        return from_json(decide(lambda: to_json(change(self._workdir, self._config, self._step))))

    def _create(self, start: StartingPoint | None) -> TrainState:
        if start is None:
            if self._training.init_from is not None:
                raise UserError(f"{self._workdir}/checkpoints holds files that are not checkpoints")
            if is_main():
                (self._workdir / RECORD).unlink(missing_ok=True)  # left by an earlier start
            return self._setup.create_state(self._training.seed)
        if is_main():
            start.record(self._workdir)
        taken = start.load(self._setup.abstract.params)
        return self._setup.create_state(self._training.seed, taken)

    def _begin_with(self, checkpoints: Checkpoints) -> TrainState:
        """The first state, with the imported parameters."""
        _, params = checkpoints.restore_params(self._setup.abstract.params, "latest")
        return self._setup.create_state(self._training.seed, flat(params))

    def make_stop_request(self) -> StopRequest:
        """Makes the stop request for all processes of this run."""
        return make_stop_request(self._step, self._training.steps_per_call)

    def train(self, stop: StopRequest) -> None:
        """Trains until the last step, early stopping or a signal; then saves."""
        goes_on = self.continues()
        with mesh_context(self._setup.mesh):
            while goes_on:
                with self._profile.step(self._step + 1):
                    goes_on = self.advance(stop)
        self.wait()
        stop.finish()
        if stop.exit_status:
            self._progress.say(
                f"stopped at step {self._step}, which is saved; the same command resumes"
            )

    def continues(self) -> bool:
        """Whether there is a step left to take."""
        return self._step < self._training.num_steps and not self._stops_early()

    def wait(self) -> None:
        """Returns once the last checkpoint is on disk."""
        self._checkpoints.wait()

    def advance(self, stop: StopRequest) -> bool:
        """Runs the steps of one call, and logs, evaluates and saves if that is due.

        Returns:
          Whether the run continues.
        """
        training = self._training
        batch = self._feed(self._step + 1)
        self.state, outputs = self._setup.call(self.state, batch)
        after = self._step + training.steps_per_call
        if after < training.num_steps:
            self._feed.start(after + 1, busy=outputs)
        return self.count_call(outputs, stop)

    def count_call(self, outputs: Mapping[str, Any], stop: StopRequest) -> bool:
        """Counts the steps of a call; logs, evaluates and saves if that is due.

        Args:
          outputs: of the call, see `make_call`; not waited for.

        Returns:
          Whether the run continues.
        """
        training = self._training
        self._step += training.steps_per_call
        ends = self._step >= training.num_steps
        self._read()  # outputs of the previous call, while the devices work on this one
        self._unread = (self._step, outputs)
        self._progress.advance(self._step)
        self._checkpoints.check()
        metrics, is_best = None, False
        if ends or self._step % training.evaluate_every == 0:
            metrics, is_best = self._evaluate_now()
            ends = ends or self._stops_early()
        # Read once, so that a later signal counts for the next step.
        ends = stop.due(self._step) or ends
        if ends or is_best or self._step % training.checkpoint_every == 0:
            self._save(metrics)
        return not ends

    def _read(self) -> None:
        """Reads and checks the outputs of the last call, and logs if a row is due."""
        if self._unread is None:
            return
        (step, outputs), self._unread = self._unread, None
        finite = np.asarray(outputs["finite"])
        if not finite.all():
            bad = step - len(finite) + 1 + int((~finite).argmax())
            self._checkpoints.wait()
            kept = self._checkpoints.steps()
            raise NonFiniteError(
                f"loss or gradient of step {bad} is not finite; its batch: launch.py batch "
                f"--workdir={self._workdir} --step={bad}; "
                + (f"the checkpoint of step {kept[-1]} is kept" if kept else "nothing was saved")
            )
        every = self._training.log_every
        if not outputs["log"]["loss"][1]:
            raise RunFailure(
                f"no batch up to step {step} has a target: launch.py batch "
                f"--workdir={self._workdir} --step={step}"
            )
        if step % every == 0 or step >= self._training.num_steps:
            steps, seconds, input_wait = self._clock.lap(step, self._feed.waited)
            # The sums of the log continue after a resume; the clock does not.
            gathered = float(outputs["log"]["gradient_norm"][1])
            targets = float(outputs["log"]["loss"][1]) * steps / gathered
            row = {
                "step": step,
                "split": "train",
                **means(outputs["log"]),
                "learning_rate": float(outputs["learning_rate"]),
                f"{self._setup.task.rate_unit}s_per_second": targets / seconds,
                "input_wait": input_wait,
                "seconds": self._clock.seconds,
            }
            self._write(row)

    def _evaluate_now(self) -> tuple[dict[str, float], bool]:
        """Evaluates the validation split; returns best_metric and whether it is the best so far."""
        self._read()
        state = self.state
        params = state.params if state.ema is None else state.ema
        metric, name = self._best, self._best.name
        with self._clock.stopped():
            result = self._evaluate(params, "validation")
            if metric.further:
                result[name] = self._evaluate_further(params)
        value = result[name]
        if value is None or not math.isfinite(value):
            raise NonFiniteError(f"validation {name} after step {self._step} is {value}")
        best = min(costs_of(self._writer.rows, metric), default=math.inf)
        # Each process has read the rows for itself.
        is_best = decide(lambda: metric.cost(value) < best)
        row = {
            "step": self._step,
            "split": "validation",
            **result,
            "input_wait": self._evaluate.input_wait,
            "seconds": self._clock.seconds,
        }
        self._write(row)
        return {name: value}, is_best

    def _evaluate_further(self, params: Params) -> float | None:
        """The best metric where the loss does not say it: found by process 0 alone."""
        model, task = self._setup.model, self._setup.task
        trial = make_trial(model, params, self._data, "validation", self._config, task)
        return decide(lambda: task.evaluate_more(trial)[self._best.name])

    def _save(self, metrics: dict[str, float] | None) -> None:
        self._read()  # a save waits for its own step's finite flag
        self._writer.sync()
        self._checkpoints.save(self._step, self.state, metrics)

    def _stops_early(self) -> bool:
        return decide(
            lambda: stops_early(
                self._writer.rows, self._best, self._training.early_stopping_patience
            )
        )

    def _write(self, row: dict[str, Any]) -> None:
        self._writer.write(row)
        self._progress.show(row)
