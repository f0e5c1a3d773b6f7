"""Creation of a run's state, which holds arrays only, directly in its shardings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqmodels.distributed.mesh import BATCH_AXES, shardings_of, unboxed
from seqmodels.models.initialize import init_params
from seqmodels.protocols import Model
from seqmodels.runs.paths import replaced
from seqmodels.types import TrainState

Initial = Callable[[jax.Array, dict[str, jax.Array]], TrainState]
"""Maps a key and parameters by path to the first state, whose parameters are still boxed.

The given parameters are used instead of initialised ones."""


def make_initial(
    model: Model,
    optimizer: optax.GradientTransformation,
    *,
    metric_names: tuple[str, ...],
    carry_rows: int | None = None,
    keep_ema: bool = False,
) -> Initial:
    """Makes the function that creates the first state.

    The optimizer makes its moments from the boxed parameters (flax's partitioning metadata), so
    that they inherit the parameters' shardings.

    Args:
      metric_names: keys of `TrainState.log`.
      carry_rows: global batch size if the carry continues over batches, otherwise None.
      keep_ema: whether a moving average of the parameters is kept.
    """

    def initial(key: jax.Array, taken: dict[str, jax.Array]) -> TrainState:
        params = replaced(init_params(model, jax.random.fold_in(key, 0)), taken)
        carry = None
        if carry_rows is not None:
            variables = {"params": unboxed(params)}
            carry = model.apply(variables, carry_rows, 1, method="initial_carry")
        return TrainState(
            step=jnp.int32(0),
            params=params,
            opt_state=optimizer.init(params),
            key=jax.random.fold_in(key, 1),
            log={name: (jnp.float32(0), jnp.float32(0)) for name in metric_names},
            carry=carry,
            ema=jax.tree.map(jnp.copy, params) if keep_ema else None,
        )

    return initial


def abstract_state(initial: Initial, mesh: Mesh, rows: int | None = None) -> TrainState:
    """Shapes, dtypes and shardings of the state; takes no memory.

    Checkpoints are restored into it, and steps compiled for it. `rows` as in `shardings_of`.
    """
    shapes = jax.eval_shape(initial, jax.random.key(0), {})
    shardings = shardings_of(shapes, mesh, rows)
    batch = NamedSharding(mesh, PartitionSpec(BATCH_AXES))
    shardings = dataclasses.replace(shardings, carry=jax.tree.map(lambda _: batch, shardings.carry))
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), unboxed(shapes), shardings
    )


def make_creation(
    initial: Initial, abstract: TrainState
) -> Callable[[jax.Array, dict[str, jax.Array]], TrainState]:
    """Makes the program that creates first states directly in their shardings.

    Its arguments are those of `initial`; the buffers of given parameters are donated.
    """
    return jax.jit(
        lambda key, taken: unboxed(initial(key, taken)),
        out_shardings=jax.tree.map(lambda x: x.sharding, abstract),
        donate_argnums=1,
    )
