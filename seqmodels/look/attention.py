"""Attention: maps, entropy, heads found by rule, and the way through all layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from seqmodels.look.figures import draw_heads, draw_over_picture
from seqmodels.look.inside import Inside
from seqmodels.look.sections import Matrix, Section, Table

LEAST, TIMES = 0.3, 2.0
"""A head is named by a rule where its score is at least LEAST, and TIMES that of even weights."""
MOST_MAPS = 24
"""Maps over a picture that are drawn."""


def entropy(pattern: Float[np.ndarray, "*H T S"]) -> Float[np.ndarray, "*H T"]:
    """- sum_s p_s log p_s of each query, in nats."""
    p = pattern.astype(np.float64)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)


def even_weights(pattern: Float[np.ndarray, "H T S"]) -> Float[np.ndarray, "T S"]:
    """The weights of a head that looks evenly at all that some head of the layer sees."""
    seen = (pattern > 0).any(axis=0).astype(np.float64)
    return seen / np.maximum(seen.sum(axis=-1, keepdims=True), 1)


def previous_token(pattern: Float[np.ndarray, "*H T S"]) -> Any:
    """Mean weight of the token before the query, over the queries that have one."""
    return np.diagonal(pattern, offset=-1, axis1=-2, axis2=-1).mean(axis=-1)


def induction(pattern: Float[np.ndarray, "*H T S"], tokens: Any) -> Any:
    """Mean weight of the tokens that followed earlier occurrences of the query's own token.

    Over the queries that have such a token. Such heads continue a repetition: A B .. A looks at B
    (Olsson et al., 2022, arXiv:2209.11895). None where no token occurs again.
    """
    tokens = np.asarray(tokens)
    follows = np.zeros((len(tokens), len(tokens)), bool)
    follows[:, 1:] = tokens[:, None] == tokens[None, :-1]
    follows &= np.tri(len(tokens), k=0, dtype=bool)  # the place after an earlier occurrence
    queries = follows.any(axis=1)
    if not queries.any():
        return None
    return (pattern * follows).sum(axis=-1)[..., queries].mean(axis=-1)


def delimiter(pattern: Float[np.ndarray, "*H T S"], labels: list[str]) -> Any:
    """Mean weight of the tokens without a letter or a digit; None where there are none."""
    marks = np.array([not any(map(str.isalnum, label)) for label in labels])
    if not marks.any():
        return None
    return (pattern * marks).sum(axis=-1).mean(axis=-1)


def rollout(patterns: list[Float[np.ndarray, "H T T"]]) -> Float[np.ndarray, "T T"]:
    """How much of each input arrives at each output, through all layers.

        R = A_L .. A_1,   A_l = (mean over heads of the weights + I) / 2

    Source: Abnar and Zuidema, 2020, arXiv:2005.00928.
    """
    flow = np.eye(patterns[0].shape[-1])
    for pattern in patterns:
        mean = pattern.astype(np.float64).mean(axis=0)
        mixed = mean + np.eye(len(mean))
        flow = (mixed / mixed.sum(axis=-1, keepdims=True)) @ flow
    return flow


def score_heads(pattern: np.ndarray, tokens: Any, labels: list[str]) -> dict[str, Any]:
    """Scores [H] of each rule, those of even weights, and the rule that names each head."""
    rules: dict[str, Any] = {"previous token": previous_token, "delimiter": None}
    even, scores, base = even_weights(pattern), {}, {}
    rules["delimiter"] = lambda p: delimiter(p, labels)
    if tokens is not None:
        rules["induction"] = lambda p: induction(p, tokens)
    for name, rule in rules.items():
        if (score := rule(pattern)) is not None:
            scores[name], base[name] = np.asarray(score), float(rule(even))
    kinds = []
    for head in range(len(pattern)):
        best = max(scores, key=lambda name: scores[name][head])
        found = scores[best][head]
        kinds.append(best if found >= LEAST and found >= TIMES * base[best] else "")
    return {"scores": scores, "even": base, "kinds": kinds}


def labels_of(inside: Inside, name: str, pattern: np.ndarray) -> tuple[list[str], list[str]]:
    """Labels of the queries and of the keys of a map."""
    example = inside.example
    crosses = "cross_attention" in name or "alignment" in name
    of_encoder = name.startswith(("encoder", "source"))
    queries = example.source if of_encoder else example.steps
    keys = example.source if crosses else queries
    fit = lambda labels, size: labels if len(labels) == size else [str(n) for n in range(size)]
    return fit(queries, pattern.shape[-2]), fit(keys, pattern.shape[-1])


def look_at_attention(inside: Inside) -> Section | None:
    """Maps of every layer and head; None where a model has no attention."""
    patterns = {name: as_heads(value) for name, value in inside.named("pattern").items()}
    if not patterns:
        return None
    section = Section(
        "attention",
        "Attention",
        "Weight of each key (column) for each query (row). Entropy in nats, 0 for one key. A head "
        f"is named where its score by a rule is at least {LEAST:g} and {TIMES:g} times that of "
        "even weights.",
    )
    rows = []
    for name, pattern in patterns.items():
        queries, keys = labels_of(inside, name, pattern)
        one: dict[str, Any] = {"pattern": pattern, "entropy": entropy(pattern).mean(axis=-1)}
        if pattern.shape[-1] == pattern.shape[-2] > 1 and queries is keys:
            inputs = inside.example.batch.inputs[0]
            is_text = queries == inside.steps and np.issubdtype(
                np.asarray(inputs).dtype, np.integer
            )
            one |= score_heads(pattern, inputs if is_text else None, queries)
        section.numbers[name] = one
        section.add_figure(name, draw_heads, pattern, queries, keys, name, float(pattern.max()))
        for head, weights in enumerate(pattern):
            title = f"{name}, head {head}" if len(pattern) > 1 else name
            section.matrices.append(Matrix(title, queries, keys, weights))
            rows.append(_row(title, one, head))
    heads = ["head", "entropy", "previous token", "induction", "delimiter", "named"]
    section.tables.append(Table("Heads", heads, rows))
    _add_rollout(inside, patterns, section)
    _add_pictures(inside, patterns, section)
    return section


def as_heads(pattern: np.ndarray) -> np.ndarray:
    """[H, T, S] of a map with or without heads."""
    return pattern[None] if pattern.ndim == 2 else pattern


def _row(title: str, one: dict[str, Any], head: int) -> list[Any]:
    scores = one.get("scores", {})
    found = [float(scores[n][head]) if n in scores else None for n in _RULES]
    return [title, float(one["entropy"][head]), *found, one.get("kinds", [""] * (head + 1))[head]]


_RULES = ("previous token", "induction", "delimiter")


def _add_rollout(inside: Inside, patterns: dict[str, np.ndarray], section: Section) -> None:
    """The way through the layers of each stack of self-attention."""
    stacks: dict[str, list[np.ndarray]] = {}
    for name, pattern in patterns.items():
        before, _, after = name.rpartition("blocks.")
        if after.endswith((".attention.pattern", ".cell.pattern")):
            stacks.setdefault(before, []).append(pattern)
    for before, stack in stacks.items():
        if len(stack) < 2:
            continue
        name, flow = f"{before}rollout", rollout(stack)
        labels, _ = labels_of(inside, before, flow)
        section.numbers[name] = {"pattern": flow}
        highest, title = float(flow.max()), f"{name}: through all layers"
        section.add_figure(name, draw_heads, flow[None], labels, labels, title, highest)
        section.matrices.append(Matrix(name, labels, labels, flow))


def _add_pictures(inside: Inside, patterns: dict[str, np.ndarray], section: Section) -> None:
    """Maps over the image that a model reads: of its first query, or of each word of a target."""
    picture = inside.example.picture
    if picture is None:
        return
    drawn = {**patterns}
    if "rollout" in section.numbers:
        drawn["rollout"] = section.numbers["rollout"]["pattern"][None]
    for name, pattern in drawn.items():
        grid = patch_grid(picture.shape, pattern.shape[-1])
        if grid is None:
            continue
        own = pattern[..., -grid[0] * grid[1] :]  # without a class token
        crosses = "cross_attention" in name or "alignment" in name
        if crosses:
            rows, mean = inside.steps, own.mean(axis=0)
            # The step that reads a word looks for the next one.
            words = inside.example.targets or rows
            maps = {f"{n} {word}": mean[n].reshape(grid) for n, word in enumerate(words)}
        elif len(own) == 1:
            maps = {name: _query(own[0], pattern.shape[-1] != own.shape[-1]).reshape(grid)}
        else:
            first = pattern.shape[-1] != own.shape[-1]
            maps = {f"head {h}": _query(w, first).reshape(grid) for h, w in enumerate(own)}
        maps = dict(list(maps.items())[:MOST_MAPS])
        section.add_figure(f"{name}.picture", draw_over_picture, picture, maps, name)
        section.numbers.setdefault(name, {})["grid"] = list(grid)


def _query(weights: np.ndarray, has_class_token: bool) -> np.ndarray:
    """The weights of the class token, or the mean over all queries."""
    return weights[0] if has_class_token else weights.mean(axis=0)


def patch_grid(shape: tuple[int, ...], steps: int) -> tuple[int, int] | None:
    """Rows and columns of the square patches of an image that make so many steps, perhaps with a
    class token; None where no size of patches does."""
    for count in (steps, steps - 1):
        if count < 1:
            continue
        side = math.isqrt(shape[0] * shape[1] // count)
        if side and not (shape[0] % side or shape[1] % side):
            grid = shape[0] // side, shape[1] // side
            if grid[0] * grid[1] == count:
                return grid
    return None
