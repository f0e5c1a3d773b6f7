"""The 80/10/10 rule, and law 2 for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from seqmodels.config.data import Batching
from seqmodels.data import order
from seqmodels.data.masking import Masked, Masking, mask_token
from seqmodels.data.packing import Buckets, Packed
from seqmodels.data.sources import Crops, TokenSource, Windows
from seqmodels.data.tokenizers import ByteTokenizer
from seqmodels.protocols import BatchSource
from seqmodels.types import Batch
from tests.data.helpers import numbered_split

KINDS: dict[Batching, type[TokenSource]] = {
    Batching.CROPS: Crops,
    Batching.WINDOWS: Windows,
    Batching.PACKED: Packed,
    Batching.BUCKETS: Buckets,
}
DOCUMENTS = [40, 7, 1, 12, 3, 3, 25, 0, 2, 9, 9, 31, 5, 2, 8]
V = sum(DOCUMENTS)
RULE = Masking(mask_id=V, num_tokens=V, rate=0.15, mask_share=0.8, random_share=0.1)


def make(kind: Batching, masking: Masking = RULE, seed: int = 0) -> tuple[BatchSource, Masked]:
    plain = KINDS[kind](numbered_split(DOCUMENTS), 3, 11, seed, "train")
    return plain, Masked(plain, masking, seed)


def random_batch(rows: int, length: int) -> Batch:
    tokens = np.random.default_rng(0).integers(0, V, (rows, length + 1)).astype(np.int32)
    return Batch(tokens[:, :-1], tokens[:, 1:], np.ones((rows, length), np.float32))


def draws(rows: int, length: int) -> np.ndarray:
    return order.draw(7, "test", 0, rows * 3 * length).reshape(rows, 3, length)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_the_originals_at_the_chosen_and_nothing_else_changes(kind: Batching) -> None:
    plain, masked = make(kind)
    assert isinstance(masked, BatchSource)
    for step in range(1, 2 * masked.batches_per_epoch + 1):
        before, after = plain.batch(step), masked.batch(step)
        chosen, counts = after.loss_weights > 0, before.loss_weights > 0
        np.testing.assert_array_equal(after.targets, before.inputs)
        np.testing.assert_array_equal(after.inputs[~chosen], before.inputs[~chosen])
        assert not (chosen & ~counts).any(), "padding, or a token of another row's, is chosen"
        size = counts.sum(axis=1)
        wanted = [max(1, round(0.15 * n)) if n else 0 for n in size.tolist()]
        assert chosen.sum(axis=1).tolist() == wanted
        assert after.inputs.dtype == after.targets.dtype == np.int32
        assert set(np.unique(after.loss_weights)) <= {0.0, 1.0}
        if before.segment_ids is not None:
            np.testing.assert_array_equal(after.segment_ids, before.segment_ids)


@pytest.mark.parametrize("kind", KINDS)
def test_any_slice_of_rows_has_the_same_bits(kind: Batching) -> None:
    _, masked = make(kind)
    whole = masked.batch(2)
    for rows in (slice(0, 1), slice(1, 3), slice(2, 3)):
        part = make(kind)[1].batch(2, rows)
        for name in ("inputs", "targets", "loss_weights"):
            np.testing.assert_array_equal(vars(part)[name], vars(whole)[name][rows])


def test_each_step_has_a_mask_of_its_own() -> None:
    """Even where it reads the same tokens."""
    split = numbered_split([12])  # one crop alone
    masked = Masked(Crops(split, 2, 11, 0, "train"), RULE, seed=0)
    chosen = {masked.batch(step).loss_weights.tobytes() for step in range(1, 9)}
    assert len(chosen) > 4


def test_shares_are_80_10_10_of_15_percent() -> None:
    batch = random_batch(300, 200)
    after = RULE(batch, draws(300, 200))
    chosen = after.loss_weights > 0
    assert (chosen.sum(axis=1) == 30).all()
    n = chosen.sum()
    hidden = (after.inputs == V) & chosen
    swapped = chosen & ~hidden & (after.inputs != batch.inputs)
    kept = chosen & (after.inputs == batch.inputs)
    # A random token is the original once in V times.
    random = 0.1 * (1 - 1 / V)
    for found, share in ((hidden, 0.8), (swapped, random), (kept, 1 - 0.8 - random)):
        assert abs(found.sum() - share * n) < 5 * np.sqrt(share * (1 - share) * n)
    assert after.inputs[swapped].max() < V
    assert len(np.unique(after.inputs[swapped])) > 0.9 * V
    places = chosen.mean(axis=0)
    assert np.abs(places - 0.15).max() < 5 * np.sqrt(0.15 * 0.85 / 300), "every place alike"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_shares_are_the_config_s(share: float) -> None:
    batch = random_batch(4, 20)
    after = dataclasses.replace(RULE, mask_share=share, random_share=0.0)(batch, draws(4, 20))
    assert ((after.inputs == V).sum() == after.loss_weights.sum()) == bool(share)
    assert (after.inputs == batch.inputs).all() == (not share)


def test_evaluation_masks_a_row_by_its_number_alone() -> None:
    batch = random_batch(6, 30)
    whole = RULE.fixed(batch, 4, seed=1)
    again = RULE.fixed(batch, 4, seed=1)
    np.testing.assert_array_equal(whole.inputs, again.inputs)
    part = RULE.fixed(
        Batch(*(x[2:] for x in (batch.inputs, batch.targets, batch.loss_weights))), 6, 1
    )
    np.testing.assert_array_equal(part.inputs, whole.inputs[2:])
    np.testing.assert_array_equal(part.loss_weights, whole.loss_weights[2:])
    other = RULE.fixed(batch, 4, seed=2)
    assert (other.loss_weights != whole.loss_weights).any()


def test_the_mask_token_is_the_tokenizer_s_or_one_behind_its_vocabulary() -> None:
    tokenizer = ByteTokenizer()
    assert mask_token(tokenizer) == 256
    tokenizer.mask_id = 103
    assert mask_token(tokenizer) == 103
