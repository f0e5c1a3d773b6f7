"""One loop for every model that has a carry (law 1): what it puts out becomes what it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from seqmodels.decoding.prefill import position_limit, readout
from seqmodels.decoding.unstacked import Stacks
from seqmodels.protocols import Model
from seqmodels.types import Carry, Params

Choose = Callable[[Array, Any, Any], tuple[Array, Any]]
"""(outputs [B, ...] of the model, index of the choice, state) -> (next inputs, state)."""


def unroll(
    model: Model,
    params: Params,
    carry: Carry,
    inputs: Num[Array, "B ..."],
    state: Any,
    choose: Choose,
    count: Int[Array, ""] | int,
    *,
    start: Int[Array, ""] | int = 0,
    size: int | None = None,
) -> tuple[Carry, Array, Any, Array]:
    """Feeds back what `choose` makes of the outputs, `count` times.

        features, carry = model(inputs, carry)
        inputs, state = choose(readout(features), start + i, state)    # i = 0 .. count - 1

    Call it inside jit.

    Args:
      model: any causal model.
      params: its arrays, unboxed.
      carry: of a model that has read everything before `inputs`.
      inputs: the first inputs to read: tokens [B] or values [B, D].
      state: arrays that `choose` hands from one choice to the next, or None.
      choose: returns inputs of the same shape and dtype.
      count: may be traced, so that one program serves every count.
      start: index of the first choice.
      size: room for the choices; None = count, which is then not traced.

    Returns:
      carry, inputs and state after the last step; and the choices [B, size, ...], zeros from
      `count` on.
    """

    weights, states = Stacks(params), Stacks(carry)
    layers = weights.unstack(params)

    def step(i: Array, loop: tuple[Any, Array, Any, Array]) -> tuple[Any, Array, Any, Array]:
        carry, inputs, state, chosen = loop
        params, carry = weights.stack(layers), states.stack(carry)
        features, carry = model.apply({"params": params}, inputs[:, None], carry, train=False)
        outputs = readout(model, params, features[:, 0])
        inputs, state = choose(outputs, start + i, state)
        return states.unstack(carry), inputs, state, chosen.at[:, i].set(inputs)

    size = int(count) if size is None else size
    chosen = jnp.zeros((len(inputs), size, *inputs.shape[1:]), inputs.dtype)
    loop = (states.unstack(carry), inputs, state, chosen)
    carry, *rest = jax.lax.fori_loop(0, count, step, loop)
    return states.stack(carry), *rest


def next_values(
    outputs: Float[Array, "B horizon channels quantiles"], index: Any, state: Any
) -> tuple[Float[Array, "B channels"], Any]:
    """Chooses the prediction itself: the first step of the horizon, the middle quantile."""
    del index
    return outputs[:, 0, :, outputs.shape[-1] // 2], state


def unroll_values(
    model: Model,
    params: Params,
    inputs: Float[Array, "B T D"],
    horizon: int,
    choose: Choose = next_values,
    state: Any = None,
) -> Float[Array, "B horizon D"]:
    """Forecasts recursively: each prediction is the next input.

    Call it through jit: `jax.jit(lambda params, inputs: unroll_values(model, params, inputs, 24))`.

    Args:
      model: a causal model whose inputs are D values, and whose outputs are D channels.
      params: its arrays, unboxed.
      inputs: the values observed so far.
      horizon: steps to forecast, 1 and above.
      choose: makes the next values [B, D] from outputs [B, horizon, channels, quantiles] of the
        model; a sample of them, for instance.
      state: the first state of `choose`.

    Raises:
      ValueError: the model has too few positions.
    """
    batch, length = inputs.shape[:2]
    # The last prediction is never read, so it needs no position.
    needed, limit = length + horizon - 1, position_limit(model)
    if limit is not None and needed > limit:
        raise ValueError(
            f"{length} observed steps and a horizon of {horizon} need {needed} positions; the "
            f"model has max_length = {limit}"
        )
    variables = {"params": params}
    carry = model.apply(variables, batch, needed, method="initial_carry")
    features, carry = model.apply(variables, inputs, carry, train=False)
    first, state = choose(readout(model, params, features[:, -1]), 0, state)
    *_, others = unroll(model, params, carry, first, state, choose, horizon - 1, start=1)
    return jnp.concatenate([first[:, None], others], axis=1)
