"""`image`: images of one form, decoded once or batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from seqmodels.config.features import ImageConfig, LabelConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.features import image as feature
from seqmodels.data.features.image import Image, normalize, render
from seqmodels.types import ClassOutput, ImageInput
from tests.data.helpers import data_root
from tests.data.sets import experiment, mistake
from tests.opening import load


def images(name: str, cache: Path | None = None, size: int | None = None, **data: Any) -> Any:
    inputs = ImageConfig(size=size, channels=data.pop("channels", None))
    data = {"name": name, "cache_dir": None if cache is None else str(cache), **data}
    return experiment(ClassificationConfig(), 5, inputs=inputs, targets=LabelConfig(), **data)


def pixels_of(data: Any, split: str, *rows: int) -> np.ndarray:
    return data.splits[split].columns["inputs"].images.read(np.array(rows))


def test_what_the_data_decide(tmp_path: Path) -> None:
    data = load(images("shapes:12"))
    assert data.spec.inputs == ImageInput(12, 12, 3)
    assert data.spec.outputs == ClassOutput(4, per_step=False)
    assert data.description()["image"] == {"height": 12, "width": 12, "channels": 3}
    assert data.summary() == "inputs: images of 12 x 12 x 3; targets: 4 classes"
    prints = [
        load(images(name, tmp_path, size, channels=channels)).fingerprint
        for name, size, channels in (
            *(("shapes:12", None, None), ("shapes:12", 12, 3)),
            *(("shapes:8", None, None), ("shapes:12", 8, None), ("shapes:12", None, 1)),
        )
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 4


def test_pixels_are_from_minus_1_to_1() -> None:
    config = images("shapes:12")
    data = load(config)
    batch = data.batches(config, "test").batch(1)
    assert batch.inputs.shape == (5, 12, 12, 3)
    assert batch.inputs.dtype == np.float32 and batch.targets.dtype == np.int32
    assert batch.segment_ids is None and batch.target_segment_ids is None
    assert -1 <= batch.inputs.min() < -0.5 and 0.5 < batch.inputs.max() <= 1
    found = normalize(np.array([[[[0, 51, 255]]]], np.uint8), ImageConfig())
    np.testing.assert_allclose(found[0, 0, 0], [-1, -0.6, 1], atol=1e-7)
    assert data.where == data.dataset.description, "what is drawn is not stored"


def test_an_empty_row_is_0() -> None:
    column = load(images("shapes:8")).splits["test"].columns["inputs"]
    part = column.part(np.array([3, -1, 0]), None)
    assert part.mask.tolist() == [1, 0, 1] and part.segment_ids is None
    assert not part.values[1].any()
    np.testing.assert_array_equal(part.values[0], column.part(np.array([3]), None).values[0])


def test_a_run_keeps_the_form(tmp_path: Path) -> None:
    before = load(images("shapes:12")).features
    line = mistake(lambda: load(images("shapes:8"), before))
    assert line == (
        "data.inputs.column=image: images of 8 x 8 x 3; the run was trained on images of "
        "12 x 12 x 3"
    )
    assert load(images("shapes:8", tmp_path, size=12), before).spec.inputs == ImageInput(12, 12, 3)
    form = before["inputs"]
    again = Image.from_json(form.to_json(), form.config)
    assert again.image == form.image


def mnist(cache: Path, **data: Any) -> Any:
    few = {
        "train_split": "train[:99]",
        "validation_split": "train[99:104]",
        "test_split": "test[:5]",
    }
    data = {"tfds_data_dir": str(data_root() / "tfds"), **few, **data}
    return images("tfds:mnist", cache, **data)


def test_images_are_decoded_once_or_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = mnist(tmp_path)
    data = load(config)
    assert data.spec.inputs == ImageInput(28, 28, 1)
    assert data.features["targets"].names() == tuple("0123456789")
    assert data.splits["train"].columns["targets"].numbers[:6].tolist() == [4, 1, 0, 7, 8, 1]
    rows = range(99)
    found = pixels_of(data, "train", *rows)
    assert found.shape == (99, 28, 28, 1) and found.std() > 50
    with monkeypatch.context() as patch:
        patch.setattr(feature, "_read_all", lambda _: 1 / 0)
        again = load(mnist(tmp_path))  # nothing is decoded: the store has it
    assert again.where == data.where and data.where.startswith(str(tmp_path / "images"))
    with monkeypatch.context() as patch:
        patch.setattr(feature, "MAX_ARRAY_BYTES", 0)
        lazy = load(mnist(tmp_path / "lazy"))
    assert not (tmp_path / "lazy").exists()
    np.testing.assert_array_equal(pixels_of(lazy, "train", *rows), found)
    assert lazy.fingerprint == data.fingerprint
    # An entry that is damaged is made again.
    (saved,) = tmp_path.glob("images/*/train.npy")
    content = bytearray(saved.read_bytes())
    content[-1] ^= 255
    saved.write_bytes(content)
    np.testing.assert_array_equal(pixels_of(load(config), "train", *rows), found)
    assert "is damaged" in caplog.text


def test_images_are_resized_and_take_other_channels(tmp_path: Path) -> None:
    found = pixels_of(load(mnist(tmp_path, size=14)), "train", 1)
    assert found.shape == (1, 14, 14, 1) and found.max() > 100
    colored = pixels_of(load(mnist(tmp_path, channels=3)), "train", 1)
    assert colored.shape == (1, 28, 28, 3)
    np.testing.assert_array_equal(colored[..., :1], colored[..., 2:])


def save(path: Path, color: Any, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.new("RGB", size, color).save(path)


def test_a_folder_of_images(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("test", 2)):
        for n in range(count):
            save(tmp_path / split / "cat" / f"{n}.png", (200 + n, 0, 0))
            save(tmp_path / split / "dog" / f"{n}.jpg", (0, 0, 100))
    paths = {"train_path": str(tmp_path / "train"), "validation_path": str(tmp_path / "test")}
    data = load(images("folder", tmp_path / "cache", **paths))
    assert data.spec.inputs == ImageInput(4, 6, 3) and data.notes == []
    assert data.features["targets"].names() == ("cat", "dog")
    assert data.splits["train"].columns["targets"].numbers.tolist() == [0] * 4 + [1] * 4
    assert pixels_of(data, "train", 3)[0, 0, 0].tolist() == [203, 0, 0]
    assert data.description()["splits"] == {"train": {"examples": 8}, "validation": {"examples": 4}}
    gray = load(images("folder", tmp_path / "cache", size=3, channels=1, **paths))
    assert gray.spec.inputs == ImageInput(3, 3, 1)
    assert (pixels_of(gray, "validation", 0) == round(200 * 0.299)).all()
    save(tmp_path / "test" / "cat" / "0.png", (0, 0, 0), (6, 5))
    assert mistake(lambda: load(images("folder", tmp_path / "cache", **paths))) == (
        f"{tmp_path}/test/cat/0.png: 5 x 6 pixels, where the first image has 4 x 6; "
        "data.inputs.size=N resizes all"
    )
    assert load(images("folder", tmp_path / "cache", size=3, **paths)).fingerprint
    (tmp_path / "test" / "dog" / "1.jpg").write_bytes(b"no image")
    line = mistake(lambda: load(images("folder", tmp_path / "cache", size=3, **paths)))
    assert line == f"{tmp_path}/test/dog/1.jpg: is not an image that Pillow knows"


def test_a_file_of_the_user_s(tmp_path: Path) -> None:
    form = Image(ImageConfig(), ImageInput(2, 3, 1))
    save(tmp_path / "a.png", (255, 255, 255))
    pixels = form.read(str(tmp_path / "a.png"))
    assert pixels.shape == (2, 3, 1) and (pixels == 255).all()
    part = form.batch([pixels], 2)
    assert part.values.shape == (2, 2, 3, 1) and part.mask.tolist() == [1, 0]
    assert (part.values[0] == 1).all()
    line = mistake(lambda: form.read(str(tmp_path / "none.png")))
    assert line == "cannot be read (No such file or directory)"


def test_an_image_as_characters() -> None:
    image = np.array([[-1.0, 1.0], [-1.0, 1.0]], np.float32)[..., None]
    assert render(image, ImageConfig()) == " @"
    assert len(render(np.zeros((224, 224, 3), np.float32), ImageConfig()).splitlines()) == 24
