"""Interpolated modified Kneser-Ney: counted with numpy, looked up in jax.

Source: Chen & Goodman (1998), "An Empirical Study of Smoothing Techniques for Language Modeling",
Harvard TR-10-98. For a context h of k tokens and h' = h without its oldest token:

    P(w | h)  = max(c(h w) - D(c(h w)), 0) / c(h .) + g(h) P(w | h')
    g(h)      = (D1 N1(h .) + D2 N2(h .) + D3 N3+(h .)) / c(h .)
    P(w | ()) = max(c(w) - D(c(w)), 0) / c(.) + g(()) / V

N1, N2 and N3+ are the numbers of w with c(h w) equal to 1, to 2, and to 3 or more. c is the number
of occurrences for the highest order; below it, the number of distinct tokens that precede the k+1
tokens h w. Nothing precedes h w at the start of a document; the start then counts as one more
token, distinct from all others, so that pairs seen only at a start have count 1, not 0 (KenLM and
SRILM have <s> for this). The start itself is never a context, because an empty carry may also mean
the middle of a text (a crop, a prompt). With a context h never seen, P(w | h) is P(w | h').
Each order k+1 has its own D1, D2, D3.

Tables. Contexts form a tree read backwards: the parent of h is h', the edge is its oldest token.
Nodes are numbered level by level (level = length of the context) and, inside a level, by (parent,
token). The children of a node are therefore a range, and a child is found by binary search in
int32, however large V times the number of nodes is. The tokens that followed a context are another
range. With M nodes and E pairs:

    unigram           [V]      P(w | ()), interpolated
    node_tokens       [M]      edge to the parent; the root, node 0, has -1
    child_offsets     [M + 1]  children of node i: child_offsets[i] .. child_offsets[i + 1] - 1
    successor_offsets [M + 1]  pairs of node i; those of the root are in `unigram`
    backoff           [M]      g(h)
    successors        [E]      w
    discounted        [E]      (c(h w) - D) / c(h .)
    row_slots_k       [L_k]    0 .. L_k - 1, L_k = longest range of pairs at level k: its shape
                               makes the gathers of level k static inside jit

No array is empty, because orbax does not save empty arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Integer

from seqmodels.config.errors import UserError

Tables = dict[str, Any]

# Half an occurrence, where too few pairs were seen twice to estimate a discount.
_DEFAULT_DISCOUNT = 0.5


def estimate_discounts(counts: Int[np.ndarray, " E"]) -> Float[np.ndarray, "3"]:
    """Returns D1, D2, D3+ from the counts of one order.

        Y = n1 / (n1 + 2 n2);  D1 = 1 - 2 Y n2 / n1;  D2 = 2 - 3 Y n3 / n2;  D3 = 3 - 4 Y n4 / n3

    n_j is the number of counts equal to j. Where one of n1..n4 is zero, or a D_j is not in (0, j],
    all three are one absolute discount: Y where n1 and n2 are not zero, else 1/2. A discount is
    thus never zero, which would leave no mass for unseen pairs, and never above the count itself.
    """
    n1, n2, n3, n4 = (float(np.sum(counts == j)) for j in (1, 2, 3, 4))
    if n1 == 0 or n2 == 0:
        return np.full(3, _DEFAULT_DISCOUNT)
    absolute = n1 / (n1 + 2 * n2)
    if n3 > 0 and n4 > 0:
        ratios = np.array([2 * n2 / n1, 3 * n3 / n2, 4 * n4 / n3])
        discounts = np.array([1.0, 2.0, 3.0]) - absolute * ratios
        if np.all(discounts > 0):
            return discounts
    return np.full(3, absolute)


class _Level(NamedTuple):
    """Contexts of one length k and the tokens that followed; numbered from 0 in each level.

    parents, edges: [M_k] parent in level k - 1, and oldest token.
    nodes, words, raw: [E_k] the pairs (context, next token), sorted, and their occurrences.
    opening: [E_k] 1 where the pair is at the start of some document, else 0.
    positions: [P] targets with at least k tokens before them in their document.
    node_at, pair_at, shorter_at: [P] context, pair, and pair of level k - 1 at each of them.
    """

    parents: np.ndarray
    edges: np.ndarray
    nodes: np.ndarray
    words: np.ndarray
    raw: np.ndarray
    opening: np.ndarray
    positions: np.ndarray
    node_at: np.ndarray
    pair_at: np.ndarray
    shorter_at: np.ndarray


class _Rows(NamedTuple):
    """A smoothed level: parents, edges, lengths and backoff [M_k], words and discounted [E_k]."""

    parents: np.ndarray
    edges: np.ndarray
    lengths: np.ndarray
    backoff: np.ndarray
    words: np.ndarray
    discounted: np.ndarray


def _unique_pairs(
    major: np.ndarray, minor: np.ndarray, base: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (major, minor < base) in order, index of each input among them, and their counts."""
    keys, index, counts = np.unique(major * base + minor, return_inverse=True, return_counts=True)
    return keys // base, keys % base, index.reshape(-1), counts


