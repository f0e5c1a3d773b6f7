"""Packs: runs that differ in numbers alone, trained as one program, each in its own directory.

    pack = runs whose configs differ in `VARIES` at most
    step(states [M, ...], batches [M, B, ...], rates [M]) = the step of one, over the M runs

Each member has its own state, batches, rows and checkpoints, which are those of the lone run up to
rounding, and is resumed by `train` as one. A member whose loss or gradient is not finite keeps the
state of before, is named, and does not stop the others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import differences, flat_values, to_json
from seqmodels.config.strict_json import to_text
from seqmodels.data.pipeline import load_data
from seqmodels.data.prefetcher import Prefetcher
from seqmodels.distributed import processes
from seqmodels.distributed.mesh import mesh_context
from seqmodels.distributed.signals import StopRequest, stop_on_signals
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.protocols import Data, Task
from seqmodels.runs.divergence import record_divergence
from seqmodels.runs.event_files import require_tensorboard
from seqmodels.runs.hold import hold
from seqmodels.runs.workdir import refuse_other_run
from seqmodels.tasks.build import build_task
from seqmodels.training.loop import NonFiniteError, Trainer
from seqmodels.training.optimizers import make_optimizer, make_schedule
from seqmodels.training.packed_arrays import PackedOutputs, stack_padded
from seqmodels.training.setup import Setup, set_up
from seqmodels.training.step import make_call, make_train_step
from seqmodels.types import Batch, TrainState

RATES = ("peak_lr", "weight_decay")
"""Fields of the optimizer that are arrays [M] of the program."""
_INITIAL = ("forget_bias", "chrono_length", "uniform_init", "min_radius", "max_radius")
"""Fields of models that decide the first parameters and nothing else."""
VARIES = (
    "training.seed",
    *(f"optimizer.{name}" for name in RATES),
    *(f"model.{name}" for name in _INITIAL),
)
"""Fields in which the members of a pack may differ."""

Run = tuple[ExperimentConfig, Path]
"""A config and its work directory."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The end of a member.

    Attributes:
      workdir: of the run.
      step: the last step taken.
      problem: why it diverged, in a line; None if it did not.
      exit_status: 0 if it is done or diverged, 143 or 130 if a signal stopped it after saving.
    """

    workdir: Path
    step: int
    problem: str | None
    exit_status: int


def pack_key(config: ExperimentConfig) -> str:
    """A text that is the same for the configs that may be members of one pack."""
    values = {name: x for name, x in flat_values(config).items() if name not in VARIES}
    return to_text(values, sort_keys=True)


def check_pack(runs: Sequence[Run]) -> None:
    """Checks that runs can be trained as one program; reads no data.

    Raises:
      UserError: there is none, two have one directory or differ in a field that is not in `VARIES`,
        the model is fitted, a run starts from another, there are several processes, or dropout
        would depend on the padding.
    """
    if not runs:
        raise UserError("a pack needs a run")
    seen: set[Path] = set()
    first, place = runs[0]
    if first.model.fitted:
        raise UserError(
            f"{place}: model.kind={first.model.kind} is counted, not trained: it cannot be packed"
        )
    if processes.current().count > 1:
        raise UserError("a pack trains in one process")
    _refuse_dropout_of_padding(runs)
    for config, workdir in runs:
        if config.training.init_from is not None:
            raise UserError(
                f"{workdir}: training.init_from={config.training.init_from}: cannot be packed"
            )
        if workdir.absolute() in seen:
            raise UserError(f"--workdir={workdir}: two members of a pack cannot share it")
        seen.add(workdir.absolute())
        other = [
            line for line in differences(first, config) if line.partition(":")[0] not in VARIES
        ]
        if other:
            raise UserError(
                f"{workdir}: cannot be packed with {place}, from which it differs in "
                f"{'; '.join(other)}; members of a pack may differ in {', '.join(VARIES)}"
            )


def _refuse_dropout_of_padding(runs: Sequence[Run]) -> None:
    """Refuses dropout where batches differ in width: a mask of another width is another mask.

    Members of other seeds have other batches at a step, which are padded to the widest.
    """
    (first, place), shapes = runs[0], runs[0][0].data.varying_shapes()
    if shapes is None or len({config.training.seed for config, _ in runs}) == 1:
        return
    for name, value in flat_values(first).items():
        if name.endswith("dropout_rate") and value:
            raise UserError(
                f"{place}: {name}={value} with {shapes}: members of other seeds would drop other "
                "values than by themselves; set data.max_shapes=1, or pack runs of one seed"
            )


def train_pack(
    runs: Sequence[Run], task: Task | None = None, data: Data | None = None
) -> list[Outcome]:
    """Trains, or resumes, runs as one program; members may be at different steps.

    Args:
      runs: see `check_pack`.
      task, data: of the configs where the caller has them already.

    Returns:
      How each member ended, in their order.

    Raises:
      UserError: see `check_pack`, `train` and `set_up`; or the mesh has several devices.
      RunFailure: rows or a checkpoint cannot be written.
    """
    check_pack(runs)
    first = runs[0][0]
    require_tensorboard(first.training)
    for config, workdir in runs:
        refuse_other_run(workdir, config)
    task = build_task(first) if task is None else task
    data = load_data(first, task) if data is None else data
    data.check_split("validation")
    setups = _set_up_all(runs, task, data)
    with contextlib.ExitStack() as stack:
        for config, workdir in runs:
            stack.enter_context(hold(workdir, config, data))
        setup = setups[0]
        evaluator = Evaluator(setup.model, data, first.evaluation, task, first.training.seed)
        members = [
            stack.enter_context(Member(*run, data, one, evaluator))
            for run, one in zip(runs, setups, strict=True)
        ]
        configs = [config for config, _ in runs]
        with (
            Pack(members, configs, data, setup) as pack,
            stop_on_signals(StopRequest()) as stop,
        ):
            pack.train(stop)
        status = stop.exit_status
        return [m.outcome(status) for m in members]


def _set_up_all(runs: Sequence[Run], task: Task, data: Data) -> list[Setup]:
    """The parts of each run; runs that start the same way share them."""
    found: dict[str, Setup] = {}
    setups = []
    for config, workdir in runs:
        key = to_text(to_json(config)["model"], sort_keys=True)
        if key not in found:
            carries = data.batches(config).carries_state
            found[key] = set_up(config, task, data.spec, carries_state=carries)
        if (size := found[key].mesh.size) > 1:
            raise UserError(
                f"{workdir}: a pack trains on one device, not {size}: set training.mesh_data=1"
            )
        setups.append(found[key])
    return setups


class Member(Trainer):
    """A run in a pack: a trainer whose state is a slice of the pack's."""

    def __init__(
        self, config: ExperimentConfig, workdir: Path, data: Data, setup: Setup, shared: Evaluator
    ) -> None:
        self._slice: Any = None
        evaluator = shared.with_seed(config.training.seed)
        super().__init__(
            config, workdir, data, setup, None, evaluator=evaluator, label=workdir.name
        )
        self.problem: str | None = None
        self.others: list[Member] = []

    @property
    def state(self) -> TrainState:
        """The state, taken from the pack where it is in one."""
        if self._slice is not None:
            return self._slice()
        assert self._own is not None
        return self._own

    @state.setter
    def state(self, state: TrainState) -> None:
        self._own: TrainState | None = state

    def join(self, take: Any) -> TrainState:
        """Gives its state to a pack, which `take` takes it from later."""
        state, self._own, self._slice = self.state, None, take
        return state

    def _evaluate_now(self) -> tuple[dict[str, float], bool]:
        """Evaluates while the clocks of the others are stopped too."""
        with contextlib.ExitStack() as stack:
            for other in self.others:
                stack.enter_context(other._clock.stopped())
            return super()._evaluate_now()

    @property
    def step(self) -> int:
        """The last step taken."""
        return self._step

    def count(self, outputs: Mapping[str, Any], stop: StopRequest) -> bool:
        """Counts a call, see `Trainer.count_call`; a run that diverged does not continue."""
        try:
            return self.count_call(outputs, stop)
        except NonFiniteError as error:
            self.problem = str(error)
            record_divergence(self._workdir, self.problem)
            self._progress.say(f"{self._workdir}: {error}; it is frozen, the others continue")
            return False

    def outcome(self, exit_status: int) -> Outcome:
        """How it ended."""
        stopped = exit_status if self.problem is None and self.continues() else 0
        return Outcome(self._workdir, self._step, self.problem, stopped)


