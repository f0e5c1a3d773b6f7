"""Transcription: error rates, alignments that do not exist, the loss, and what is made up."""

from __future__ import annotations

import functools
import hashlib
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.configs import lines as lines_config
from seqmodels.config.features import ImageReading
from seqmodels.config.transcription import TranscriptionConfig
from seqmodels.config.validate import validate
from seqmodels.data.datasets import lines, spoken_digits
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.tokens import EncodedTokens
from seqmodels.protocols import Part
from seqmodels.tasks.error_rates import edit_distance, error_rates
from seqmodels.tasks.transcription import Transcription
from seqmodels.types import ClassOutput
from tests.data.sets import mistake
from tests.data.test_sounds import digest_of
from tests.opening import load
from tests.tasks.stand_in import Passing

TEXTS = ("10", "0", "110", "1", "01", "011", "00", "101", "100", "0110", "1001", "0101")


@functools.cache
def distance(one: str, other: str) -> int:
    """By the recursion."""
    if not one or not other:
        return len(one) + len(other)
    replaced = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(distance(one[1:], other) + 1, distance(one, other[1:]) + 1, replaced)


def test_distances_and_rates_are_the_definition_s() -> None:
    for one in ("", *TEXTS):
        for other in ("", *TEXTS, "abc"):
            assert edit_distance(one, other) == distance(one, other), (one, other)
    assert edit_distance("kitten", "sitting") == 3
    found = error_rates(["a bc", "xx", "same"], ["a bd", "x y", "same"])
    assert found == pytest.approx(
        {"character_error_rate": 3 / 11, "word_error_rate": 3 / 5, "exact_match": 1 / 3}
    )


def test_a_transcript_needs_a_blank_between_equal_neighbours() -> None:
    """Rows without an alignment are refused by name, five of them."""
    texts = [np.array([0, 0]), np.array([0, 1]), np.array([0, 1, 0])] + [np.arange(4)] * 5
    column = EncodedTokens.__new__(EncodedTokens)
    columns: Any = {"inputs": SimpleNamespace(lengths=np.full(8, 2)), "targets": column}
    task, locate = Transcription(TranscriptionConfig()), lambda row: f"row {row}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column, "texts", lambda kept: [texts[i] for i in kept], raising=False)
        split = ExampleSplit(columns, np.array([0, 1, 2]))
        line = mistake(lambda: task.check_rows(split, {}, locate))
        allowed = "transcripts longer than their frames allow: "
        assert line == f"{allowed}row 0 (needs 3, has 2), row 2 (needs 3, has 2)"
        split = ExampleSplit(columns, np.arange(8))
        assert mistake(lambda: task.check_rows(split, {}, locate)).endswith(" and 2 more")
        task.check_rows(ExampleSplit(columns, np.array([1])), {}, locate)


def test_the_loss_counts_transcripts_and_no_padding() -> None:
    """Rows without an example may hold anything."""
    task = Transcription(TranscriptionConfig())
    inputs = np.log(np.array([[[0.5, 0.25, 0.25]] * 2, [[np.nan] * 3] * 2], np.float32))
    parts = {
        "inputs": Part(inputs, np.array([[1, 1], [0, 0]], np.int32), np.array([1, 0], np.float32)),
        "targets": Part(
            np.zeros((2, 2), np.int32),
            np.array([[1, 0], [0, 0]], np.int32),
            np.array([1, 0], np.float32),
        ),
    }
    batch = jax.tree.map(jnp.asarray, task.make_batch(parts, {}))
    run = jax.jit(lambda x: task.forward(Passing(), x.inputs, x, None, train=False, key=None)[:3])
    loss, weight, metrics = run(batch)
    # 00, 0_, _0
    np.testing.assert_allclose(loss, -np.log(0.25 + 2 * 0.5 * 0.25), rtol=1e-5)
    assert weight == 1 and task.summarize(metrics, None)["num_targets"] == 1


def test_made_up_transcripts_are_the_same_everywhere() -> None:
    drawn = [spoken_digits.draw_digits("train", i) for i in range(12)]
    found = digest_of(sound for sound, _ in drawn), [text for _, text in drawn[:4]]
    assert found == ("c1b29a0167fa55ff", ["407", "45", "8928", "5"])
    images = [lines.draw_line("test", i) for i in range(12)]
    pixels = np.stack([image for image, _ in images])
    found = hashlib.sha256(pixels.tobytes()).hexdigest()[:16], [text for _, text in images[:4]]
    assert found == ("5d211a2f9381b8e6", ["bdmecs bh", "ynq p", "mxxykim", "bqxtrsmujgay"])


def test_digits_are_the_tones_of_a_telephone() -> None:
    """Without noise, the tones of a lone digit are those of its row and column."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken_digits, "_NOISE", 0.0)
        drawn = [spoken_digits.draw_digits("validation", i) for i in range(80)]
    alone = {text: sound.samples for sound, text in drawn if len(text) == 1}
    assert len(alone) >= 4
    for digit, samples in alone.items():
        power = np.abs(np.fft.rfft(samples, 8000))
        low, high = 600 + power[600:1100].argmax(), 1100 + power[1100:1700].argmax()
        row = int(np.abs(np.log(low / np.array(spoken_digits.LOW))).argmin())
        column = int(np.abs(np.log(high / np.array(spoken_digits.HIGH))).argmin())
        assert spoken_digits.KEYS[row][column] == digit


def test_lines_are_read_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "NUM_LINES", dict.fromkeys(lines.NUM_LINES, 64))
    config = lines_config.get_config("gru")
    validate(config)
    data = load(config)
    assert data.features["inputs"].num_steps == lines.WIDTH
    assert data.spec.outputs == ClassOutput(28 + 1, per_step=True)
    batch = data.batches(config).batch(1)
    assert batch.inputs.shape == (32, lines.WIDTH, lines.HEIGHT) and batch.segment_ids is None
    config.data.inputs.reading = ImageReading.IMAGE
    assert "reads tokens or values, not image" in mistake(lambda: validate(config))
