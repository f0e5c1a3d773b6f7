"""Learning-rate schedules and optimizers from optax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from seqmodels.config.finetuning import Parts, parse_parts
from seqmodels.config.training import OptimizerConfig, OptimizerName, Schedule
from seqmodels.runs.paths import map_paths


def make_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """Learning rate as a function of the number of steps already done.

    Step s = 1..num_steps uses lr(s): peak_lr * s / warmup_steps up to warmup_steps, so that the
    first step moves and step warmup_steps has the peak; then the schedule over
    u = s - warmup_steps of U = num_steps - warmup_steps, see `Schedule`.
    """
    peak, warmup = config.peak_lr, config.warmup_steps
    remaining = max(num_steps - warmup, 1)
    stable = remaining - config.decay_steps
    fall = optax.linear_schedule(peak, config.final_lr, config.decay_steps, max(stable, 0))
    steps = optax.exponential_decay(
        peak, config.decay_every, config.decay_factor, config.decay_start, staircase=True
    )
    decays: dict[Schedule, optax.Schedule] = {
        Schedule.CONSTANT: optax.constant_schedule(peak),
        Schedule.COSINE: optax.cosine_decay_schedule(peak, remaining, alpha=config.final_lr / peak),
        Schedule.LINEAR: optax.linear_schedule(peak, config.final_lr, remaining),
        Schedule.INVERSE_SQRT: lambda u: peak * jnp.sqrt(max(warmup, 1) / (u + max(warmup, 1))),
        Schedule.STEP: lambda u: steps(u - 1),  # counts the steps done after the warm-up
        # The peak itself, to the bit, as long as it lasts.
        Schedule.WSD: lambda u: jnp.where(jnp.asarray(u) <= stable, peak, fall(u)),
    }
    decay = decays[config.schedule]
    whole = optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), decay], [warmup])
    schedule = whole if warmup else decay
    return lambda count: schedule(count + 1)


def decay_mask(params: Any) -> Any:
    """True for weights of matrix products; False for biases, norms, embeddings and positions."""

    def is_weight(path: tuple[Any, ...], _: Any) -> bool:
        names = [k.key for k in path if isinstance(k, jax.tree_util.DictKey)]
        return str(names[-1]).endswith("kernel")

    return jax.tree_util.tree_map_with_path(is_weight, params)


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101) or SGD with momentum, after clipping.

    Weight decay is decoupled for both: lr * weight_decay * w is subtracted from every weight. A
    part's factor on the learning rate scales its whole update, including the decay. Frozen parts
    have update 0 and no moments, and do not count in the norm that is clipped.
    """
    parts = parse_parts(config.frozen, config.lr_scales)
    directions = {
        OptimizerName.ADAMW: optax.scale_by_adam(config.beta1, config.beta2, config.epsilon),
        OptimizerName.SGD: optax.trace(config.momentum) if config.momentum else optax.identity(),
    }
    clip = (
        optax.identity()
        if config.clip_norm is None
        else optax.clip_by_global_norm(config.clip_norm)
    )
    trained = optax.chain(
        clip,
        directions[config.name],
        optax.add_decayed_weights(config.weight_decay, mask=decay_mask),
        optax.scale_by_learning_rate(make_schedule(config, num_steps)),
        *([_scale_parts(parts)] if parts.scales else []),
    )
    if not parts.frozen:
        return trained
    label = lambda path, _: "frozen" if parts.is_frozen(path) else "trained"
    return optax.partition(
        {"trained": trained, "frozen": optax.set_to_zero()},
        lambda params: map_paths(label, params),
    )


def _scale_parts(parts: Parts) -> optax.GradientTransformation:
    return optax.stateless(
        lambda updates, _: map_paths(lambda path, update: parts.scale(path) * update, updates)
    )
