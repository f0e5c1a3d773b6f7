"""Schedules against their formulas, and updates against a numpy version of the equations."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AbstractMesh

from seqmodels.config.training import OptimizerConfig, OptimizerName, Schedule
from seqmodels.distributed.mesh import shardings_of
from seqmodels.runs.paths import flat
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


def numpy_orthogonal(m: np.ndarray) -> np.ndarray:
    """Five steps of Newton and Schulz's iteration with Jordan's coefficients."""
    x = m / np.linalg.norm(m)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def test_muon_equals_numpy_for_each_matrix_and_adam_for_the_rest() -> None:
    config = OptimizerConfig(
        name=OptimizerName.MUON,
        peak_lr=0.05,
        schedule=Schedule.CONSTANT,
        warmup_steps=0,
        weight_decay=0.3,
        momentum=0.95,
        clip_norm=None,
    )
    random = np.random.default_rng(0)
    shapes = {
        "cell": {"recurrent_kernel": (6, 4), "bias": (4,)},
        "stack": {"blocks": {"qkv": {"kernel": (2, 5, 3, 2)}, "norm": {"scale": (2, 5)}}},
        "head": {"Dense_0": {"kernel": (4, 3)}},
        "blocks_0": {"convolutions_0": {"kernel": (3, 2, 2)}},
        "embedding": {"table": (7, 3)},
    }
    is_shape = lambda x: isinstance(x, tuple)
    draw = lambda: jax.tree.map(lambda shape: random.normal(size=shape), shapes, is_leaf=is_shape)
    start, grads = draw(), [draw() for _ in range(3)]
    optimizer = make_optimizer(config, num_steps=3)
    to_jax = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)
    params = to_jax(start)
    state = optimizer.init(params)
    for g in grads:
        updates, state = optimizer.update(to_jax(g), state, params)
        params = optax.apply_updates(params, updates)

    def by_muon(w: np.ndarray, gs: list[np.ndarray]) -> np.ndarray:
        """Of one matrix; the means are those of Adam, and the last gradient counts twice."""
        mean, b = np.zeros_like(w), config.momentum
        for t, g in enumerate(gs, 1):
            mean = b * mean + (1 - b) * g
            ahead = b * mean / (1 - b ** (t + 1)) + (1 - b) * g / (1 - b**t)
            direction = 0.2 * math.sqrt(max(w.shape)) * numpy_orthogonal(ahead)
            w = w - config.peak_lr * (direction + config.weight_decay * w)
        return w

    def by_adam(w: np.ndarray, gs: list[np.ndarray], decayed: bool) -> np.ndarray:
        m, v = np.zeros_like(w), np.zeros_like(w)
        for t, g in enumerate(gs, 1):
            m = config.beta1 * m + (1 - config.beta1) * g
            v = config.beta2 * v + (1 - config.beta2) * g * g
            direction = m / (1 - config.beta1**t) / (np.sqrt(v / (1 - config.beta2**t)) + 1e-8)
            w = w - config.peak_lr * (direction + config.weight_decay * w * decayed)
        return w

    given, found = flat(start), flat(params)
    gradients = [flat(g) for g in grads]
    for path, w in given.items():
        gs = [g[path] for g in gradients]
        if path == "cell/recurrent_kernel":
            want = by_muon(w, gs)
        elif path == "stack/blocks/qkv/kernel":
            layers = [by_muon(w[n].reshape(5, 6), [g[n].reshape(5, 6) for g in gs]) for n in (0, 1)]
            want = np.stack(layers).reshape(w.shape)
        else:
            want = by_adam(w, gs, path.endswith("kernel"))
        np.testing.assert_allclose(found[path], want, **TOLERANCE["gradient"], err_msg=path)


def test_the_momentum_of_muon_is_split_over_a_mesh_as_its_kernel() -> None:
    optimizer = make_optimizer(OptimizerConfig(name=OptimizerName.MUON), num_steps=3)
    box = lambda *names: nn.Partitioned(jnp.zeros((2, 6, 4)[-len(names) :]), names)
    params = {
        "stack": {"blocks": {"wide": {"kernel": box("layers", "embed", "mlp")}}},
        "embedding": {"table": box("vocab", "embed")},
    }
    shapes = jax.eval_shape(lambda: (params, optimizer.init(params)))
    mesh = AbstractMesh((1, 2, 1, 1), ("data", "fsdp", "sequence", "tensor"))
    own, state = (flat(tree) for tree in shardings_of(shapes, mesh))
    for path, sharding in own.items():
        name = "mu" if path.startswith("stack") else "nu"
        (held,) = [x for place, x in state.items() if place.endswith(f"{name}/{path}")]
        assert held.spec == sharding.spec
        assert "fsdp" in sharding.spec
