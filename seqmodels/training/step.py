"""One training step: a pure function (TrainState, Batch) -> (TrainState, Metrics)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from seqmodels.protocols import Model, Task
from seqmodels.runs.paths import map_paths
from seqmodels.training.metrics import merge
from seqmodels.types import Batch, Carry, Metrics, Params, TrainState

StepFunction = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]
Gradients = Callable[[Params, Batch, Carry, jax.Array], tuple[Params, jax.Array, Metrics, Carry]]
IsFrozen = Callable[[str], bool]


def make_train_step(
    model: Model,
    task: Task,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    *,
    accumulation_steps: int = 1,
    ema_decay: float | None = None,
    log_every: int = 1,
    is_frozen: IsFrozen | None = None,
    shardings: Any = None,
) -> StepFunction:
    """Makes the function of one training step.

    The gradient is that of the mean over all targets of the batch, for any micro-batches:

        g = sum_m d loss_sum_m / d params  /  sum_m weight_m

    Args:
      schedule: the learning rate of the optimizer, which is reported.
      is_frozen: whether the parameter of a path never changes, in the moving average too; its
        gradient is 0 and not computed.
      shardings: shardings of the parameters, unless they are left to the compiler.

    Returns:
      A function of state and batch. Its second result holds `finite` (whether loss and gradient
      are), `log` (the pairs summed since the last multiple of log_every) and `learning_rate`.
    """
    compute = make_gradients(model, task, is_frozen, shardings)
    if accumulation_steps > 1:
        compute = accumulated(compute, accumulation_steps)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        key = jax.random.fold_in(state.key, state.step)
        rate = jnp.float32(schedule(state.step))
        grads, weight, metrics, carry = compute(state.params, batch, state.carry, key)
        grads = jax.tree.map(lambda g: g / jnp.maximum(weight, 1.0), grads)
        norm = optax.tree.norm(grads)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = _moved(is_frozen, state.params, optax.apply_updates(state.params, updates))
        ema = state.ema
        if ema_decay is not None:
            average = optax.incremental_update(params, ema, 1.0 - ema_decay)
            ema = _moved(is_frozen, ema, average)
        one = jnp.float32(1)
        metrics = {
            **metrics,
            "gradient_norm": (norm, one),
            "parameter_norm": (optax.tree.norm(params), one),
        }
        kept = jnp.float32(state.step % log_every != 0)
        log = merge(jax.tree.map(lambda x: kept * x, state.log), metrics)
        state = dataclasses.replace(
            state,
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            log=log,
            carry=carry,
            ema=ema,
        )
        finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss"][0])
        return state, {"finite": finite, "log": log, "learning_rate": rate}

    return train_step


def make_gradients(
    model: Model, task: Task, is_frozen: IsFrozen | None = None, shardings: Any = None
) -> Gradients:
    """Makes the function that computes gradients.

    It maps params, batch, carry and key to the gradient of the summed loss, the weight of the
    targets, the metrics that training logs, and the carry after the batch.
    """

    def gradients(
        params: Params, batch: Batch, carry: Carry, key: jax.Array
    ) -> tuple[Params, jax.Array, Metrics, Carry]:
        def loss(params: Params) -> tuple[jax.Array, Any]:
            params = _moved(is_frozen, jax.lax.stop_gradient(params), params)
            total, weight, metrics, new_carry = task.forward(
                model, params, batch, carry, train=True, key=key
            )
            logged = {name: metrics[name] for name in task.metric_names}
            return total, (weight, logged, new_carry)

        grads, (weight, metrics, new_carry) = jax.grad(loss, has_aux=True)(params)
        if shardings is not None:
            # Each device sums and updates only the part of a parameter that it holds.
            grads = jax.lax.with_sharding_constraint(grads, shardings)
        return grads, weight, metrics, jax.lax.stop_gradient(new_carry)

    return gradients


def accumulated(gradients: Gradients, num_parts: int) -> Gradients:
    """Computes the same sums over num_parts micro-batches in sequence."""
    # Interleaved rows: [B] sharded over devices becomes [B / A, A] without moving data.
    split = lambda x: jnp.moveaxis(x.reshape(-1, num_parts, *x.shape[1:]), 1, 0)
    join = lambda x: jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])

    def summed(
        params: Params, batch: Batch, carry: Carry, key: jax.Array
    ) -> tuple[Params, jax.Array, Metrics, Carry]:
        def micro_step(sums: Any, part: Any) -> tuple[Any, Carry]:
            index, micro, micro_carry = part
            *new, micro_carry = gradients(
                params, micro, micro_carry, jax.random.fold_in(key, index)
            )
            return jax.tree.map(jnp.add, sums, tuple(new)), micro_carry

        parts = (jnp.arange(num_parts), *jax.tree.map(split, (batch, carry)))
        shapes = jax.eval_shape(
            lambda p: gradients(params, p[1], p[2], key)[:3], jax.tree.map(lambda x: x[0], parts)
        )
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        (grads, weight, metrics), carries = jax.lax.scan(micro_step, zeros, parts)
        return grads, weight, metrics, jax.tree.map(join, carries)

    return summed


def _moved(is_frozen: IsFrozen | None, old: Params, new: Params) -> Params:
    """`new`, with `old` for the frozen parameters."""
    if is_frozen is None:
        return new
    return map_paths(lambda path, old, new: old if is_frozen(path) else new, old, new)


def make_call(step: StepFunction, steps_per_call: int) -> StepFunction:
    """Makes one program of K = steps_per_call steps on batches [K, B, ...]; `finite` is [K]."""

    def call(state: TrainState, batches: Batch) -> tuple[TrainState, dict[str, Any]]:
        state, outputs = jax.lax.scan(step, state, batches)
        last = jax.tree.map(lambda x: x[-1], outputs)
        return state, {**last, "finite": outputs["finite"]}

    def single(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        state, outputs = step(state, batch)
        return state, {**outputs, "finite": outputs["finite"][None]}

    return call if steps_per_call > 1 else single