def _make_level(
    tokens: np.ndarray, depth: np.ndarray, vocab_size: int, k: int, below: _Level | None
) -> _Level:
    if below is None:
        positions = np.arange(len(tokens))
        parents, edges = np.zeros(1, np.int64), np.full(1, -1, np.int64)
        node_at = shorter_at = np.zeros(len(tokens), np.int64)
    else:
        deep = depth[below.positions] >= k
        positions = below.positions[deep]
        shorter_at = below.pair_at[deep]
        parents, edges, node_at, _ = _unique_pairs(
            below.node_at[deep], tokens[positions - k], vocab_size
        )
    nodes, words, pair_at, raw = _unique_pairs(node_at, tokens[positions], vocab_size)
    opening = np.zeros(len(raw), np.int64)
    opening[pair_at[depth[positions] == k]] = 1
    return _Level(
        parents, edges, nodes, words, raw, opening, positions, node_at, pair_at, shorter_at
    )


def _continuations(level: _Level, above: _Level) -> np.ndarray:
    """Number of distinct tokens, the start of a document included, before each pair: [E_k]."""
    suffix_of = np.empty(len(above.raw), np.int64)
    suffix_of[above.pair_at] = above.shorter_at
    return np.bincount(suffix_of, minlength=len(level.raw)) + level.opening


def _smooth(level: _Level, counts: np.ndarray) -> _Rows:
    num_nodes = len(level.parents)
    taken = estimate_discounts(counts)[np.minimum(counts, 3) - 1]
    totals = np.bincount(level.nodes, counts, num_nodes)
    return _Rows(
        level.parents,
        level.edges,
        np.bincount(level.nodes, minlength=num_nodes),
        np.bincount(level.nodes, taken, num_nodes) / totals,
        level.words,
        (counts - taken) / totals[level.nodes],
    )


def _document_depth(num_tokens: int, offsets: np.ndarray | None) -> np.ndarray:
    """Number of tokens before each token in its document: [N]."""
    if offsets is None:
        return np.arange(num_tokens)
    offsets = np.asarray(offsets, np.int64)
    if offsets[0] != 0 or offsets[-1] != num_tokens or np.any(np.diff(offsets) < 0):
        raise ValueError(f"offsets must rise from 0 to {num_tokens}")
    return np.arange(num_tokens) - np.repeat(offsets[:-1], np.diff(offsets))


def count_tables(
    tokens: Integer[np.ndarray, " N"],
    vocab_size: int,
    order: int,
    offsets: Integer[np.ndarray, " num_offsets"] | None = None,
) -> Tables:
    """Counts and smooths a corpus.

    Args:
      tokens: the corpus, each in 0..vocab_size - 1.
      vocab_size: V.
      order: n >= 1; a context has up to n - 1 tokens.
      offsets: start of each document, then N; contexts do not cross them. None: one stream.

    Returns:
      The tables of the module docstring, numpy arrays.

    Raises:
      UserError: order below 1, no tokens, or too many distinct n-grams for int32.
      ValueError: a token outside the vocabulary, or offsets that do not cover the corpus.
    """
    if order < 1:
        raise UserError(f"model.order is {order}; allowed: 1 or more")
    if len(tokens) == 0:
        raise UserError("the n-gram model has nothing to count: the training split has no tokens")
    tokens = np.asarray(tokens, np.int64)
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        raise ValueError(f"tokens must be in 0..{vocab_size - 1}")
    depth = _document_depth(len(tokens), offsets)
    level = _make_level(tokens, depth, vocab_size, 0, None)
    rows = []
    for k in range(1, order):
        above = _make_level(tokens, depth, vocab_size, k, level)
        rows.append(_smooth(level, _continuations(level, above)))
        level = above
    rows.append(_smooth(level, level.raw))
    return _join(rows, vocab_size)


