"""The training step: micro-batches, log, several steps per call, keys, average, carry."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import OptimizerConfig, TrainingConfig
from seqmodels.distributed.mesh import make_mesh, mesh_context
from seqmodels.models.build import build_model
from seqmodels.tasks.language_model import LanguageModel
from seqmodels.training.metrics import means
from seqmodels.training.optimizers import make_optimizer
from seqmodels.training.state import (
    abstract_state,
    make_creation,
    make_initial,
)
from seqmodels.training.step import make_call, make_train_step
from seqmodels.types import Batch, DataSpec, TokenInput, TrainState, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V = 4, 5, 11
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
TASK = LanguageModel(LanguageModelConfig())


def make(
    *, carry: bool = False, ema_decay: float | None = None, dropout_rate: float = 0.0, **kwargs: Any
) -> tuple[Any, TrainState]:
    config = RecurrentConfig(model_dim=6, hidden_dim=7, dropout_rate=dropout_rate)
    model = build_model(config, SPEC, jnp.float32)
    optimizer = make_optimizer(OptimizerConfig(peak_lr=0.05, warmup_steps=0), 10)
    initial = make_initial(
        model,
        optimizer,
        metric_names=(*TASK.metric_names, "gradient_norm", "parameter_norm"),
        carry_rows=B if carry else None,
        keep_ema=ema_decay is not None,
    )
    mesh = make_mesh(TrainingConfig(mesh_data=1), B)
    with mesh_context(mesh):
        state = make_creation(initial, abstract_state(initial, mesh))(jax.random.key(0), {})
    step = make_train_step(model, TASK, optimizer, lambda n: 0.5 * n, ema_decay=ema_decay, **kwargs)
    return step, state


def make_batch(step: int) -> Batch:
    rng = np.random.default_rng(step)
    tokens = rng.integers(0, V, (B, T + 1)).astype(np.int32)
    # Rows of very different weight: a mean of micro-batch means would differ.
    weights = (np.arange(T)[None] < np.array([[5], [1], [2], [0]])).astype(np.float32)
    return Batch(tokens[:, :-1], tokens[:, 1:], weights)


def run(step: Any, state: TrainState, num_steps: int) -> tuple[TrainState, list[Any]]:
    outputs = []
    jitted = jax.jit(step)
    for s in range(1, num_steps + 1):
        state, out = jitted(state, make_batch(s))
        outputs.append(out)
    return state, outputs


def assert_params(a: TrainState, b: TrainState, tolerance: str) -> None:
    for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
        np.testing.assert_allclose(x, y, **TOLERANCE[tolerance])


@pytest.mark.parametrize("carry", [False, True])
def test_micro_batches_are_weighted_by_their_tokens(carry: bool) -> None:
    whole, state = make(carry=carry)
    parts, _ = make(carry=carry, accumulation_steps=2)
    a, outputs_a = run(whole, state, 3)
    b, outputs_b = run(parts, state, 3)
    assert_params(a, b, "gradient")
    got, want = means(outputs_b[-1]["log"]), means(outputs_a[-1]["log"])
    np.testing.assert_allclose(got["loss"], want["loss"], **TOLERANCE["gradient"])
    if carry:
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, **TOLERANCE["gradient"]), a.carry, b.carry
        )


def test_log_holds_the_steps_since_the_last_row() -> None:
    each, state = make()
    _, singles = run(each, state, 4)
    pairs, state = make(log_every=2)
    _, outputs = run(pairs, state, 4)
    for row in (2, 4):
        losses = [singles[s - 1]["log"]["loss"] for s in (row - 1, row)]
        want = sum(float(x) for x, _ in losses) / sum(float(w) for _, w in losses)
        got = means(outputs[row - 1]["log"])["loss"]
        np.testing.assert_allclose(got, want, **TOLERANCE["rounding"])


def test_several_steps_per_call_give_the_same_bits() -> None:
    step, state = make(dropout_rate=0.3, carry=True)
    single, _ = run(step, state, 4)
    call = jax.jit(make_call(step, 2), donate_argnums=0)
    for first in (1, 3):
        batches = jax.tree.map(lambda *x: np.stack(x), make_batch(first), make_batch(first + 1))
        state, outputs = call(state, batches)
    assert outputs["finite"].shape == (2,)
    assert float(outputs["learning_rate"]) == 0.5 * 3  # of the last step, after three others
    assert_params(single, state, "exact")


def test_outputs_survive_the_donation_of_the_state() -> None:
    step, state = make()
    call = jax.jit(make_call(step, 1), donate_argnums=0)
    state, first = call(state, make_batch(1))
    state, _ = call(state, make_batch(2))
    assert np.isfinite(means(first["log"])["loss"])


def test_dropout_differs_between_steps_but_not_between_runs() -> None:
    step, state = make(dropout_rate=0.5)
    jitted = jax.jit(step)
    batch = make_batch(1)
    again = [jitted(state, batch)[1]["log"]["loss"][0] for _ in range(2)]
    later = jitted(dataclasses.replace(state, step=state.step + 1), batch)[1]["log"]["loss"][0]
    assert again[0] == again[1]
    assert again[0] != later


def test_ema_is_the_moving_average() -> None:
    step, state = make(ema_decay=0.9)
    want, jitted = jax.tree.map(np.asarray, state.params), jax.jit(step)
    for s in range(1, 4):
        state, _ = jitted(state, make_batch(s))
        want = jax.tree.map(lambda e, p: 0.9 * e + 0.1 * np.asarray(p), want, state.params)
    for x, y in zip(jax.tree.leaves(state.ema), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(x, y, **TOLERANCE["reference"])


def test_the_carry_continues_over_batches() -> None:
    step, state = make(carry=True)
    after, _ = run(step, state, 1)
    moved = jax.tree.map(lambda x, y: bool((x != y).any()), state.carry, after.carry)
    assert any(jax.tree.leaves(moved))


def test_non_finite_loss_is_flagged() -> None:
    step, state = make()
    batch = make_batch(1)
    bad = dataclasses.replace(batch, loss_weights=np.full((B, T), np.inf, np.float32))
    _, out = jax.jit(step)(state, bad)
    assert not bool(out["finite"])
    assert bool(jax.jit(step)(state, batch)[1]["finite"])


def test_mesh_context_adds_no_constraints_on_one_device() -> None:
    step, state = make()
    plain, _ = run(step, state, 2)
    with mesh_context(make_mesh(TrainingConfig(mesh_data=1), B)):
        inside, _ = run(step, state, 2)
    assert_params(plain, inside, "exact")
