"""Linear recurrences and running attention: all forms, against float64 numpy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops import scan
from seqmodels.ops.positions import advance
from seqmodels.ops.scan import ScanForm, SoftmaxState, linear_scan, running_softmax, with_segments
from tests.tolerances import TOLERANCE

scanned = jax.jit(linear_scan, static_argnums=3)
softmaxed = jax.jit(running_softmax, static_argnums=6)

B, T, N, H, K = 3, 7, 5, 2, 4

LAST = np.array([1, 0, 0], np.int32)  # row 0 goes on with document 1
IDS = np.array([[1, 1, 2, 2, 2, 3, 3], [1, 0, 1, 0, 0, 2, 2], [0, 0, 1, 1, 1, 1, 0]], np.int32)


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter chunks, so that a few steps are several chunks and a fraction of one."""
    monkeypatch.setattr(scan, "CHUNK", 3)


def moments() -> tuple[jax.Array, jax.Array]:
    step = advance(jnp.array(IDS), jnp.array(LAST), jnp.full(B, -1, jnp.int32))
    return step.starts, step.valid


def coefficients(length: int, is_complex: bool) -> tuple[jax.Array, ...]:
    draw = np.random.default_rng(length)

    def number(*shape: int) -> np.ndarray:
        real = draw.normal(size=shape).astype(np.float32)
        return (real + 1j * draw.normal(size=shape)).astype(np.complex64) if is_complex else real

    a = number(B, length, N)
    a = a / np.maximum(np.abs(a), 1.0)
    a[0, length // 2, :2] = 0.0
    return tuple(map(jnp.asarray, (a, number(B, length, N), number(B, N))))


def naive(a: Any, b: Any, initial: Any) -> Any:
    """The equation, one step at a time."""
    h, hs = initial, []
    for t in range(a.shape[1]):
        h = a[:, t] * h + b[:, t]
        hs.append(h)
    return (np if isinstance(h, np.ndarray) else jnp).stack(hs, axis=1)


@pytest.mark.parametrize("form", ScanForm)
@pytest.mark.parametrize("length", [1, 7])
@pytest.mark.parametrize("is_complex", [False, True])
def test_every_form_is_the_equation_and_its_gradient(
    form: ScanForm, length: int, is_complex: bool
) -> None:
    args = coefficients(length, is_complex)
    weights = jax.random.normal(jax.random.key(0), args[0].shape)

    def loss(run: Any, args: Any) -> tuple[jax.Array, jax.Array]:
        hs = run(*args)
        return jnp.sum(weights * (jnp.sin(hs.real) + hs.imag * hs.real)), hs

    ours = lambda *args: linear_scan(*args, form=form)
    (_, hs), got = jax.jit(jax.value_and_grad(lambda x: loss(ours, x), has_aux=True))(args)
    wanted = jax.jit(jax.grad(lambda x: loss(naive, x)[0]))(args)
    exact = naive(*(np.asarray(x, np.complex128 if is_complex else np.float64) for x in args))
    np.testing.assert_allclose(hs, exact, **TOLERANCE["reference"])
    for one, other in zip(got, wanted, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, **TOLERANCE["gradient"])


@pytest.mark.parametrize("form", ScanForm)
def test_a_long_recurrence_of_slow_decay_keeps_its_digits(form: ScanForm) -> None:
    draw = np.random.default_rng(0)
    a = np.exp(-draw.uniform(0, 0.02, (1, 501, N))).astype(np.float32)
    b = draw.normal(size=a.shape).astype(np.float32)
    exact = naive(a.astype(np.float64), b.astype(np.float64), np.zeros((1, N)))
    got = jax.jit(lambda a, b: linear_scan(a, b, jnp.zeros((1, N)), form))(a, b)
    assert np.abs(got - exact).max() <= TOLERANCE["reference"]["rtol"] * np.abs(exact).max()


@pytest.mark.parametrize("form", ScanForm)
@pytest.mark.parametrize("learned", [False, True])
def test_documents_restart_and_padding_is_passed_over(form: ScanForm, learned: bool) -> None:
    a, b, initial = coefficients(T, False)
    restart = jnp.arange(1.0, N + 1)[None] if learned else None
    marked = jax.jit(with_segments)(a, b, *moments(), restart)
    a, b, initial, got = map(np.asarray, (a, b, initial, scanned(*marked, initial, form)))
    begin = np.zeros(N) if restart is None else np.asarray(restart)[0]
    for row in range(B):
        h, largest = initial[row], LAST[row]
        for t in range(T):
            if IDS[row, t] > largest:
                h, largest = begin, IDS[row, t]
            if IDS[row, t]:
                h = a[row, t] * h + b[row, t]
            np.testing.assert_allclose(got[row, t], h, **TOLERANCE["reference"])


@pytest.mark.parametrize("form", ScanForm)
def test_not_even_nan_crosses_a_restart(form: ScanForm) -> None:
    a, b, initial = coefficients(T, False)
    starts, valid = moments()

    @jax.jit
    def second(a: jax.Array, b: jax.Array) -> jax.Array:
        hs = linear_scan(*with_segments(a, b, starts, valid), initial, form)
        return jnp.sum(jnp.sin(hs[0, 2:5]))

    nan = lambda x, at: x.at[0, at].set(jnp.nan)
    for poisoned in ((a, nan(b, slice(2))), (nan(a, 0), b), (nan(a, 1), nan(b, 1))):
        np.testing.assert_allclose(second(*poisoned), second(a, b), **TOLERANCE["exact"])
        gradient = jax.grad(second, argnums=1)(*poisoned)
        assert not gradient[0, 5:].any()
        assert gradient[0, 2:5].all() and jnp.isfinite(gradient[0, 2:]).all()


@pytest.mark.parametrize("form", ScanForm)
@pytest.mark.parametrize("place", range(15))
def test_a_zero_stops_nan_wherever_it_stands(form: ScanForm, place: int) -> None:
    draw = np.random.default_rng(place)
    a, b = (draw.uniform(0.1, 0.9, (1, 16, 2)).astype(np.float32) for _ in range(2))
    a[:, place], a[:, place + 1] = np.nan, 0.0
    hs = np.asarray(scanned(a, b, np.zeros((1, 2), np.float32), form))
    assert np.isfinite(hs[:, place + 1 :]).all()
    assert np.isfinite(hs[:, :place]).all()


def masked_softmax(scores: np.ndarray, values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Every position attends to all of its document up to itself, in float64."""
    outputs = np.zeros(values.shape)
    for row, t in zip(*np.nonzero(ids), strict=True):
        seen = np.flatnonzero(ids[row, : t + 1] == ids[row, t])
        s = scores[row, seen].astype(np.float64)
        weights = np.exp(s - s.max(0))
        outputs[row, t] = np.einsum("sh,shk->hk", weights / weights.sum(0), values[row, seen])
    return outputs


def attended(seed: int = 0) -> tuple[np.ndarray, np.ndarray, SoftmaxState]:
    draw = np.random.default_rng(seed)
    scores, values = draw.normal(size=(B, T, H)), draw.normal(size=(B, T, H, K))
    empty = scan.empty_softmax_state(B, H, K)
    return 3 * scores.astype(np.float32), values.astype(np.float32), empty


@pytest.mark.parametrize("form", ScanForm)
@pytest.mark.parametrize("length", [1, T])
@pytest.mark.parametrize("segmented", [False, True])
def test_running_softmax_is_the_masked_softmax(
    form: ScanForm, length: int, segmented: bool
) -> None:
    scores, values, empty = attended()
    scores, values = scores[:, :length], values[:, :length]
    ids = IDS[:, :length] if segmented else np.ones((B, length), np.int32)
    step = advance(jnp.asarray(ids), jnp.zeros(B, jnp.int32), jnp.full(B, -1, jnp.int32))
    marks = (step.starts, step.valid) if segmented else (None, None)
    got, _ = jax.jit(lambda *x: running_softmax(*x, form=form))(scores, values, empty, *marks)
    np.testing.assert_allclose(got, masked_softmax(scores, values, ids), **TOLERANCE["reference"])


@pytest.mark.parametrize("form", ScanForm)
def test_running_softmax_may_be_cut(form: ScanForm) -> None:
    scores, values, state = attended()
    step = advance(jnp.asarray(IDS), jnp.zeros(B, jnp.int32), jnp.full(B, -1, jnp.int32))
    run = jax.jit(lambda *x: running_softmax(*x, form=form))
    whole, last = run(scores, values, state, step.starts, step.valid)
    pieces = []
    for part in (slice(0, 3), slice(3, 4), slice(4, T)):
        args = (scores[:, part], values[:, part], state, step.starts[:, part], step.valid[:, part])
        out, state = run(*args)
        pieces.append(out)
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, **TOLERANCE["chunking"])
    for one, other in zip(state, last, strict=True):
        np.testing.assert_allclose(one, other, **TOLERANCE["chunking"])


@pytest.mark.parametrize("form", ScanForm)
def test_nan_reaches_no_other_document_of_running_softmax(form: ScanForm) -> None:
    """Forward and in the gradient; padding may hold it everywhere."""
    scores, values, state = attended()
    place = advance(jnp.asarray(IDS), jnp.zeros(B, jnp.int32), jnp.full(B, -1, jnp.int32))
    bad = np.zeros((B, T), bool)
    bad[0, 3], bad[2, 2] = True, True
    touched = np.zeros((B, T), bool)  # their documents
    touched[0, 2:5], touched[2, 2:6] = True, True
    clean = jnp.asarray((IDS > 0) & ~touched)[..., None, None]

    def run(scores: Any, values: Any) -> Any:
        y, _ = running_softmax(scores, values, state, place.starts, place.valid, form=form)
        return jnp.sum(jnp.where(clean, jnp.sin(y), 0.0))

    differentiate = jax.jit(jax.value_and_grad(run, (0, 1)))
    wanted = differentiate(scores, values)
    spoil = jnp.asarray(bad | (IDS == 0))
    for n in range(2):
        given = [scores, values]
        given[n] = jnp.where(spoil.reshape(B, T, *[1] * (given[n].ndim - 2)), jnp.nan, given[n])
        (loss, gradients) = differentiate(*given)
        np.testing.assert_array_equal(loss, wanted[0])
        for got, right in zip(gradients, wanted[1], strict=True):
            np.testing.assert_array_equal(np.asarray(got)[~touched], np.asarray(right)[~touched])


@pytest.mark.parametrize("form", ScanForm)
def test_huge_scores_neither_overflow_nor_make_nan(form: ScanForm) -> None:
    """Scores that jump by 1e4, with documents, and padding before the first token."""
    scores, values, empty = attended()
    scores = np.where(np.arange(T)[None, :, None] % 2, 1e4, -1e4).astype(np.float32) * scores
    ids = IDS.copy()
    step = advance(jnp.asarray(ids), jnp.zeros(B, jnp.int32), jnp.full(B, -1, jnp.int32))

    def loss(scores: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        out, _ = running_softmax(scores, values, empty, step.starts, step.valid, form=form)
        return jnp.sum(jnp.sin(out)), out

    run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, out), gradients = run(scores, values)
    np.testing.assert_allclose(out, masked_softmax(scores, values, ids), **TOLERANCE["reference"])
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("form", ScanForm)
@pytest.mark.parametrize("cut", [T, 3])
def test_gradients_of_running_softmax_are_those_of_softmax(form: ScanForm, cut: int) -> None:
    """Gradients also pass through the state between two chunks."""
    scores, values, empty = attended()
    weights = np.random.default_rng(1).normal(size=values.shape)

    def ours(scores: jax.Array, values: jax.Array) -> jax.Array:
        first, state = running_softmax(scores[:, :cut], values[:, :cut], empty, form=form)
        if cut == T:
            return first
        second, _ = running_softmax(scores[:, cut:], values[:, cut:], state, form=form)
        return jnp.concatenate([first, second], axis=1)

    def dense(scores: jax.Array, values: jax.Array) -> jax.Array:
        seen = np.tri(T, dtype=bool)[None, :, :, None]  # [1, T, S, 1]
        rows = jnp.where(seen, scores[:, None], -jnp.inf)
        return jnp.einsum("btsh,bshk->bthk", jax.nn.softmax(rows, axis=2), values)

    grad = lambda run: jax.jit(jax.grad(lambda *x: jnp.sum(weights * run(*x)), argnums=(0, 1)))
    for got, wanted in zip(grad(ours)(scores, values), grad(dense)(scores, values), strict=True):
        np.testing.assert_allclose(got, wanted, **TOLERANCE["gradient"])


@pytest.mark.parametrize("form", ScanForm)
def test_a_state_to_restart_from_is_a_token_before_each_document(form: ScanForm) -> None:
    scores, values, empty = attended()
    extra = np.full((B, 1, H), 0.5, np.float32), np.ones((B, 1, H, K), np.float32)
    _, restart = softmaxed(*extra, empty)
    # Three documents in a row; then the same with a token written before each.
    starts = np.tile(np.arange(T)[None] % 3 == 0, (B, 1))
    out = np.asarray(softmaxed(scores, values, empty, starts, None, restart, form)[0])
    for begin in (0, 3, 6):
        part = slice(begin, min(begin + 3, T))
        longer = [
            np.concatenate([x, y[:, part]], 1) for x, y in zip(extra, (scores, values), strict=True)
        ]
        wanted = masked_softmax(*longer, np.ones(longer[0].shape[:2], int))[:, 1:]
        np.testing.assert_allclose(out[:, part], wanted, **TOLERANCE["reference"])


def test_a_position_that_has_seen_nothing_gives_zero() -> None:
    scores, values, empty = attended()
    none = jnp.zeros((B, T), bool)
    out, state = running_softmax(jnp.asarray(scores), jnp.asarray(values), empty, none, none)
    assert not out.any()
    for got, wanted in zip(state, empty, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_cpu_scans_step_by_step() -> None:
    assert scan.choose_form() is ScanForm.SEQUENTIAL
