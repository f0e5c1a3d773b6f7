"""The state of a run: arrays only, created sharded."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqmodels.models.initialize import init_params
from seqmodels.training.mesh import BATCH_AXES, mesh_context, shardings_of, unboxed


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a training step reads and writes (law 3).

    Attributes:
      step: optimizer steps done, int32 scalar.
      params: the model's parameters, float32.
      opt_state: optax's state; its moments are sharded like the parameters.
      key: the run's random key; every use folds in the step, the micro-batch and the use.
      log: (sum, weight) pairs gathered since the last logged step.
      carry: the model's carry where it runs on over batches (streams), else None.
      ema: moving average of the parameters where one is kept, else None.
    """

    step: Any
    params: Any
    opt_state: Any
    key: Any
    log: Any
    carry: Any = None
    ema: Any = None


def create_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    seed: int,
    mesh: Mesh,
    *,
    metric_names: tuple[str, ...],
    carry_rows: int | None = None,
    keep_ema: bool = False,
) -> tuple[TrainState, TrainState]:
    """Creates the first state directly in its shardings.

    The parameters stay boxed (flax's partitioning metadata) until the optimizer has made its
    moments, which so inherit the parameters' shardings.

    Args:
      metric_names: keys of `TrainState.log`.
      carry_rows: global batch size where the carry runs on over batches, else None.
      keep_ema: whether a moving average of the parameters is kept.

    Returns:
      The state, and the tree of its shardings.
    """

    def create(key: jax.Array) -> TrainState:
        params = init_params(model, jax.random.fold_in(key, 0))
        carry = None
        if carry_rows is not None:
            carry = model.apply(
                {"params": unboxed(params)}, carry_rows, 1, method="initial_carry"
            )
        return TrainState(
            step=jnp.int32(0),
            params=params,
            opt_state=optimizer.init(params),
            key=jax.random.fold_in(key, 1),
            log={name: (jnp.float32(0), jnp.float32(0)) for name in metric_names},
            carry=carry,
            ema=jax.tree.map(jnp.copy, params) if keep_ema else None,
        )

    key = jax.random.key(seed)
    with mesh_context(mesh):
        shardings = shardings_of(jax.eval_shape(create, key), mesh)
        rows = NamedSharding(mesh, PartitionSpec(BATCH_AXES))
        shardings = dataclasses.replace(
            shardings, carry=jax.tree.map(lambda _: rows, shardings.carry)
        )
        state = jax.jit(lambda k: unboxed(create(k)), out_shardings=shardings)(key)
    return state, shardings


def abstract_state(state: TrainState, shardings: TrainState) -> TrainState:
    """Shapes, dtypes and shardings of `state`, which a checkpoint restores into."""
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, shardings
    )
