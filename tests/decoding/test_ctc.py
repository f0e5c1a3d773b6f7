"""CTC against every alignment, one by one: the loss, and the search for transcripts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.models import NgramConfig
from seqmodels.decoding.ctc import greedy, search
from seqmodels.decoding.ngram_prior import NgramPrior
from seqmodels.models.ngram import Ngram, fit_ngram
from seqmodels.ops.ctc import ctc_loss
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

C = 4  # three symbols and the blank


def log_probabilities(seed: int, frames: int) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).normal(size=(frames, C))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def collapse(alignment: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(alignment) if symbol != C - 1)


def mass_of_all(frames: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every transcript: the sum over its alignments."""
    found: dict[tuple[int, ...], float] = {}
    for alignment in itertools.product(range(C), repeat=len(frames)):
        mass = float(np.exp(frames[np.arange(len(frames)), alignment].sum()))
        found[collapse(alignment)] = found.get(collapse(alignment), 0.0) + mass
    return found


def cases() -> Iterator[tuple[np.ndarray, dict[tuple[int, ...], float]]]:
    for seed, frames in enumerate((1, 2, 4, 5)):
        found = log_probabilities(seed, frames)
        yield found, mass_of_all(found)


def test_a_search_that_drops_nothing_is_the_sum_over_all_alignments() -> None:
    for frames, masses in cases():
        found = search(frames, 10_000)
        assert len(found) == len(masses)
        for one in found:
            expected = np.log(masses[tuple(one.tokens.tolist())])
            np.testing.assert_allclose(one.log_probability, expected, **TOLERANCE["reference"])
        scores = [one.log_probability for one in found]
        assert scores == sorted(scores, reverse=True)


def test_a_narrow_search_finds_the_best_of_an_easy_case() -> None:
    for frames, masses in cases():
        (best, *others) = search(frames, 8)
        assert tuple(best.tokens.tolist()) == max(masses, key=lambda one: masses[one])
        assert len(others) <= 7
        assert best.log_probability <= np.log(max(masses.values())) + 1e-9


def test_a_language_model_is_added_with_its_weight_and_the_bonus() -> None:
    """Against all transcripts, with the probabilities of the model `ngram` over whole texts."""
    texts = [[0, 1, 2, 0, 1], [0, 1, 1], [2, 0, 1, 2], [0, 2, 2, 0]]
    spec, config = DataSpec(TokenInput(C - 1), VocabOutput(C - 1)), NgramConfig(order=3)
    offsets = np.cumsum([0, *map(len, texts)])
    tables = fit_ngram(config, spec, np.concatenate(texts), offsets)
    weight, bonus = 0.7, 0.3
    prior = NgramPrior(tables, config.order, weight, bonus)
    model = Ngram(config, spec)

    @jax.jit
    def read(inputs: jax.Array, segment_ids: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": tables}, inputs, segment_ids=segment_ids, train=False)
        return model.apply({"params": tables}, features, method="readout")

    def log_p(text: tuple[int, ...]) -> float:
        # The row begins with padding, which predicts the first symbol: it has no context.
        inputs, ids = np.zeros((2, 1, 5), np.int32)
        inputs[0, 1 : len(text) + 1], ids[0, 1 : len(text) + 1] = text, 1
        found = read(jnp.asarray(inputs), jnp.asarray(ids))
        return float(sum(found[0, n, symbol] for n, symbol in enumerate(text)))

    frames = log_probabilities(3, 4)
    masses = mass_of_all(frames)
    expected = {
        text: np.log(mass) + weight * log_p(text) + bonus * len(text)
        for text, mass in masses.items()
    }
    found = search(frames, 10_000, prior)
    assert len(found) == len(masses)
    for one in found:
        text = tuple(one.tokens.tolist())
        np.testing.assert_allclose(one.score, expected[text], **TOLERANCE["reference"])
        np.testing.assert_allclose(
            one.log_probability, np.log(masses[text]), **TOLERANCE["reference"]
        )
    ranked = [tuple(one.tokens.tolist()) for one in found]
    assert ranked == sorted(expected, key=lambda text: -expected[text])
    assert ranked != sorted(masses, key=lambda text: -masses[text])


def test_greedy_is_the_collapse_of_the_best_alignment() -> None:
    for best in ((3, 3), (0, 0, 1), (1, 3, 1, 1), (2, 3, 3, 0)):
        frames = np.log(0.9 * np.eye(C)[list(best)] + 0.025)
        found = greedy(frames)
        assert tuple(found.tokens.tolist()) == collapse(best)
        np.testing.assert_allclose(found.log_probability, len(best) * np.log(0.925))


def test_the_loss_is_the_sum_over_all_alignments_whatever_is_in_the_padding() -> None:
    frames = log_probabilities(7, 5)
    targets = [(0, 1), (2, 2), (1,), (0, 1, 0, 2), (1, 1, 1)]
    masses = [mass_of_all(frames[:length]) for length in (3, 4, 5, 5, 5)]
    logits = np.stack([frames] * 5) + 1.5
    valid = np.arange(5)[None] < np.array([3, 4, 5, 5, 5])[:, None]
    logits[~valid] = np.nan
    labels = np.full((5, 4), 99, np.int32)
    for row, target in enumerate(targets):
        labels[row, : len(target)] = target
    given = (labels != 99, jnp.asarray(labels), jnp.asarray(valid))
    loss = lambda x: ctc_loss(x, given[2], given[1], jnp.asarray(given[0]))
    slopes = jax.jit(lambda x: (loss(x), jax.grad(lambda y: loss(y).sum())(x)))
    found, slope = slopes(jnp.asarray(logits, jnp.float32))
    expected = [-np.log(mass[target]) for mass, target in zip(masses, targets, strict=True)]
    np.testing.assert_allclose(found, expected, **TOLERANCE["reference"])
    assert np.isfinite(slope).all() and not np.asarray(slope)[~valid].any()


def test_a_sure_transcript_costs_0_and_no_less() -> None:
    sure = 40.0 * np.eye(C, dtype=np.float32)[[0, 3, 1, 3]]
    found = jax.jit(ctc_loss)(
        jnp.asarray(np.stack([sure, 0.1 * sure])),
        jnp.ones((2, 4), bool),
        jnp.asarray([[0, 1], [0, 1]]),
        jnp.ones((2, 2), bool),
    )
    assert found[0] == 0.0 and found[1] > 0