class Pack:
    """The states of all members as one, and the program that advances them.

    Args:
      members: whose states are taken over.
      configs: theirs.
      data: of all.
      setup: of the first, whose forward pass is that of all.
    """

    def __init__(
        self,
        members: Sequence[Member],
        configs: Sequence[ExperimentConfig],
        data: Data,
        setup: Setup,
    ) -> None:
        self._members, self._setup = members, setup
        self._training = configs[0].training
        self._sources = [data.batches(config) for config in configs]
        self._rates = {
            name: jnp.array([vars(c.optimizer)[name] for c in configs], jnp.float32)
            for name in RATES
        }
        shardings = jax.tree.map(lambda x: x.sharding, setup.abstract)
        self._take = jax.jit(
            lambda states, i: jax.tree.map(lambda x: x[i], states), out_shardings=shardings
        )
        stack = jax.jit(lambda *states: jax.tree.map(lambda *x: jnp.stack(x), *states))
        self._states = stack(
            *(m.join(functools.partial(self._state, i)) for i, m in enumerate(members))
        )
        self._call = jax.jit(make_pack_call(configs[0], setup), donate_argnums=0)
        for member in members:
            member.others = [other for other in members if other is not member]
        self._starts = [m.step for m in members]
        self._ahead = Prefetcher(self._batches)

    def __enter__(self) -> Pack:
        return self

    def __exit__(self, *error: object) -> None:
        self._ahead.close()

    def _state(self, index: int) -> TrainState:
        return self._take(self._states, index)

    def _batches(self, number: int) -> Batch:
        """The batches of the members in call `number`, [M, B, ...] or [M, K, B, ...]."""
        steps, last = self._training.steps_per_call, self._training.num_steps
        made = []
        for source, start in zip(self._sources, self._starts, strict=True):
            first = min(start + number * steps, last - steps) + 1  # one that is done repeats itself
            parts = [source.batch(first + i) for i in range(steps)]
            made.append(jax.tree.map(lambda *x: np.stack(x), *parts) if steps > 1 else parts[0])
        return jax.device_put(jax.tree.map(lambda *x: stack_padded(x), *made))

    def train(self, stop: StopRequest) -> None:
        """Trains until every member is done, stopped or diverged."""
        goes_on = [member.continues() for member in self._members]
        alive, number = jnp.array(goes_on), 0
        with mesh_context(self._setup.mesh):
            while any(goes_on):
                batches = self._ahead.take(number)
                self._states, alive, outputs = self._call(self._states, alive, self._rates, batches)
                number += 1
                self._ahead.start(number, busy=outputs)
                found = PackedOutputs(outputs)
                before = list(goes_on)
                for i, member in enumerate(self._members):
                    goes_on[i] = goes_on[i] and member.count(found.of(i), stop)
                if goes_on != before:
                    alive = alive & jnp.array(goes_on)
        for member in self._members:
            member.wait()
        stop.finish()


