"""Law 2 over every kind of source: a batch is a function of its step."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.config.data import Batching
from seqmodels.config.errors import UserError
from seqmodels.data.packing import MAX_BUCKETS, Buckets, Packed
from seqmodels.data.sources import Crops, Streams, TokenSource, Windows
from seqmodels.protocols import BatchSource
from seqmodels.types import Batch
from tests.data.helpers import numbered_split

KINDS: dict[Batching, type[TokenSource]] = {
    Batching.CROPS: Crops,
    Batching.WINDOWS: Windows,
    Batching.STREAMS: Streams,
    Batching.PACKED: Packed,
    Batching.BUCKETS: Buckets,
}
DOCUMENTS = [40, 7, 1, 12, 3, 3, 25, 0, 2, 9, 9, 31, 5, 2, 8]
SHUFFLED = [Batching.WINDOWS, Batching.PACKED, Batching.BUCKETS]
EACH_KIND = pytest.mark.parametrize("kind", list(KINDS))


def make(kind: Batching, seed: int = 0, batch_size: int = 3, length: int = 11) -> BatchSource:
    return KINDS[kind](numbered_split(DOCUMENTS), batch_size, length, seed, "train")


def epoch_steps(source: BatchSource, epoch: int) -> range:
    first = 1 + epoch * source.batches_per_epoch
    return range(first, first + source.batches_per_epoch)


def counted_targets(source: BatchSource, epoch: int) -> list[int]:
    """Every target of an epoch that counts, sorted."""
    batches = [source.batch(step) for step in epoch_steps(source, epoch)]
    return sorted(t for b in batches for t in b.targets[b.loss_weights > 0].tolist())


def same(one: Batch, other: Batch) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in leaves)


def test_every_kind_is_tested() -> None:
    assert set(KINDS) == set(Batching)


@EACH_KIND
def test_batch_has_its_declared_form(kind: Batching) -> None:
    source = make(kind)
    assert isinstance(source, BatchSource)
    assert source.carries_state == (kind == Batching.STREAMS)
    assert 1 <= len(source.shapes) <= MAX_BUCKETS
    assert len(set(source.shapes)) == len(source.shapes)
    for step in range(1, 2 * source.batches_per_epoch + 2):
        batch = source.batch(step)
        leaves = jax.tree.leaves(batch)
        assert all(type(leaf) is np.ndarray and leaf.shape in source.shapes for leaf in leaves)
        assert batch.inputs.dtype == batch.targets.dtype == np.int32
        assert batch.loss_weights.dtype == np.float32
        if kind in (Batching.CROPS, Batching.WINDOWS):
            assert batch.segment_ids is None
        else:
            assert batch.segment_ids.dtype == np.int32
            padding = batch.segment_ids == 0
            assert (batch.loss_weights[padding] == 0).all()


@EACH_KIND
def test_targets_follow_their_inputs_inside_their_segment(kind: Batching) -> None:
    source = make(kind)
    document = np.repeat(np.arange(len(DOCUMENTS)), DOCUMENTS)
    for step in range(1, 2 * source.batches_per_epoch + 1):
        batch = source.batch(step)
        counts = batch.loss_weights > 0
        assert set(np.unique(batch.loss_weights)) <= {0, 1}
        assert (batch.targets[counts] == batch.inputs[counts] + 1).all()
        if kind in (Batching.PACKED, Batching.BUCKETS):
            real = batch.segment_ids > 0
            assert (counts == real).all()
            assert (document[batch.inputs[real]] == document[batch.targets[real]]).all()
            for ids, inputs in zip(batch.segment_ids, batch.inputs, strict=True):
                ids, inputs = ids[ids > 0], inputs[ids > 0]
                # Segments count 1, 2, .. along the row, and each is one contiguous piece of text.
                assert (np.diff(ids, prepend=0) <= 1).all() and (np.diff(ids) >= 0).all()
                assert (np.diff(inputs)[np.diff(ids) == 0] == 1).all()


@EACH_KIND
@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_batch_has_a_target(kind: Batching, size: int) -> None:
    """Without one, momentum and decay alone would move the parameters."""
    for length in (1, 4, 7, 11, 50, 70):
        source = make(kind, batch_size=min(size, 158 // length), length=length)
        for step in range(1, 6 * source.batches_per_epoch + 1):
            assert source.batch(step).loss_weights.any(), (length, step)


@pytest.mark.parametrize("size", [1, 2])
def test_windows_of_a_small_batch_still_have_every_target_once(size: int) -> None:
    source = make(Batching.WINDOWS, batch_size=size)
    for epoch in range(12):
        assert counted_targets(source, epoch) == list(range(1, sum(DOCUMENTS)))


@EACH_KIND
def test_rows_are_a_slice_of_the_global_batch(kind: Batching) -> None:
    source = make(kind, batch_size=5)
    for step in range(1, 2 * source.batches_per_epoch + 1):
        whole = source.batch(step)
        for rows in (slice(0, 2), slice(2, 5), slice(4, None), slice(3, 3), slice(None, None, 2)):
            part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], whole)
            assert same(source.batch(step, rows), part), (step, rows)


@EACH_KIND
def test_batches_do_not_depend_on_the_order_or_the_thread_of_the_calls(kind: Batching) -> None:
    steps = range(1, 5 * make(kind).batches_per_epoch)
    expected = {step: make(kind).batch(step) for step in steps}  # a new source for every step
    source = make(kind)
    calls = np.random.default_rng(1).permutation(np.repeat(steps, 3)).tolist()
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(source.batch, calls))
    assert all(same(batch, expected[step]) for step, batch in zip(calls, got, strict=True))


@EACH_KIND
def test_callers_may_write_into_a_batch(kind: Batching) -> None:
    source = make(kind)
    expected, batch = make(kind).batch(1), source.batch(1)
    for leaf in jax.tree.leaves(batch):
        leaf[...] = 0
    assert same(source.batch(1), expected)


@EACH_KIND
def test_position(kind: Batching) -> None:
    source = make(kind)
    number = source.batches_per_epoch
    assert source.position(1) == (0, 0)
    assert source.position(number) == (0, number - 1)
    assert source.position(3 * number + 1) == (3, 0)
    for step in (0, -1):
        with pytest.raises(ValueError, match="count from 1"):
            source.batch(step)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Batching.WINDOWS, Batching.STREAMS]),
    st.integers(1, 80),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(0, 5),
)
def test_every_target_comes_once_an_epoch(
    kind: Batching, num_targets: int, length: int, batch_size: int, seed: int
) -> None:
    try:
        source = KINDS[kind](numbered_split([num_targets + 1]), batch_size, length, seed, "train")
    except UserError:
        assert num_targets // length < batch_size or num_targets < length
        return
    for epoch in (0, 1, 7):
        assert counted_targets(source, epoch) == list(range(1, num_targets + 1))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Batching.PACKED, Batching.BUCKETS]),
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_every_target_of_every_document_comes_once_an_epoch(
    kind: Batching, lengths: list[int], length: int, batch_size: int
) -> None:
    split = numbered_split(lengths)
    try:
        source = KINDS[kind](split, batch_size, length, 0, "train")
    except UserError:
        return
    first_of_document = {first for first, n in zip(split.offsets, lengths, strict=False) if n}
    expected = [i for i in range(sum(lengths)) if i not in first_of_document]
    for epoch in (0, 1, 7):
        assert counted_targets(source, epoch) == expected


@pytest.mark.parametrize("kind", SHUFFLED)
def test_epochs_and_seeds_differ(kind: Batching) -> None:
    source, other = make(kind), make(kind, seed=1)
    plans = {
        tuple(
            value
            for step in epoch_steps(maker, epoch)
            for value in maker.batch(step).targets.ravel().tolist()
        )
        for maker in (source, other)
        for epoch in range(4)
    }
    assert len(plans) == 8


def test_crops_and_their_seeds_differ_and_reach_every_start() -> None:
    split = numbered_split([14])
    starts = {}
    for seed in (0, 1):
        source = Crops(split, 3, 11, seed, "train")
        starts[seed] = [source.batch(step).inputs[:, 0].tolist() for step in range(1, 40)]
        assert {start for row in starts[seed] for start in row} == {0, 1, 2}
    assert starts[0] != starts[1]
    only = Crops(numbered_split([12]), 3, 11, 0, "train").batch(1)
    assert (only.inputs == np.arange(11)).all() and (only.targets == np.arange(1, 12)).all()


def test_windows_change_their_cuts_from_epoch_to_epoch() -> None:
    source = make(Batching.WINDOWS, batch_size=1)
    cuts = []
    for epoch in range(20):
        batches = [source.batch(step) for step in epoch_steps(source, epoch)]
        cuts.append({int(b.targets[b.loss_weights > 0].min(initial=99)) % 11 for b in batches})
    assert len({frozenset(cut) for cut in cuts}) > 5
    order = [source.batch(step).inputs[0, 0] for step in epoch_steps(source, 0)]
    assert order != sorted(order)


@pytest.mark.parametrize("kind", SHUFFLED)
def test_an_epoch_is_planned_once(kind: Batching, monkeypatch: pytest.MonkeyPatch) -> None:
    planned, plan = [], KINDS[kind]._make_plan
    monkeypatch.setattr(
        KINDS[kind], "_make_plan", lambda self, epoch: (planned.append(epoch), plan(self, epoch))[1]
    )
    source = make(kind)
    for step in range(1, 3 * source.batches_per_epoch + 1):
        source.batch(step)
    assert planned == [0, 1, 2]


def documents_by_row(source: BatchSource, length: int, epoch: int) -> list[frozenset[int]]:
    """For each row of an epoch that is not empty, its documents, all of which have `length`."""
    rows = []
    for step in epoch_steps(source, epoch):
        batch = source.batch(step)
        for inputs, ids in zip(batch.inputs, batch.segment_ids, strict=True):
            rows.append(frozenset((inputs[ids > 0] // length).tolist()))
    return [row for row in rows if row]


def test_packed_documents_change_their_neighbours_and_their_turn() -> None:
    alike = Packed(numbered_split([6] * 20), 2, 10, 0, "train")
    neighbours = [set(documents_by_row(alike, 6, epoch)) for epoch in range(3)]
    assert neighbours[0] != neighbours[1] != neighbours[2]
    assert {len(row) for rows in neighbours for row in rows} == {2}
    # Each of these fills its row alone, so only the order of the rows can change.
    alone = Packed(numbered_split([11, 10, 9, 8, 7, 11, 10, 9, 8, 7]), 2, 10, 0, "train")
    turns = [
        [alone.batch(step).loss_weights.sum(1).tolist() for step in epoch_steps(alone, epoch)]
        for epoch in range(3)
    ]
    assert turns[0] != turns[1] != turns[2]


def test_bucketed_documents_change_their_batch_and_batches_their_turn() -> None:
    alike = Buckets(numbered_split([6] * 20), 2, 10, 0, "train")
    rows = [documents_by_row(alike, 6, epoch) for epoch in range(3)]
    pairs = [{row | other for row, other in zip(r[::2], r[1::2], strict=True)} for r in rows]
    assert pairs[0] != pairs[1] != pairs[2]
    mixed = Buckets(numbered_split([3] * 12 + [11] * 12), 2, 10, 0, "train")
    shapes = [
        [mixed.batch(step).inputs.shape for step in epoch_steps(mixed, epoch)] for epoch in range(3)
    ]
    assert shapes[0] != shapes[1] != shapes[2]
    assert {shape for turns in shapes for shape in turns} == {(2, 2), (2, 10)}


def test_streams_run_on_and_start_afresh_with_the_epoch() -> None:
    source = make(Batching.STREAMS)
    for epoch in (0, 1):
        batches = [source.batch(step) for step in epoch_steps(source, epoch)]
        inputs = np.concatenate([b.inputs for b in batches], axis=1)
        segments = np.concatenate([b.segment_ids for b in batches], axis=1)
        bounds = [0, 52, 104, 156]  # 157 documents' tokens have 156 targets, 52 a row
        for row, (first, end) in enumerate(itertools.pairwise(bounds)):
            real = segments[row] > 0
            assert real.tolist() == [True] * 52 + [False] * (len(real) - 52)
            assert (segments[row][real] == epoch + 1).all()
            assert inputs[row][real].tolist() == list(range(first, end))


def test_packed_rows_are_full_and_buckets_waste_little() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.geometric(1 / 30, 900).tolist()
    split = numbered_split(lengths)
    fills = {}
    for kind in (Batching.PACKED, Batching.BUCKETS):
        source = KINDS[kind](split, 8, 64, 0, "train")
        weights = [source.batch(step).loss_weights for step in epoch_steps(source, 0)]
        fills[kind] = sum(w.sum() for w in weights) / sum(w.size for w in weights)
    assert fills[Batching.PACKED] > 0.97
    assert fills[Batching.BUCKETS] > 0.85
    assert len(source.shapes) > 4


@EACH_KIND
def test_a_split_too_short_for_the_window_is_the_users_mistake(kind: Batching) -> None:
    with pytest.raises(UserError) as raised:
        KINDS[kind](numbered_split([9, 3]), 3, 12, 0, "train")
    line = "data.sequence_length=12: the train split has 12 tokens; at most 11"
    assert str(raised.value) == line


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (Batching.WINDOWS, "data.batch_size=9: the test split has 3 windows of 4; at most 3"),
        (Batching.STREAMS, "data.batch_size=9: the test split has 2 streams of 4; at most 2"),
        (Batching.PACKED, "data.batch_size=9: the test split has 2 packed rows of 4; at most 2"),
        (Batching.BUCKETS, "data.batch_size=9: the test split has 3 documents, long ones cut; "),
    ],
)
def test_more_rows_than_there_are_is_the_users_mistake(kind: Batching, line: str) -> None:
    with pytest.raises(UserError) as raised:
        KINDS[kind](numbered_split([6, 4, 1]), 9, 4, 0, "test")
    assert str(raised.value).startswith(line)


def test_documents_without_targets_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no document of the train split has two tokens"):
        Packed(numbered_split([1] * 20), 2, 4, 0, "train")