def empty_tables(vocab_size: int, order: int) -> Tables:
    """Returns the tables of a model that has counted nothing: uniform, in the smallest shapes."""
    nothing = np.zeros(0, np.int64)
    root = _Rows(
        np.zeros(1, np.int64), np.full(1, -1), np.zeros(1, int), np.ones(1), nothing, nothing
    )
    level = _Rows(*[nothing] * len(_Rows._fields))
    return _join([root] + [level] * (order - 1), vocab_size)


def _join(rows: list[_Rows], vocab_size: int) -> Tables:
    """Numbers the nodes of all levels in one sequence and concatenates the levels."""
    root, deeper = rows[0], rows[1:]
    unigram = np.full(vocab_size, root.backoff[0] / vocab_size)
    unigram[root.words] += root.discounted
    children = [
        np.bincount(above.parents, minlength=len(level.parents))
        for level, above in zip(rows[:-1], deeper, strict=True)
    ] + [np.zeros(len(rows[-1].parents), np.int64)]
    lengths = [np.zeros(1, np.int64)] + [level.lengths for level in deeper]
    tables = {
        "unigram": unigram.astype(np.float32),
        "node_tokens": _concatenate([level.edges for level in rows], np.int32),
        "child_offsets": _offsets(children, 1),
        "successor_offsets": _offsets(lengths, 0),
        "backoff": _concatenate([np.ones(1)] + [level.backoff for level in deeper], np.float32),
        "successors": _concatenate([level.words for level in deeper], np.int32),
        "discounted": _concatenate([level.discounted for level in deeper], np.float32),
    }
    for k, level in enumerate(deeper, start=1):
        tables[f"row_slots_{k}"] = np.arange(level.lengths.max(initial=1), dtype=np.int32)
    return tables


