"""Parts of a run, made from its config without using memory on the devices."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.finetuning import Parts, parse_parts
from seqmodels.distributed.mesh import make_mesh, mesh_context
from seqmodels.models.build import build_model, check_misfits
from seqmodels.protocols import Model, Task
from seqmodels.runs.paths import flat
from seqmodels.training import optimizers
from seqmodels.training.state import (
    Initial,
    abstract_state,
    make_creation,
    make_initial,
)
from seqmodels.training.step import make_call, make_train_step
from seqmodels.types import DataSpec, TrainState


@dataclasses.dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes:
      model, task: the model and task of the config.
      mesh: the devices.
      abstract: shapes, dtypes and shardings of the state.
      call: the jitted program of `steps_per_call` steps; the state is donated.
      parts: parts of the model that are frozen or have another learning rate.
    """

    model: Model
    task: Task
    mesh: Mesh
    abstract: TrainState
    call: Any
    parts: Parts
    _initial: Initial

    def create_state(self, seed: int, taken: dict[str, jax.Array] | None = None) -> TrainState:
        """Creates the first state; `taken` are parameters by path, whose buffers are donated."""
        with mesh_context(self.mesh):
            return self._create(jax.random.key(seed), taken or {})

    @functools.cached_property
    def _create(self) -> Any:
        return make_creation(self._initial, self.abstract)

    def count_params(self) -> tuple[int, int]:
        """Number of trained parameters, and of all."""
        sizes = {path: x.size for path, x in flat(self.abstract.params).items()}
        frozen = sum(size for path, size in sizes.items() if self.parts.is_frozen(path))
        return sum(sizes.values()) - frozen, sum(sizes.values())


def set_up(config: ExperimentConfig, task: Task, spec: DataSpec, *, carries_state: bool) -> Setup:
    """Makes the parts.

    Args:
      task: of the config.
      spec: what the data decide.
      carries_state: whether the model's carry runs on from batch to batch.

    Raises:
      UserError: the devices cannot form the mesh of the config, or optimizer.frozen or lr_scales
        names a part that the model does not have, or fields of the model do not go with the data.
    """
    training, batch_size = config.training, config.data.batch_size
    check_misfits(config.model, spec)
    model = build_model(config.model, spec, jnp.dtype(config.training.dtype.value))
    optimizer = optimizers.make_optimizer(config.optimizer, training.num_steps)
    mesh = make_mesh(training, batch_size)
    initial = make_initial(
        model,
        optimizer,
        metric_names=(*task.metric_names, "gradient_norm", "parameter_norm"),
        carry_rows=batch_size if carries_state else None,
        keep_ema=training.ema_decay is not None,
    )
    abstract = abstract_state(initial, mesh, batch_size // training.accumulation_steps)
    parts = parse_parts(config.optimizer.frozen, config.optimizer.lr_scales)
    parts.check(flat(abstract.params))
    shardings = jax.tree.map(lambda x: x.sharding, abstract)
    step = make_train_step(
        model,
        task,
        optimizer,
        optimizers.make_schedule(config.optimizer, training.num_steps),
        accumulation_steps=training.accumulation_steps,
        ema_decay=training.ema_decay,
        log_every=training.log_every,
        is_frozen=parts.is_frozen if parts.frozen else None,
        shardings=shardings.params if mesh.size > 1 else None,
    )
    call = jax.jit(
        make_call(step, training.steps_per_call),
        donate_argnums=0,
        # All outputs but the state are replicated, so that each process can read them.
        out_shardings=(shardings, NamedSharding(mesh, PartitionSpec())),
    )
    return Setup(model, task, mesh, abstract, call, parts, initial)