def make_pack_call(config: ExperimentConfig, setup: Setup) -> Any:
    """Makes the program of one call of all members.

    It maps states [M, ...], whether each is alive [M], `RATES` [M] and batches [M, ...] to the
    states, which of them are still alive, and the outputs [M, ...] of `make_call`. A member that is
    not alive, or whose call is not finite, keeps its state.
    """
    training = config.training

    def call_one(
        state: TrainState, alive: jax.Array, rates: dict[str, jax.Array], batch: Batch
    ) -> tuple[TrainState, jax.Array, dict[str, Any]]:
        settings = dataclasses.replace(config.optimizer, **rates)  # type: ignore[arg-type]
        step = make_train_step(
            setup.model,
            setup.task,
            make_optimizer(settings, training.num_steps),
            make_schedule(settings, training.num_steps),
            accumulation_steps=training.accumulation_steps,
            ema_decay=training.ema_decay,
            log_every=training.log_every,
            is_frozen=setup.parts.is_frozen if setup.parts.frozen else None,
        )
        after, outputs = make_call(step, training.steps_per_call)(state, batch)
        alive = alive & outputs["finite"].all()
        kept = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, state)
        return kept, alive, outputs

    if jax.default_backend() == "cpu":
        # There are no more cores to fill, and products of stacked matrices are slow: one after the
        # other is twice as fast, or three times, at a width of 64.
        return lambda *given: jax.lax.map(lambda member: call_one(*member), given)
    return jax.vmap(call_one)
