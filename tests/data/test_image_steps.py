"""Images as sequences of rows and pixels: the arrangement, and the way back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.features import ImageConfig, ImageReading, LabelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.transformers import GPTConfig, ViTConfig
from seqmodels.config.validate import validate
from seqmodels.data.features.image import EncodedImages, Image, _Stored
from seqmodels.data.image_steps import from_steps, input_of, num_steps, pixel_order, to_steps
from seqmodels.types import ImageInput, ValueInput
from tests.data.sets import experiment, mistake
from tests.opening import load

SIZE = ImageInput(3, 4, 2)
IMAGES = np.arange(2 * 3 * 4 * 2, dtype=np.float32).reshape(2, 3, 4, 2)


def test_steps_are_rows_or_pixels_in_order() -> None:
    rows, columns, pixels, permuted = (
        to_steps(IMAGES, reading) for reading in list(ImageReading)[1:]
    )
    assert rows.shape == (2, 3, 8) and pixels.shape == permuted.shape == (2, 12, 2)
    np.testing.assert_array_equal(rows[1, 2], IMAGES[1, 2].ravel())
    np.testing.assert_array_equal(columns[1, 3], IMAGES[1, :, 3].ravel())
    np.testing.assert_array_equal(pixels[1, 1 * 4 + 3], IMAGES[1, 1, 3])
    for step, place in enumerate(pixel_order(12)):
        np.testing.assert_array_equal(permuted[0, step], IMAGES[0, place // 4, place % 4])
    assert pixel_order(12).tolist() == [6, 11, 4, 7, 3, 9, 8, 5, 2, 1, 10, 0]
    for reading in ImageReading:
        back = from_steps(to_steps(IMAGES, reading)[1], SIZE, reading)
        np.testing.assert_array_equal(back, IMAGES[1])
    found = [(input_of(SIZE, reading), num_steps(SIZE, reading)) for reading in ImageReading]
    values = [(ValueInput(8), 3), (ValueInput(6), 4), (ValueInput(2), 12), (ValueInput(2), 12)]
    assert found == [(SIZE, None), *values]


def test_a_feature_reads_batches_and_files_the_same_way() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 2)).astype(np.uint8)
    for reading in ImageReading:
        config = ImageConfig(reading=reading)
        feature = Image(config, SIZE)
        part = EncodedImages(_Stored(pixels), config).part(np.array([1, 0, -1]), None)
        np.testing.assert_array_equal(part.values[:2], feature.batch(list(pixels[::-1]), 2).values)
        assert not part.values[2].any() and part.segment_ids is None
        shown = {feature.show(part.values[0], None)}
        assert shown == {Image(ImageConfig(), SIZE).show(part_of(pixels), None)}


def part_of(pixels: np.ndarray) -> np.ndarray:
    return EncodedImages(_Stored(pixels), ImageConfig()).part(np.array([1]), None).values[0]


def test_the_model_must_read_what_the_image_becomes() -> None:
    config = experiment(ClassificationConfig(), name="digits")
    images = ExamplesDataConfig(name="digits", inputs=ImageConfig(), targets=LabelConfig())
    rows = dataclasses.replace(images, inputs=ImageConfig(reading=ImageReading.ROWS))
    for model, data, what in (
        (RecurrentConfig(), images, "recurrent reads tokens or values, not image"),
        (ViTConfig(), rows, "vit reads image, not values"),
    ):
        line = mistake(
            lambda m=model, d=data: validate(dataclasses.replace(config, model=m, data=d))
        )
        assert what in line
    validate(dataclasses.replace(config, model=RecurrentConfig(), data=rows))


def test_a_model_has_a_position_for_every_step(tmp_path: pytest.TempPathFactory) -> None:
    inputs = ImageConfig(reading=ImageReading.PIXELS)
    data = {"name": "digits", "inputs": inputs, "targets": LabelConfig()}
    loaded = load(experiment(ClassificationConfig(), cache_dir=str(tmp_path), **data))
    limit = GPTConfig(max_length=63).max_length
    line = mistake(lambda: loaded.check_model("gpt", limit, None))
    assert line == "data.inputs: has 64 steps, and the gpt model.max_length=63"
    loaded.check_model("gpt", 64, None)
