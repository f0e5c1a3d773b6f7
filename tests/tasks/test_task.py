"""The batch that a task makes of what its features made."""

from __future__ import annotations

import numpy as np
import pytest

from seqmodels.config.features import TagsConfig, TokensConfig
from seqmodels.config.tasks import TaggingConfig
from seqmodels.data.features.tags import Tags
from seqmodels.data.features.tokens import Tokens
from seqmodels.data.words import WordTokenizer
from seqmodels.protocols import Part
from seqmodels.tasks.task import Task

TASK = Task(TaggingConfig())
FEATURES = {
    "inputs": Tokens(TokensConfig(), WordTokenizer(["a", "b"])),
    "targets": Tags(TagsConfig(), ("noun", "verb")),
}
MASK = np.array([1, 1, 0], np.float32)
WORDS = np.array([[2, 3, 3, 2], [3, 2, 3, 0], [0, 0, 0, 0]], np.int32)
READ = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], np.int32)


@pytest.mark.parametrize(
    "own",
    [
        np.array([[1, 0], [1, 1], [0, 0]], np.int32),
        np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], np.int32),
    ],
    ids=["narrower than the inputs", "as wide as the inputs"],
)
def test_targets_may_have_a_length_of_their_own(own: np.ndarray) -> None:
    """They count, and are shown, to their own ends, whatever the inputs have."""
    named = np.arange(own.size, dtype=np.int32).reshape(own.shape) % 2
    parts = {"inputs": Part(WORDS, READ, MASK), "targets": Part(named, own, MASK)}
    batch = TASK.make_batch(parts, FEATURES)
    np.testing.assert_array_equal(batch.target_segment_ids, own)
    np.testing.assert_array_equal(batch.segment_ids, READ)
    np.testing.assert_array_equal(batch.loss_weights, own)
    assert batch.loss_weights.dtype == np.float32
    for row, words in enumerate(["a b b a", "b a b"]):
        names = ["noun", "verb"] * 2
        assert TASK.show(batch, row, FEATURES) == f"{' '.join(names[: own[row].sum()])}\n{words}"
    assert TASK.show(batch, 2, FEATURES) == "(padding)"


def test_one_target_a_row_counts_where_there_is_an_example() -> None:
    parts = {"inputs": Part(WORDS, READ, MASK), "targets": Part(np.arange(3), None, MASK)}
    parts["source"] = Part(WORDS[:, :2], READ[:, :2], MASK)
    batch = TASK.make_batch(parts, FEATURES)
    assert batch.target_segment_ids is None
    np.testing.assert_array_equal(batch.loss_weights, MASK)
    np.testing.assert_array_equal(batch.source, WORDS[:, :2])
    np.testing.assert_array_equal(batch.source_segment_ids, READ[:, :2])
