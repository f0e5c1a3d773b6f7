"""Generation over law 1: prefill, cached steps, refill, rows, callbacks."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.decoding import decoder as decoding
from seqmodels.decoding import prefill
from seqmodels.decoding.decoder import Decoder
from seqmodels.decoding.sampling import Sampling
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.models.ngram import fit_ngram
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

V, MAX_LENGTH = 11, 8
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
GREEDY = Sampling(temperature=0.0)
CONFIGS: dict[str, ModelConfig] = {
    "gpt": GPTConfig(num_layers=2, model_dim=12, num_heads=3, mlp_dim=10, max_length=MAX_LENGTH),
    "recurrent": RecurrentConfig(num_layers=1, model_dim=6, hidden_dim=7),
    "ngram": NgramConfig(order=3),
}


def prompt(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, length]).integers(0, V, length).astype(np.int32)


@functools.cache
def built(kind: str) -> tuple[Any, Any, Decoder]:
    model = build_model(CONFIGS[kind], SPEC)
    if kind == "ngram":
        params = fit_ngram(CONFIGS[kind], SPEC, prompt(300))
    else:
        params = nn.meta.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
        # Sharper than at the start, so that the choice of a token depends on what came before.
        params = jax.tree.map(lambda x: 5 * x, params)
    return model, params, Decoder(model)


@functools.cache
def whole_sequence(kind: str) -> Any:
    model, params, _ = built(kind)

    @jax.jit
    def run(tokens: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": params}, tokens[None], train=False)
        return model.apply({"params": params}, features[0], method="readout")

    return run


def uncached_logits(kind: str, text: np.ndarray, limit: int | None) -> np.ndarray:
    """Logits after a text in the parallel form; a causal model does not see the padding."""
    width = limit or 64
    padded = np.zeros(width, np.int32)
    padded[: len(text)] = text
    return np.asarray(whole_sequence(kind)(padded))[len(text) - 1]


def greedy_by_hand(
    kind: str, text: np.ndarray, max_tokens: int, limit: int | None
) -> tuple[list[int], list[np.ndarray]]:
    """Reads the whole context for every token; one above `limit` is cut to half of the limit."""
    start = 0 if limit is None or len(text) <= limit else len(text) - limit // 2
    tokens, logits = [], []
    for _ in range(max_tokens):
        if limit is not None and len(text) - start > limit:
            start = len(text) - limit // 2
        logits.append(uncached_logits(kind, text[start:], limit))
        tokens.append(int(logits[-1].argmax()))
        text = np.append(text, tokens[-1])
    return tokens, logits


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[np.ndarray]]:
    """Logits of every draw, in order, of decoders that are built after it."""
    record: list[np.ndarray] = []
    draw = decoding.draw_tokens

    def draw_and_record(logits: jax.Array, *args: Any, **how: bool) -> jax.Array:
        jax.debug.callback(lambda x: record.append(np.asarray(x)), logits, ordered=True)
        return draw(logits, *args, **how)

    first = decoding._first
    monkeypatch.setattr(decoding, "draw_tokens", draw_and_record)
    # Another object: jax keeps what it traced by the identity of the function.
    monkeypatch.setattr(decoding, "_first", lambda *args, **how: first(*args, **how))
    yield record


@pytest.mark.parametrize("kind", CONFIGS)
def test_cached_logits_equal_uncached(kind: str, recorded: list[np.ndarray]) -> None:
    model, params, _ = built(kind)
    limit = MAX_LENGTH if kind == "gpt" else None
    # Rows of the GPT outgrow its 8 positions at different times; the last prompt already has.
    prompts, max_tokens = [prompt(1), prompt(6), prompt(MAX_LENGTH), prompt(13)], 19
    generation = Decoder(model).generate(
        params, prompts, max_tokens=max_tokens, sampling=GREEDY, on_notice=lambda _: None
    )
    jax.effects_barrier()
    for row, text in enumerate(prompts):
        tokens, logits = greedy_by_hand(kind, text, max_tokens, limit)
        np.testing.assert_array_equal(generation.tokens[row], tokens)
        np.testing.assert_allclose(
            [step[row] for step in recorded], logits, **TOLERANCE["decoding"]
        )


@pytest.mark.parametrize("max_length", [2, 3])
def test_the_smallest_bounds(max_length: int) -> None:
    config = GPTConfig(num_layers=1, model_dim=6, num_heads=2, mlp_dim=4, max_length=max_length)
    model = build_model(config, SPEC)
    params = nn.meta.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    made = Decoder(model).generate(
        params, [prompt(2)], max_tokens=9, sampling=GREEDY, on_notice=lambda _: None
    )
    assert ((made.tokens >= 0) & (made.tokens < V)).all()


@pytest.mark.parametrize("kind", [pytest.param("gpt", marks=pytest.mark.grid), "recurrent"])
def test_a_row_does_not_depend_on_its_neighbours(kind: str) -> None:
    _, params, decoder = built(kind)
    make = functools.partial(
        decoder.generate, params, max_tokens=13, seed=7, on_notice=lambda _: None
    )
    together = make([prompt(3), prompt(7), prompt(12)]).tokens
    np.testing.assert_array_equal(make([prompt(3)]).tokens[0], together[0])
    np.testing.assert_array_equal(make([prompt(3), prompt(2)]).tokens[0], together[0])
    np.testing.assert_array_equal(make([prompt(1), prompt(7)]).tokens[1], together[1])


def test_samples_of_one_prompt_differ_and_a_seed_repeats_them() -> None:
    _, params, decoder = built("recurrent")
    make = functools.partial(decoder.generate, params, [prompt(3)] * 2, max_tokens=20)
    first, second = make(seed=1).tokens
    assert (first != second).any()
    np.testing.assert_array_equal(make(seed=1).tokens[0], first)
    assert (make(seed=2).tokens[0] != first).any()


def test_a_long_prompt_is_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, params, decoder = built("recurrent")
    prompts = [prompt(23), prompt(4), prompt(9)]
    whole = decoder.generate(params, prompts, max_tokens=8, sampling=GREEDY).tokens
    monkeypatch.setattr(prefill, "_MAX_CHUNK", 8)
    chunked = Decoder(model).generate(params, prompts, max_tokens=8, sampling=GREEDY).tokens
    np.testing.assert_array_equal(chunked, whole)


@pytest.mark.parametrize("max_tokens", [1, 2, 50, 100])
def test_tokens_are_handed_on_as_they_come(max_tokens: int) -> None:
    _, params, decoder = built("recurrent")
    pieces: list[np.ndarray] = []
    generation = decoder.generate(
        params, [prompt(3), prompt(2)], max_tokens=max_tokens, on_tokens=pieces.append
    )
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), generation.tokens)
    assert generation.tokens.shape == (2, max_tokens)
    sizes = [p.shape[1] for p in pieces]
    assert sizes[0] == 1 and max(sizes) <= 32
    assert generation.tokens_per_second >= 0


def test_nothing_is_compiled_anew(compilations: list[str]) -> None:
    _, params, decoder = built("gpt")
    make = functools.partial(decoder.generate, params, on_notice=lambda _: None)
    make([prompt(7), prompt(5)], max_tokens=70, sampling=Sampling(0.9, top_k=3))
    compilations.clear()
    make([prompt(2), prompt(8)], max_tokens=90, sampling=Sampling(0.5, 4, 0.8), seed=9)
    assert compilations == []
    make([prompt(2)] * 3, max_tokens=3)
    assert compilations, "the listener sees a new shape"


def test_the_clock_runs_without_compilation(
    compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, params, _ = built("gpt")
    at_clock: list[int] = []

    def clock() -> float:
        at_clock.append(len(compilations))
        return float(len(at_clock))

    monkeypatch.setattr(decoding, "time", types.SimpleNamespace(perf_counter=clock))
    # More rows than in any other test; they outgrow the 8 positions.
    Decoder(model).generate(params, [prompt(2)] * 7, max_tokens=30, on_notice=lambda _: None)
    start, end = at_clock
    assert start == end > 0


def test_outgrowing_the_positions_is_said_once_or_refused() -> None:
    _, params, decoder = built("gpt")
    notices: list[str] = []
    make = functools.partial(decoder.generate, on_notice=notices.append)
    # 5 + 4 - 1 = 8 positions: the last new token is never read.
    make(params, [prompt(5)], max_tokens=4, strict_length=True)
    assert notices == []
    make(params, [prompt(5), prompt(2)], max_tokens=30)
    assert len(notices) == 1 and "8 positions" in notices[0] and "last 4 tokens" in notices[0]
    with pytest.raises(UserError, match=r"prompt of 5 and 5 new tokens need 9 .* max_length = 8"):
        make(None, [prompt(2), prompt(5)], max_tokens=5, strict_length=True)


def test_a_carry_without_bound_is_never_refused() -> None:
    _, params, decoder = built("recurrent")
    tokens = decoder.generate(params, [prompt(5)], max_tokens=300, strict_length=True).tokens
    assert tokens.shape == (1, 300)


def test_bad_requests() -> None:
    _, params, decoder = built("ngram")
    with pytest.raises(UserError, match="max_tokens=0"):
        decoder.generate(params, [prompt(2)], max_tokens=0)
    with pytest.raises(ValueError, match="at least one token"):
        decoder.generate(params, [prompt(2), prompt(0)], max_tokens=1)
    with pytest.raises(ValueError, match="at least one token"):
        decoder.generate(params, [], max_tokens=1)
    for token in (-1, V):
        with pytest.raises(ValueError, match=f"text 1 has the token {token}; .* 0 to {V - 1}"):
            decoder.generate(params, [prompt(2), np.array([0, token])], max_tokens=1)
