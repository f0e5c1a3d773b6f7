"""Whole documents in rows: packed side by side, or one per row in buckets of similar length.

A document of n tokens has n - 1 targets and takes n - 1 columns: its inputs are all tokens but the
last. One with more targets than a row has columns is cut into pieces; the last token of a piece is
the first input of the next, so that every target comes exactly once an epoch.
"""

from __future__ import annotations

import bisect
import functools

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data import order
from seqmodels.data.ragged import ranges
from seqmodels.data.sources import TokenSource
from seqmodels.data.token_store import TokenSplit
from seqmodels.types import Batch

MAX_BUCKETS = 8
_MAX_CANDIDATES = 256


def cut_pieces(offsets: np.ndarray, sequence_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts documents into pieces of at most sequence_length targets.

    Args:
      offsets: [num_documents + 1] of the documents' tokens.
      sequence_length: T.

    Returns:
      Where each piece starts and its number of targets, both int64 [num_pieces], in the order of
      the text. Documents of fewer than two tokens have no target and no piece.
    """
    targets = np.maximum(np.diff(offsets) - 1, 0)
    counts = -(-targets // sequence_length)
    number = ranges(np.zeros_like(counts), counts)
    starts = np.repeat(offsets[:-1], counts) + number * sequence_length
    lengths = np.minimum(np.repeat(targets, counts) - number * sequence_length, sequence_length)
    return starts, lengths


def best_fit_decreasing(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Packs pieces into rows: the longest first, each into the fullest row that still holds it.

    Args:
      lengths: [n], decreasing, each in 1..capacity.
      capacity: columns of a row.

    Returns:
      Row and first column of each piece, both int64 [n].
    """
    rows, columns = np.arange(len(lengths)), np.zeros(len(lengths), np.int64)
    num_rows = int(np.searchsorted(-lengths, -capacity, side="right"))  # these fill a row each
    room: list[int] = []  # distinct numbers of free columns, increasing
    open_rows: dict[int, list[int]] = {}
    for piece in range(num_rows, len(lengths)):
        length = int(lengths[piece])
        at = bisect.bisect_left(room, length)
        if at < len(room):
            free = room[at]
            row = open_rows[free].pop()
            if not open_rows[free]:
                del room[at]
        else:
            free, row = capacity, num_rows
            num_rows += 1
        rows[piece], columns[piece] = row, capacity - free
        if free > length:
            if not open_rows.setdefault(free - length, []):
                bisect.insort(room, free - length)
            open_rows[free - length].append(row)
    return rows, columns


def choose_widths(lengths: np.ndarray, batch_size: int, most: int = MAX_BUCKETS) -> np.ndarray:
    """Chooses at most `most` row widths so that an epoch has the fewest columns in all.

    A bucket of n pieces of width w costs ceil(n / B) B w columns, padding rows included. Dynamic
    programming over the lengths that occur (at most 256 quantiles of them) finds the minimum.

    Args:
      lengths: [n] of the pieces.
      batch_size: B.

    Returns:
      Widths, increasing; the last is the greatest length.
    """
    candidates = np.unique(lengths)
    if len(candidates) > _MAX_CANDIDATES:
        shares = np.linspace(0, 1, _MAX_CANDIDATES)
        candidates = np.unique(np.quantile(lengths, shares, method="higher"))
    up_to = np.searchsorted(np.sort(lengths), candidates, side="right")
    before = np.concatenate([[0], up_to])
    # cost[i, j]: one bucket for candidates i..j, of width candidates[j].
    num = before[None, 1:] - before[:-1, None]
    cost = np.where(num > 0, -(-num // batch_size) * batch_size * candidates[None, :], np.inf)
    best = np.full(len(before), np.inf)
    best[0] = 0.0
    totals, choices = [], []
    for _ in range(most):
        through = best[:-1, None] + cost  # [first candidate of the last bucket, its last one]
        choices.append(through.argmin(0))
        best = np.concatenate([[np.inf], through.min(0)])
        totals.append(best[-1])
    number, end, widths = int(np.argmin(totals)), len(candidates) - 1, []
    while end >= 0:
        widths.append(int(candidates[end]))
        end = int(choices[number][end]) - 1
        number -= 1
    return np.array(widths[::-1])


def plan_buckets(
    members: list[np.ndarray], batch_size: int, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Deals the items of each bucket out to ceil(n / B) batches and permutes all batches.

    Args:
      members: items of each bucket.
      batch_size: B.
      seed, epoch: what the permutations depend on.

    Returns:
      The bucket of each batch [num_batches], and its items [num_batches, B], -1 for none.
    """
    parts = [
        order.deal(items[order.permutation(seed, f"bucket {i}", epoch, len(items))], batch_size)
        for i, items in enumerate(members)
    ]
    buckets = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    shuffled = order.permutation(seed, "batches", epoch, len(buckets))
    return buckets[shuffled], np.concatenate(parts)[shuffled]


class _Pieces(TokenSource):
    """Pieces of documents, longest first: `_starts` and `_lengths` [num_pieces]."""

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        super().__init__(split, batch_size, sequence_length, seed, name)
        starts, lengths = cut_pieces(split.offsets, sequence_length)
        if not len(lengths):
            raise UserError(f"data.name: no document of the {name} split has two tokens")
        longest_first = np.argsort(-lengths, kind="stable")
        self._starts, self._lengths = starts[longest_first], lengths[longest_first]

    def _fill(
        self, pieces: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
    ) -> Batch:
        """Lays pieces into rows of `shape`; a row's segments count 1, 2, .. in the order given."""
        lengths = self._lengths[pieces]
        source = ranges(self._starts[pieces], lengths)
        place = ranges(rows * shape[1] + columns, lengths)
        # Pieces of one row stand together, so a segment's number is its distance from the first.
        first = np.searchsorted(rows, rows)
        inputs, targets, segments = (np.zeros(shape, np.int32) for _ in range(3))
        weights = np.zeros(shape, np.float32)
        inputs.reshape(-1)[place] = self._tokens[source]
        targets.reshape(-1)[place] = self._tokens[source + 1]
        segments.reshape(-1)[place] = np.repeat(np.arange(len(rows)) - first + 1, lengths)
        weights.reshape(-1)[place] = 1.0
        return Batch(inputs, targets, weights, segments)


class Packed(_Pieces):
    """Documents packed into rows of sequence_length columns, separated by segment ids.

    Best-fit decreasing packing is planned once over the lengths. Each epoch permutes pieces of
    equal length among their places, and the rows, so the number of rows never changes. Rows that no
    piece needs are padding: segment 0, weight 0.
    """

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        super().__init__(split, batch_size, sequence_length, seed, name)
        rows, columns = best_fit_decreasing(self._lengths, sequence_length)
        self._num_rows = int(rows.max()) + 1
        self._require_rows(self._num_rows, f"packed rows of {sequence_length}")
        self._by_row = np.lexsort((columns, rows))
        self._columns = columns[self._by_row]
        self._bounds = np.searchsorted(rows[self._by_row], np.arange(self._num_rows + 1))
        self.batches_per_epoch = -(-self._num_rows // batch_size)
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)

    def _make_plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the piece of each place (by row) and the rows of each batch [num_batches, B]."""
        drawn = order.draw(self._seed, "pieces", epoch, len(self._lengths))
        pieces = np.lexsort((drawn, -self._lengths))
        rows = order.permutation(self._seed, "rows", epoch, self._num_rows)
        return pieces[self._by_row], order.deal(rows, self.batch_size)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        epoch, index = self.position(step)
        pieces, plan = self._plan(epoch)
        chosen = plan[index, rows]
        real = np.flatnonzero(chosen >= 0)
        first = self._bounds[chosen[real]]
        counts = self._bounds[chosen[real] + 1] - first
        places = ranges(first, counts)
        shape = (len(chosen), self._length)
        return self._fill(pieces[places], np.repeat(real, counts), self._columns[places], shape)


class Buckets(_Pieces):
    """One piece per row, in batches of similar length: at most 8 widths, chosen from the lengths.

    Each epoch distributes the pieces of a bucket over ceil(n / B) batches and permutes all
    batches.
    Rows without a piece are padding: segment 0, weight 0.
    """

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        super().__init__(split, batch_size, sequence_length, seed, name)
        self._require_rows(len(self._lengths), "documents, long ones cut")
        self._widths = choose_widths(self._lengths, batch_size)
        bucket = np.searchsorted(self._widths, self._lengths)
        self._members = [np.flatnonzero(bucket == i) for i in range(len(self._widths))]
        self.shapes = tuple((batch_size, int(width)) for width in self._widths)
        self.batches_per_epoch = sum(-(-len(m) // batch_size) for m in self._members)
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)

    def _make_plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        return plan_buckets(self._members, self.batch_size, self._seed, epoch)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        epoch, index = self.position(step)
        buckets, plan = self._plan(epoch)
        chosen = plan[index, rows]
        real = np.flatnonzero(chosen >= 0)
        shape = (len(chosen), int(self._widths[buckets[index]]))
        return self._fill(chosen[real], real, np.zeros_like(real), shape)
