"""Schedules against their formulas, and updates against a numpy version of the equations."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.training import OptimizerConfig, OptimizerName, Schedule
from seqmodels.training.optimizers import decay_mask, make_optimizer, make_schedule
from tests.tolerances import TOLERANCE

PEAK, WARMUP, STEPS, FINAL, FALL = 0.4, 4, 24, 0.1, 6


def expected_lr(schedule: Schedule, step: int) -> float:
    if step <= WARMUP:
        return PEAK * step / WARMUP
    u = (step - WARMUP) / (STEPS - WARMUP)
    return {
        Schedule.CONSTANT: PEAK,
        Schedule.COSINE: FINAL + (PEAK - FINAL) * 0.5 * (1 + math.cos(math.pi * u)),
        Schedule.LINEAR: PEAK + (FINAL - PEAK) * u,
        Schedule.INVERSE_SQRT: PEAK * math.sqrt(WARMUP / step),
        Schedule.WSD: min(PEAK, PEAK + (FINAL - PEAK) * (step - STEPS + FALL) / FALL),
        Schedule.STEP: PEAK * 0.5 ** ((step - WARMUP - 1) // 5),
    }[schedule]


@pytest.mark.parametrize("schedule", list(Schedule))
def test_schedule_at_every_step(schedule: Schedule) -> None:
    config = OptimizerConfig(
        peak_lr=PEAK, schedule=schedule, warmup_steps=WARMUP, final_lr=FINAL, decay_every=5
    )
    config.decay_steps = FALL
    lr = make_schedule(config, STEPS)
    got = [float(lr(step - 1)) for step in range(1, STEPS + 1)]
    want = [expected_lr(schedule, step) for step in range(1, STEPS + 1)]
    np.testing.assert_allclose(got, want, **TOLERANCE["reference"])


def test_each_epoch_after_the_fourth_halves_the_rate() -> None:
    """Zaremba et al., 2014: epochs of 3 steps, the first four at the peak."""
    config = OptimizerConfig(
        peak_lr=1.0,
        schedule=Schedule.STEP,
        warmup_steps=0,
        decay_start=9,
        decay_every=3,
        decay_factor=0.5,
    )
    lr = make_schedule(config, 18)
    got = [float(lr(step - 1)) for step in range(1, 19)]
    assert got == [1.0] * 12 + [0.5] * 3 + [0.25] * 3


def test_without_warmup_or_delay_step_is_torch_s_step_lr() -> None:
    """torch 2.13: StepLR(SGD(lr=0.4), step_size=5, gamma=0.5).get_last_lr() of 12 steps."""
    config = OptimizerConfig(
        peak_lr=0.4, schedule=Schedule.STEP, warmup_steps=0, decay_every=5, decay_factor=0.5
    )
    lr = make_schedule(config, 12)
    torch = [0.4] * 5 + [0.2] * 5 + [0.1] * 2
    np.testing.assert_allclose([lr(n) for n in range(12)], torch, **TOLERANCE["reference"])


@pytest.mark.parametrize("schedule", list(Schedule))
def test_without_warmup_the_first_step_moves(schedule: Schedule) -> None:
    config = OptimizerConfig(peak_lr=PEAK, schedule=schedule, warmup_steps=0, decay_steps=FALL)
    lr = make_schedule(config, STEPS)
    assert PEAK / 2 < float(lr(0)) <= np.float32(PEAK)


PARAMS = {
    "cell": {"kernel": 3.0, "recurrent_kernel": -2.0, "bias": 1.0},
    "norm": {"scale": 1.5},
    "embedding": {"embedding": 0.5},
}


def test_decay_spares_biases_norms_and_embeddings() -> None:
    assert decay_mask(PARAMS) == {
        "cell": {"kernel": True, "recurrent_kernel": True, "bias": False},
        "norm": {"scale": False},
        "embedding": {"embedding": False},
    }


def numpy_adamw(w: float, grads: list[float], decayed: bool, c: OptimizerConfig) -> float:
    m = v = 0.0
    for t, g in enumerate(grads, 1):
        m = c.beta1 * m + (1 - c.beta1) * g
        v = c.beta2 * v + (1 - c.beta2) * g * g
        direction = (m / (1 - c.beta1**t)) / (math.sqrt(v / (1 - c.beta2**t)) + c.epsilon)
        w -= c.peak_lr * (direction + c.weight_decay * w * decayed)
    return w


def numpy_sgd(w: float, grads: list[float], decayed: bool, c: OptimizerConfig) -> float:
    velocity = 0.0
    for g in grads:
        velocity = c.momentum * velocity + g
        w -= c.peak_lr * (velocity + c.weight_decay * w * decayed)
    return w


@pytest.mark.parametrize(
    ("name", "reference"), [(OptimizerName.ADAMW, numpy_adamw), (OptimizerName.SGD, numpy_sgd)]
)
@pytest.mark.parametrize("clip_norm", [None, 0.7])
def test_updates_equal_numpy(name: OptimizerName, reference, clip_norm: float | None) -> None:
    config = OptimizerConfig(
        name=name,
        peak_lr=0.05,
        schedule=Schedule.CONSTANT,
        warmup_steps=0,
        weight_decay=0.3,
        clip_norm=clip_norm,
    )
    params = {"kernel": jnp.float32(3.0), "bias": jnp.float32(1.0)}
    grads = [{"kernel": 0.5 * t, "bias": -1.0} for t in range(1, 6)]
    optimizer = make_optimizer(config, num_steps=5)
    state = optimizer.init(params)
    for g in grads:
        updates, state = optimizer.update({n: jnp.float32(x) for n, x in g.items()}, state, params)
        params = {n: params[n] + updates[n] for n in params}
    for n, start in (("kernel", 3.0), ("bias", 1.0)):
        norms = [math.hypot(*g.values()) for g in grads]
        scales = [1.0 if clip_norm is None else min(1.0, clip_norm / norm) for norm in norms]
        clipped = [g[n] * s for g, s in zip(grads, scales, strict=True)]
        want = reference(start, clipped, n == "kernel", config)
        np.testing.assert_allclose(params[n], want, **TOLERANCE["reference"])
