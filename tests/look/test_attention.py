"""Maps of attention, and what is said of them, against loops over the equations."""

from __future__ import annotations

import numpy as np
import pytest

from seqmodels.look import attention as look
from tests.look.runs import TOKENS, inside, softmax, weights
from tests.tolerances import TOLERANCE

T = TOKENS.shape[1]


def random_pattern(heads: int = 3) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(heads, T, T))
    return softmax(np.where(np.tri(T, dtype=bool), 2 * scores, -np.inf))


def test_a_map_is_the_softmax_of_the_projected_residual_stream() -> None:
    seen, stack = inside("gpt"), weights("gpt")["stack"]["blocks"]
    for layer in range(2):
        x = seen.values[f"blocks.{layer}.resid_pre"].astype(np.float64)
        norm, qkv = stack["attention_norm"], stack["attention"]["qkv"]
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        x = x * norm["scale"][layer] + norm["bias"][layer]
        parts = np.einsum("td,dgpk->pgtk", x, qkv["kernel"][layer])
        parts = parts + np.moveaxis(qkv["bias"][layer], 1, 0)[:, :, None]
        scores = parts[0] @ np.swapaxes(parts[1], 1, 2) / np.sqrt(4)
        expected = softmax(np.where(np.tri(T, dtype=bool), scores, -np.inf))
        found = seen.values[f"blocks.{layer}.attention.pattern"]
        np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])


def test_scores_of_heads_are_those_of_loops() -> None:
    pattern, tokens = random_pattern(), TOKENS[0]
    labels = [*"ab(c", ". ", " ", *'d"e']
    for head, p in enumerate(pattern):
        entropy = [-sum(w * np.log(w) for w in row if w > 0) for row in p]
        before = np.mean([p[t, t - 1] for t in range(1, T)])
        marks = np.mean([sum(p[t, s] for s in (2, 4, 5, 7)) for t in range(T)])
        repeats = []
        for t in range(T):
            places = [s for s in range(1, t + 1) if tokens[s - 1] == tokens[t]]
            if places:
                repeats.append(sum(p[t, s] for s in places))
        assert len(repeats) == 2
        for found, expected in (
            (look.entropy(pattern)[head], entropy),
            (look.previous_token(pattern)[head], before),
            (look.delimiter(pattern, labels)[head], marks),
            (look.induction(pattern, tokens)[head], np.mean(repeats)),
        ):
            np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])
    assert look.induction(pattern, np.arange(T)) is None
    assert look.delimiter(pattern, ["a"] * T) is None


def test_heads_are_named_by_their_rule() -> None:
    previous = np.eye(T, k=-1)
    previous[0, 0] = 1
    even = np.tri(T) / np.arange(1, T + 1)[:, None]
    follows = even.copy()
    follows[[4, 5]] = np.eye(T)[[1, 2]]  # 1 4 2 .. 1 4: after an earlier 1 is 4, after 4 is 2
    marks = np.zeros((T, T))
    marks[:, 0] = 1
    labels = ["("] + ["a"] * (T - 1)
    found = look.score_heads(np.stack([previous, even, follows, marks]), TOKENS[0], labels)
    assert found["kinds"] == ["previous token", "", "induction", "delimiter"]


def test_rollout_multiplies_layers_with_residuals() -> None:
    patterns = [random_pattern(), random_pattern()[::-1]]
    flow = np.eye(T)
    for pattern in patterns:
        layer = [[pattern[:, t, s].mean() + (t == s) for s in range(T)] for t in range(T)]
        flow = np.array([np.array(row) / np.sum(row) for row in layer]) @ flow
    np.testing.assert_allclose(look.rollout(patterns), flow, **TOLERANCE["rounding"])
    np.testing.assert_allclose(flow.sum(axis=1), 1, **TOLERANCE["rounding"])


@pytest.mark.parametrize(
    ("shape", "steps", "grid"),
    [
        ((28, 28, 1), 49, (7, 7)),
        ((28, 28, 1), 50, (7, 7)),
        ((32, 16, 3), 8, (4, 2)),
        ((32, 16, 3), 9, (4, 2)),
        ((28, 28, 1), 30, None),
    ],
)
def test_the_grid_of_patches_follows_from_their_number(shape, steps, grid) -> None:
    assert look.patch_grid(shape, steps) == grid


@pytest.mark.grid
def test_a_section_has_every_head() -> None:
    section = look.look_at_attention(inside("gpt"))
    assert section is not None
    names = [f"blocks.{layer}.attention.pattern" for layer in range(2)]
    assert set(section.numbers) == set(section.figures) == {*names, "rollout"}
    assert len(section.matrices) == 5
    assert look.look_at_attention(inside("lstm")) is None
