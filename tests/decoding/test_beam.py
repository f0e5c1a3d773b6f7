"""Beam search against enumeration and greedy decoding; other rows, padding and lengths."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import RunFailure, UserError
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig, Seq2SeqConfig
from seqmodels.config.transformers import EmbeddingTying, GPTConfig, TransformerConfig
from seqmodels.decoding.beam import BeamSearch, Hypothesis
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.models.ngram import fit_ngram
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

V, END, MAX = 3, 2, 4
EVERY = 2**MAX * V  # a beam as large as the tree
ROWS, T = 2 ** (MAX + 1), 12
CONFIGS: dict[str, ModelConfig] = {
    "ngram": NgramConfig(order=3),
    "recurrent": RecurrentConfig(num_layers=1, model_dim=6, hidden_dim=7),
    "gpt": GPTConfig(num_layers=2, model_dim=12, num_heads=3, mlp_dim=10, max_length=16),
    "seq2seq": Seq2SeqConfig(model_dim=6, hidden_dim=8, attention_dim=5, bidirectional=True),
    "transformer": TransformerConfig(
        1, 1, 12, 3, 10, max_length=16, dropout_rate=0.0, tie_embeddings=EmbeddingTying.NONE
    ),
}
WITH_SOURCE = ("seq2seq", "transformer")
QUICK = (("ngram", 0.0), ("transformer", 1.2))


@dataclasses.dataclass
class Built:
    """A model whose parameters are large enough that its predictions depend on the context."""

    kind: str
    model: Any
    params: Any
    search: BeamSearch

    def source(self, rows: int, width: int, seed: int = 5) -> Any:
        """Sources of lengths 1, 2, .., padded to a width."""
        if self.kind not in WITH_SOURCE:
            return None
        tokens = np.random.default_rng(seed).integers(0, 5, (rows, 20))[:, :width]
        lengths = 1 + np.arange(rows)[:, None] % 6
        real = np.arange(width)[None] < lengths
        return np.where(real, tokens, 0).astype(np.int32), real.astype(np.int32)

    def logs(self, texts: list[Any], source: Any, row: int) -> np.ndarray:
        """Log probabilities [texts, T, V] in the parallel form, each for the source of `row`."""
        tokens = np.zeros((ROWS, T), np.int32)
        for text, place in zip(texts, tokens, strict=False):
            place[: len(text)] = text
        if source is not None:
            length = int(source[1][row].sum())  # without its padding
            source = jnp.asarray(np.repeat(source[0][row : row + 1, :length], ROWS, axis=0))
        whole = whole_texts(self.kind)(self.params, jnp.asarray(tokens), source)
        return np.asarray(whole, np.float64)[: len(texts)]


@functools.cache
def model_of(kind: str) -> tuple[Any, BeamSearch]:
    source = TokenInput(5) if kind in WITH_SOURCE else None
    model = build_model(CONFIGS[kind], DataSpec(TokenInput(V), VocabOutput(V), source=source))
    return model, BeamSearch(model)


@functools.cache
def whole_texts(kind: str) -> Any:
    model, _ = model_of(kind)

    @jax.jit
    def run(params: Any, tokens: Any, source: Any) -> Any:
        variables, memory = {"params": params}, None
        if source is not None:
            memory = model.apply(variables, source, train=False, method="encode")
        features, _ = model.apply(variables, tokens, memory=memory, train=False)
        return jax.nn.log_softmax(model.apply(variables, features, method="readout"), axis=-1)

    return run


@functools.cache
def built(kind: str, seed: int = 0) -> Built:
    model, search = model_of(kind)
    if kind == "ngram":
        text = np.random.default_rng(seed).choice(V, 60, p=[0.4, 0.35, 0.25]).astype(np.int32)
        return Built(kind, model, fit_ngram(CONFIGS[kind], model.spec, text), search)
    params = nn.meta.unbox(jax.jit(functools.partial(init_params, model))(jax.random.key(seed)))
    return Built(kind, model, jax.tree.map(lambda x: 3 * x, params), search)


def all_texts(least: int, most: int) -> list[tuple[int, ...]]:
    others = [t for t in range(V) if t != END]
    return [t for n in range(least, most + 1) for t in itertools.product(others, repeat=n)]


def log_probabilities(it: Built, prompt: Any, texts: Any, source: Any, row: int) -> np.ndarray:
    """log p(text, end | prompt, source) of every text."""
    rows = [[*prompt, *text, END] for text in texts]
    logs = it.logs(rows, source, row)
    return np.array(
        [
            sum(log[at - 1, tokens[at]] for at in range(len(prompt), len(tokens)))
            for tokens, log in zip(rows, logs, strict=True)
        ]
    )


def ranked(it: Built, prompt: Any, beam: Beam, source: Any, row: int) -> list[Hypothesis]:
    """The best of all texts, by enumeration."""
    texts = all_texts(beam.min_tokens, beam.max_tokens)
    logs = log_probabilities(it, prompt, texts, source, row)
    scores = [
        log / ((5 + len(text) + 1) / 6) ** beam.length_penalty
        for log, text in zip(logs, texts, strict=True)
    ]
    best = np.argsort(scores)[::-1][: beam.num_best]
    return [Hypothesis(np.array(texts[i]), float(logs[i]), scores[i]) for i in best]


def check_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [h.tokens.tolist() for h in found] == [h.tokens.tolist() for h in expected]
    for name in ("score", "log_probability"):
        values = [[getattr(h, name) for h in side] for side in (found, expected)]
        np.testing.assert_allclose(*values, **TOLERANCE["decoding"])


@pytest.mark.parametrize(
    ("kind", "penalty"),
    [
        pytest.param(k, p, marks=() if (k, p) in QUICK else pytest.mark.grid)
        for k in CONFIGS
        for p in (0.0, 1.2)
    ],
)
def test_a_beam_as_large_as_the_tree_finds_the_best_texts(kind: str, penalty: float) -> None:
    for seed, (least, most) in enumerate([(0, 4), (2, 3), (1, 1)]):
        it = built(kind, seed)
        prompts = [np.array([0, 1], np.int32), np.array([1], np.int32)]
        source = it.source(2, 4)
        beam = Beam(EVERY, 3 if most > 1 else 2, penalty, min_tokens=least, max_tokens=most)
        found = it.search(it.params, prompts, end=END, beam=beam, source=source)
        for row, prompt in enumerate(prompts):
            check_same(found[row], ranked(it, prompt, beam, source, row))


@pytest.mark.parametrize("kind", ["gpt", "seq2seq", "transformer"])
def test_a_beam_of_one_is_greedy_decoding(kind: str) -> None:
    for seed, penalty in enumerate((0.0, 2.0, 0.0)):
        it = built(kind, seed)
        prompts, source = [np.array([0, 1], np.int32), np.array([1], np.int32)], it.source(2, 4)
        beam = Beam(1, length_penalty=penalty, max_tokens=9)
        found = it.search(it.params, prompts, end=END, beam=beam, source=source)
        for row, prompt in enumerate(prompts):
            text = greedy_text(it, prompt, 9, source, row)
            assert found[row][0].tokens.tolist() == text


def greedy_text(it: Built, prompt: Any, most: int, source: Any, row: int) -> list[int]:
    """Appends the most probable token, each time from the whole text."""
    text: list[int] = []
    while len(text) < most:
        whole = [*prompt, *text]
        token = int(it.logs([whole], source, row)[0, len(whole) - 1].argmax())
        if token == END:
            break
        text.append(token)
    return text


@pytest.mark.parametrize(
    "kind",
    [
        "recurrent",
        "transformer",
        *(pytest.param(kind, marks=pytest.mark.grid) for kind in ("gpt", "seq2seq")),
    ],
)
def test_neighbours_and_padding_change_nothing(kind: str) -> None:
    it, beam = built(kind), Beam(3, 3, length_penalty=0.7, max_tokens=7)
    prompts = [np.array([0, 1, 1][: 1 + i % 3], np.int32) for i in range(6)]
    search = functools.partial(it.search, it.params, end=END, beam=beam)
    source = it.source(6, 6)
    together = search(prompts, source=source)
    wide = it.source(6, 13)
    padded = search(prompts, source=wide)
    for row in range(6):
        check_same(padded[row], together[row])
        one = None if source is None else tuple(x[row : row + 1] for x in source)
        check_same(search(prompts[row : row + 1], source=one)[0], together[row])
    reverse = None if source is None else tuple(x[::-1] for x in source)
    for found, expected in zip(search(prompts[::-1], source=reverse), together[::-1], strict=True):
        check_same(found, expected)


def test_hypotheses_keep_to_their_lengths() -> None:
    it = built("recurrent")
    prompts = [np.array([0], np.int32)]
    for least, most in [(0, 1), (3, 3), (2, 6), (5, 70)]:
        beam = Beam(4, 4, min_tokens=least, max_tokens=most)
        for hypothesis in it.search(it.params, prompts, end=END, beam=beam)[0]:
            assert least <= len(hypothesis.tokens) <= most
            assert END not in hypothesis.tokens


def test_the_search_stops_when_nothing_can_improve() -> None:
    it, steps = built("recurrent"), []
    wide = Beam(3, 1, max_tokens=60)

    def certain(model: Any, params: Any, features: Any) -> Any:
        """The end is nearly certain at every step."""
        jax.debug.callback(lambda: steps.append(1))
        return jnp.zeros((len(features), V)).at[:, END].set(8.0)

    def count(beam: Beam) -> int:
        steps.clear()
        BeamSearch(it.model)(it.params, [np.zeros(1, np.int32)], end=END, beam=beam)
        jax.effects_barrier()
        return len(steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqmodels.decoding.beam.readout", certain)
        assert 1 <= count(wide) <= 2
        # A greater penalty leaves room for longer ones: 8 nats below, but divided by more.
        assert count(dataclasses.replace(wide, length_penalty=3.0)) > 2


@pytest.mark.parametrize("least", [0, 40])
def test_certain_tokens_are_reported_before_the_search_ends(least: int) -> None:
    told: list[np.ndarray] = []
    early = 0
    for seed in range(4):
        it = built("recurrent", seed)
        beam = Beam(3, 2, length_penalty=1.5, min_tokens=least, max_tokens=60)
        search = functools.partial(it.search, it.params, [np.zeros(1, np.int32)], end=END)
        told.clear()
        (found,) = search(beam=beam, on_certain=told.append)
        check_same(found, search(beam=beam)[0])
        assert [t for new in told for t in new.tolist()] == found[0].tokens.tolist()
        early += len(told) > 1
    assert early or not least
    covering, align = Beam(coverage_penalty=0.1), built("seq2seq")
    with pytest.raises(ValueError, match="no token is certain"):
        align.search(None, [np.zeros(1, np.int32)], end=END, beam=covering, on_certain=told.append)


def test_coverage_prefers_what_looks_at_all_of_the_source() -> None:
    it = built("seq2seq")
    source = it.source(2, 4)
    prompts, variables = [np.array([0], np.int32)] * 2, {"params": it.params}
    plain = Beam(3, 3, length_penalty=0.5, max_tokens=5)
    covering = dataclasses.replace(plain, coverage_penalty=0.8)
    search = functools.partial(it.search, it.params, prompts, end=END, source=source)

    @jax.jit
    def align(alone: jax.Array, inputs: jax.Array) -> jax.Array:
        memory = it.model.apply(variables, alone, train=False, method="encode")
        return it.model.apply(variables, inputs, memory, method="align")[0]

    for row, (before, after) in enumerate(
        zip(search(beam=plain), search(beam=covering), strict=True)
    ):
        expected = []
        alone = source[0][row : row + 1, : int(source[1][row].sum())]
        for hypothesis in before:
            tokens = [*prompts[row], *hypothesis.tokens]
            inputs = np.zeros((1, 6), np.int32)  # what comes later changes nothing before it
            inputs[0, : len(tokens)] = tokens
            weights = np.asarray(align(alone, inputs))[: len(tokens)]
            cost = float(np.log(np.minimum(weights.sum(axis=0), 1.0)).sum())
            expected.append(dataclasses.replace(hypothesis, score=hypothesis.score + 0.8 * cost))
        check_same(after, sorted(expected, key=lambda h: -h.score))


def test_lengths_and_penalties_compile_nothing_anew(compilations: list[str]) -> None:
    it = built("seq2seq")
    prompts = [np.array([0], np.int32)]
    source = it.source(1, 8)
    search = functools.partial(it.search, it.params, prompts, end=END)
    search(beam=Beam(3, max_tokens=20), source=source)
    compilations.clear()
    for least, most, penalty in [(0, 5, 0.3), (3, 40, 1.0), (1, 63, 0.0)]:
        beam = Beam(3, 2, penalty, min_tokens=least, max_tokens=most)
        search(beam=beam, source=it.source(1, 8, seed=most))
    assert not compilations


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"size": 0}, "--beam_size=0: must be 1 or more"),
        ({"size": 2, "num_best": 3}, "--num_best=3: must be at most --beam_size, 2"),
        ({"length_penalty": float("nan")}, "--length_penalty=nan: must be 0 or more"),
        ({"min_tokens": 9, "max_tokens": 8}, "--min_tokens=9: must be at most --max_tokens, 8"),
        (
            {"coverage_penalty": 0.1, "max_tokens": 9},
            "--coverage_penalty=0.1: this gpt gives no weights",
        ),
        ({"max_tokens": 16}, "--max_tokens=16: the model has max_length = 16; with a prompt of 1"),
    ],
)
def test_what_is_out_of_range_is_told(fields: dict[str, Any], told: str) -> None:
    it = built("gpt")
    with pytest.raises(UserError) as caught:
        it.search(it.params, [np.zeros(1, np.int32)], end=END, beam=Beam(**fields))
    assert str(caught.value).startswith(told)


def test_probabilities_that_are_no_numbers_are_told() -> None:
    it = built("recurrent")
    broken = jax.tree.map(lambda x: x * jnp.nan, it.params)
    with pytest.raises(RunFailure, match="no finite probabilities"):
        it.search(broken, [np.zeros(1, np.int32)], end=END, beam=Beam())