def _concatenate(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    joined = np.concatenate([*parts, np.zeros(0)]).astype(dtype)
    return joined if len(joined) else np.zeros(1, dtype)


def _offsets(lengths: list[np.ndarray], first: int) -> np.ndarray:
    ends = first + np.cumsum(np.concatenate(lengths), dtype=np.int64)
    if ends[-1] > np.iinfo(np.int32).max:
        raise UserError("model.order is too high for this corpus: int32 cannot number its n-grams")
    return np.concatenate([[first], ends]).astype(np.int32)


def recent_tokens(
    tokens: Int[Array, "B T"],
    segment_ids: Int[Array, "B T"],
    last_tokens: Int[Array, "B C"],
    last_segment: Int[Array, " B"],
) -> tuple[Int[Array, "B T C"], Int[Array, "B C"], Int[Array, " B"]]:
    """Windows of the C latest tokens of the same segment, newest first, -1 where there is none.

    Args:
      tokens: the chunk.
      segment_ids: 0 = padding, which windows skip; the windows of padding are all -1.
      last_tokens: tokens before the chunk, newest last, -1 = nothing.
      last_segment: the segment of last_tokens, 0 = none yet.

    Returns:
      The windows, and last_tokens and last_segment after the chunk.
    """
    context = last_tokens.shape[1]
    row = jnp.arange(tokens.shape[0])[:, None]
    real = segment_ids != 0
    rank = jnp.cumsum(real, axis=1, dtype=jnp.int32)  # number of real tokens up to here
    place = jnp.where(real, context + rank - 1, context + tokens.shape[1])
    before = jnp.broadcast_to(last_segment[:, None], last_tokens.shape)
    # Real tokens follow the carried ones; padding is dropped past the end.
    token_line = jnp.concatenate([last_tokens, jnp.full_like(tokens, -1)], 1)
    token_line = token_line.at[row, place].set(tokens, mode="drop")
    segment_line = jnp.concatenate([before, jnp.zeros_like(segment_ids)], 1)
    segment_line = segment_line.at[row, place].set(segment_ids, mode="drop")

    offsets = jnp.arange(context)
    back = place[..., None] - offsets[None, None]  # [B, T, C]
    found = token_line.at[row[..., None], back].get(mode="clip")
    same = segment_line.at[row[..., None], back].get(mode="clip") == segment_ids[..., None]
    windows = jnp.where(same & real[..., None], found, -1)

    after = rank[:, -1:] + offsets[None]  # [B, C]
    segments = jnp.concatenate([last_segment[:, None], segment_line[:, context:]], 1)
    segment = segments[row[:, 0], rank[:, -1]]
    kept = segment_line[row, after] == segment[:, None]
    return windows, jnp.where(kept, token_line[row, after], -1), segment


def find_contexts(
    tables: Mapping[str, Array], windows: Int[Array, "*batch C"]
) -> Int[Array, "*batch levels"]:
    """Nodes of the contexts of 0..C tokens that end each window; -1 = context never seen.

    Args:
      tables: see the module docstring.
      windows: latest tokens, newest first, -1 = nothing.
    """
    offsets = tables["child_offsets"]

    def descend(parent: Array, token: Array) -> tuple[Array, Array]:
        known = jnp.maximum(parent, 0)
        at, there = _search(tables, "node_tokens", token, offsets[known], offsets[known + 1])
        node = jnp.where((parent >= 0) & there, at, -1)
        return node, node

    root = jnp.zeros(windows.shape[:-1], jnp.int32)
    _, nodes = lax.scan(descend, root, jnp.moveaxis(windows, -1, 0))
    return jnp.moveaxis(jnp.concatenate([root[None], nodes]), 0, -1)


def _search(
    tables: Mapping[str, Array], name: str, token: Array, low: Array, end: Array
) -> tuple[Array, Array]:
    """Position of tokens in the sorted range low .. end - 1 of a table, and whether it is found."""
    table = tables[name]

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = low + (high - low) // 2
        right = (low < high) & (table.at[middle].get(mode="clip") < token)
        return jnp.where(right, middle + 1, low), jnp.where(right, high, middle)

    steps = tables["unigram"].shape[0].bit_length()  # no range is longer than V
    low, _ = lax.fori_loop(0, steps, halve, (low, end))
    return low, (low < end) & (table.at[low].get(mode="clip") == token)


def log_probabilities(
    tables: Mapping[str, Array], nodes: Int[Array, "*batch levels"]
) -> Float[Array, "*batch V"]:
    """Returns log P(. | context) in nats; the exponentials sum to one.

    Level k costs a gather of [N, L_k] pairs (L_k <= V) and a scatter into [N, V], with N the number
    of contexts, so the memory is a small multiple of the result.
    """
    batch, levels = nodes.shape[:-1], nodes.shape[-1]
    flat = nodes.reshape(-1, levels)
    unigram = tables["unigram"]
    row = jnp.arange(flat.shape[0])[:, None]
    total = jnp.broadcast_to(unigram, (flat.shape[0], unigram.shape[0]))
    for k in range(1, levels):
        slots = tables[f"row_slots_{k}"][None, :]
        seen = flat[:, k] >= 0
        node = jnp.maximum(flat[:, k], 0)
        start = tables["successor_offsets"][node][:, None]
        # Unseen contexts look up the root, which has no pairs.
        end = tables["successor_offsets"][node + 1][:, None]
        at = start + slots  # [N, L_k]
        token = tables["successors"].at[at].get(mode="clip")
        mass = jnp.where(at < end, tables["discounted"].at[at].get(mode="clip"), 0.0)
        total = total * jnp.where(seen, tables["backoff"][node], 1.0)[:, None]
        total = total.at[row, token].add(mass)
    # A product of many small back-off weights may underflow; its log must stay finite.
    result = jnp.log(jnp.maximum(total, jnp.finfo(jnp.float32).tiny))
    return result.reshape(*batch, unigram.shape[0])


def log_probability(
    tables: Mapping[str, Array], nodes: Int[Array, "*batch levels"], tokens: Int[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Returns log P(token | context) in nats: `log_probabilities` at one token each.

    It spends no time or memory on the other tokens, of which there may be tens of thousands.
    """
    total = tables["unigram"][tokens]
    for k in range(1, nodes.shape[-1]):
        seen, node = nodes[..., k] >= 0, jnp.maximum(nodes[..., k], 0)
        offsets = tables["successor_offsets"]
        at, there = _search(tables, "successors", tokens, offsets[node], offsets[node + 1])
        mass = jnp.where(there, tables["discounted"].at[at].get(mode="clip"), 0.0)
        total = total * jnp.where(seen, tables["backoff"][node], 1.0) + mass
    return jnp.log(jnp.maximum(total, jnp.finfo(jnp.float32).tiny))
