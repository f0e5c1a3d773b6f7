"""Learning-rate schedules and optimizers from optax."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from seqmodels.config.finetuning import Parts, parse_parts
from seqmodels.config.training import OptimizerConfig, OptimizerName, Schedule
from seqmodels.layers.blocks import BLOCKS
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
    """An optimizer of the config, see `OptimizerName`, after clipping.

    Weight decay is decoupled for all: lr * weight_decay * w is subtracted from every weight. A
    part's factor on the learning rate scales its whole update, including the decay. Frozen parts
    have update 0 and no moments, and do not count in the norm that is clipped.
    """
    parts = parse_parts(config.frozen, config.lr_scales)
    adam = optax.scale_by_adam(config.beta1, config.beta2, config.epsilon)
    directions = {
        OptimizerName.ADAMW: adam,
        OptimizerName.SGD: optax.trace(config.momentum) if config.momentum else optax.identity(),
        OptimizerName.MUON: _muon(config.momentum, adam),
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


_ROOT_MEAN_SQUARE = 0.2
"""Of an update by AdamW, about, so that both kinds of parameters share one learning rate."""


def _muon(momentum: float, others: optax.GradientTransformation) -> optax.GradientTransformation:
    """Muon for the kernels of layers, `others` for the rest.

    With M the mean of gradients, Nesterov's, and U S V^T its singular values, the direction of a
    kernel [D, F] is about 0.2 sqrt(max(D, F)) U V^T, of root mean square 0.2 where it has full
    rank. Five steps of Newton and Schulz's iteration bring the singular values to about 1.

    Source: Liu et al., 2025, arXiv:2502.16982.
    """

    def scale(path: str, update: Any) -> Any:
        sizes = [math.prod(update.shape[a] for a in axes) for axes in _axes(path, update)]
        return _ROOT_MEAN_SQUARE * math.sqrt(max(sizes)) * update

    numbers = lambda path, update: optax.contrib.MuonDimensionNumbers(*_axes(path, update))
    orthogonal = optax.chain(
        optax.contrib.scale_by_muon(
            beta=momentum, weight_dimension_numbers=lambda updates: map_paths(numbers, updates)
        ),
        optax.stateless(lambda updates, _: map_paths(scale, updates)),
    )
    label = lambda path, _: "matrix" if _is_matrix(path) else "other"
    return optax.partition(
        {"matrix": orthogonal, "other": others}, lambda params: map_paths(label, params)
    )


def _is_matrix(path: str) -> bool:
    """Whether a parameter is the kernel of a layer; heads and convolutions do not count."""
    *parts, name = path.split("/")
    is_other = any(part.endswith("head") or part.startswith("convolution") for part in parts)
    return name.endswith("kernel") and not is_other


def _axes(path: str, kernel: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a kernel's inputs and outputs; heads, q, k and v, and gates are outputs.

    The first axis of stacked layers is neither: each layer has a matrix of its own.
    """
    first = int(BLOCKS in path.split("/"))
    return (first,), tuple(range(first + 1, kernel.ndim))


def _scale_parts(parts: Parts) -> optax.GradientTransformation:
    return optax.stateless(
        lambda updates, _: map_paths(lambda path, update: parts.scale(path) * update, updates)
    )
