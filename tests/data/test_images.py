"""Images: made up, of a folder, and of files that may be damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.shapes import CLASS_NAMES, SPLITS, draw_shapes
from seqmodels.data.image_file import read_image, read_pixels, resize, to_channels
from seqmodels.types import ImageInput
from tests.data.sets import mistake, open_columns

SIZE = 12


def test_a_shape_is_a_function_of_its_number() -> None:
    some = draw_shapes(np.array([7, 50_001, 3]), SIZE)
    np.testing.assert_array_equal(some[1:2], draw_shapes(np.array([50_001]), SIZE))
    assert len({image.tobytes() for image in draw_shapes(np.arange(200), SIZE)}) == 200
    assert draw_shapes(np.arange(0), SIZE).shape == (0, SIZE, SIZE, 3)


def test_every_machine_draws_the_same_bytes() -> None:
    digest = hashlib.sha256(draw_shapes(np.arange(64), 32).tobytes()).hexdigest()
    assert digest[:16] == "1c9271c3667715aa"


def test_shapes_differ_from_their_ground_and_from_each_other() -> None:
    """The mean brightness of the middle of many images, against that of the border, by class."""
    images = draw_shapes(np.arange(800), 32).mean(axis=-1) / 127.5 - 1
    spread = images.std(axis=(1, 2))
    assert (spread > 0.2).all(), "a shape stands out"
    areas = [spread[kind::4].mean() for kind in range(4)]
    assert len({round(float(area), 2) for area in areas}) == 4


def test_splits_are_disjoint_and_labels_balanced() -> None:
    ranges = [set(range(*bounds)) for bounds in SPLITS.values()]
    assert sum(map(len, ranges)) == len(set.union(*ranges))
    dataset = open_columns(f"shapes:{SIZE}")
    splits = dataset.splits()
    assert dataset.classes("label") == CLASS_NAMES and dataset.classes("image") is None
    for name, columns in splits.items():
        assert len(columns["label"]) == len(columns["image"]) == SPLITS[name][1] - SPLITS[name][0]
        assert set(np.bincount(columns["label"])) == {len(columns["label"]) // 4}
        assert columns["image"].shape == (SIZE, SIZE, 3) and columns["image"].is_generated
    one, other = (splits[name]["image"].read(np.arange(40)) for name in ("validation", "test"))
    assert not {x.tobytes() for x in one} & {x.tobytes() for x in other}
    np.testing.assert_array_equal(
        splits["test"]["image"].read(np.array([3, 0])),
        draw_shapes(np.array([52_003, 52_000]), SIZE),
    )


def test_the_name_may_have_a_size() -> None:
    assert open_columns("shapes").splits()["train"]["image"].shape == (32, 32, 3)
    prints = [open_columns(name).fingerprint() for name in ("shapes", "shapes:32", "shapes:12")]
    assert prints[0] == prints[1] != prints[2]
    assert prints[0].startswith("6456121b0f735ebf"), "runs of before have the same data"
    for size in ("", "7", "x", "-9", "8.5", "\u0663\u0663"):
        problems = list(ExamplesDataConfig(name=f"shapes:{size}").problems())
        assert problems == [("name", "must be shapes or shapes:SIZE, with a SIZE of 8 or more")]


def save(path: Path, color: Any, size: tuple[int, int] = (5, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB" if isinstance(color, tuple) else "L", size, color).save(path)


def make_animals(root: Path) -> Path:
    """Fifty red cats, each of them twice, and fifty dark dogs; and files that are not read."""
    for number in range(50):
        save(root / "dog" / f"{number:02}.png", number)
        for copy in "ab":
            save(root / "cat" / f"{number:02}{copy}.PNG", (100 + number, 0, 0))
    for name in ("notes.txt", "dog/notes.txt", ".hidden/a.png", "cat/.a.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("not an image")
    return root


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    return make_animals(tmp_path / "animals")


def test_a_folder_is_dealt_by_the_content_of_its_files(animals: Path) -> None:
    fields = {"path": str(animals), "validation_fraction": 0.2, "test_fraction": 0.2}
    dataset = open_columns("folder", **fields)
    splits = dataset.splits()
    assert list(splits) == ["train", "validation", "test"]
    assert dataset.classes("label") == ("cat", "dog") and dataset.classes("image") is None
    pixels = {}
    for name, columns in splits.items():
        images, labels = columns["image"], columns["label"]
        assert images.shape == (None, None, 3) and not images.is_generated
        assert len(images) == len(labels) > 10
        pixels[name] = images.read(np.arange(len(images)))
        assert {image.shape for image in pixels[name]} == {(4, 5, 3)}
        cats = [label == "cat" for label in labels]
        assert cats == [bool((image[..., 0] >= 100).all()) for image in pixels[name]]
        assert dataset.locate(name, 3) == str(images.paths[3])
        assert images.paths[3].parent.name == labels[3]
    assert sum(map(len, pixels.values())) == 150
    found = {name: {image.tobytes() for image in of} for name, of in pixels.items()}
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 100
    fingerprint = dataset.fingerprint()
    assert open_columns("folder", **fields).fingerprint() == fingerprint
    assert open_columns("folder", **{**fields, "test_fraction": 0.1}).fingerprint() != fingerprint
    save(animals / "dog" / "00.png", 77)
    assert open_columns("folder", **fields).fingerprint() != fingerprint


def test_a_folder_per_split(tmp_path: Path) -> None:
    for split, classes in (("train", "ba"), ("validation", "a"), ("test", "bc")):
        for name in classes:
            save(tmp_path / split / name / "x.png", 9, (3, 2) if split == "test" else (5, 4))
    paths = {f"{split}_path": str(tmp_path / split) for split in ("train", "validation", "test")}
    dataset = open_columns("folder", **paths)
    assert dataset.classes("label") == ("a", "b")
    labels = {split: columns["label"] for split, columns in dataset.splits().items()}
    assert labels == {"train": ["a", "b"], "validation": ["a"], "test": ["b", "c"]}
    assert dataset.locate("test", 1) == f"{tmp_path}/test/c/x.png"
    assert dataset.splits()["test"]["image"].read(np.array([1]))[0].shape == (2, 3, 3)
    for number in range(40):
        save(tmp_path / "train" / "b" / f"{number}.png", number)
    paths.pop("validation_path")
    cut = open_columns("folder", validation_fraction=0.3, **paths).splits()
    sizes = {split: len(columns["label"]) for split, columns in cut.items()}
    assert list(sizes) == ["train", "validation", "test"]
    assert sizes["train"] + sizes["validation"] == 42 and sizes["test"] == 2


def test_bad_folders_and_files_are_named(tmp_path: Path, animals: Path) -> None:
    opened = lambda path: open_columns("folder", path=str(path))
    line = mistake(lambda: opened(tmp_path / "none"))
    assert line == f"data.path={tmp_path}/none: is not a folder"
    assert mistake(lambda: opened(animals / "cat")) == (
        f"data.path={animals}/cat: has no subfolder; it must have one of images per class"
    )
    (animals / "bird").mkdir()
    line = mistake(lambda: opened(animals))
    assert line.startswith(f"{animals}/bird: has no image (.png, .jpg, ")
    bad = animals / "bird" / "a.jpg"
    bad.write_text("not an image")
    images = [columns["image"] for columns in opened(animals).splits().values()]
    (place,) = [(of, of.paths.index(bad)) for of in images if bad in of.paths]
    line = mistake(lambda: place[0].read(np.array([place[1]])))
    assert line == f"{bad}: is not an image that Pillow knows"
    line = mistake(lambda: open_columns("folder"))
    assert line.endswith(
        "data.train_path must name a folder with one subfolder of images per class"
    )


def test_size_and_channels_of_an_image_are_changed() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert resize(pixels, 2, 3) is pixels and to_channels(pixels, 3) is pixels
    assert resize(pixels, 4, 5).shape == (4, 5, 3)
    gray = to_channels(pixels, 1)
    assert gray.shape == (2, 3, 1)
    np.testing.assert_array_equal(to_channels(gray, 3), np.repeat(gray, 3, axis=2))
    np.testing.assert_array_equal(to_channels(to_channels(gray, 3), 1), gray)
    assert resize(gray, 4, 5).shape == (4, 5, 1)
    assert (resize(np.full((2, 3, 1), 7, np.uint8), 5, 2) == 7).all()


def test_files_that_cannot_be_read_are_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"

    def refusal(channels: int = 3) -> str:
        return mistake(lambda: read_image(path, ImageInput(8, 8, channels)))

    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(path)
    assert read_image(path, ImageInput(8, 8, 3)).shape == (8, 8, 3)
    assert refusal(4) == "the run reads 4 channels; image files have 1 or 3"
    content = path.read_bytes()
    second = content.index(b"IDAT", content.index(b"IDAT") + 1)
    path.write_bytes(content[:second] + bytes(4) + content[second + 4 :])
    assert refusal().startswith("cannot be read (broken PNG file")
    for dtype, mode in ((np.int32, "I"), (np.float32, "F")):
        path = tmp_path / "a.tif"
        Image.fromarray(np.full((8, 8), 40_000, dtype)).save(path)
        assert refusal(1).startswith(f"has values of 32 bits (mode {mode}), of which none is known")
    picture = Image.fromarray(noise[:8, :8])
    for ending in ("png", "jpg", "gif", "bmp", "webp", "tif"):
        path = tmp_path / f"a.{ending}"
        picture.save(path)
        content = bytearray(path.read_bytes())
        for size in (0, 12, len(content) // 2):
            path.write_bytes(content[:size])
            assert refusal().startswith(("cannot be read (", "is not an image that Pillow knows"))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
def test_a_picture_is_turned_as_its_camera_was_held(tmp_path: Path, ending: str) -> None:
    """The orientations 1 to 8 of EXIF 2.32, 4.6.5.1: where row 0 and column 0 of the file are."""
    rows, columns = 24, 16
    scene = np.zeros((rows, columns), np.uint8)
    scene[:8, :8], scene[:8, 8:], scene[16:, :8] = 255, 160, 80
    stored = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.T,
        6: scene.T[::-1],
        7: scene.T[::-1, ::-1],
        8: scene.T[:, ::-1],
    }
    for orientation, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{ending}"
        lossless = {"lossless": True} if ending == "webp" else {}
        Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif, **lossless)
        found = read_pixels(path, 1)[..., 0].astype(int)
        assert found.shape == scene.shape, orientation
        assert np.abs(found - scene).max() <= (8 if ending == "jpg" else 0), orientation


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    """over: alpha c + (1 - alpha) white (Porter and Duff, 1984)."""
    path = tmp_path / "a.png"
    for mode, color, expected in (
        ("RGBA", (0, 40, 200, 0), (255, 255, 255)),
        ("RGBA", (0, 40, 200, 255), (0, 40, 200)),
        ("RGBA", (0, 40, 200, 51), (204, 212, 244)),
        ("LA", (100, 0), (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
    ):
        Image.new(mode, (3, 2), color).save(path)
        assert (read_pixels(path, 3) == expected).all(), (mode, color)
    for mode, key, other in (("L", 0, 9), ("P", 0, 9), ("RGB", (0, 0, 0), (9, 9, 9))):
        picture = Image.new(mode, (3, 2), other)
        picture.putpixel((1, 0), key)
        if mode == "P":
            picture.putpalette([9, 9, 9] * 256)
        picture.save(path, transparency=key)
        found = read_pixels(path, 1)[..., 0]
        assert found[0, 1] == 255 and (found == 9).sum() == 5, mode


def test_gray_of_16_bits_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257], [40_000, 65_406, 65_407, 65_535]], np.uint16)
    expected = np.floor(values * (255 / 65535) + 0.5)  # PNG (third edition), 13.12
    assert expected[0].tolist() == [0, 0, 1, 1] and expected[1, 3] == 255
    for ending in ("png", "tif", "pgm"):
        path = tmp_path / f"a.{ending}"
        Image.fromarray(values).save(path)
        np.testing.assert_array_equal(read_pixels(path, 1)[..., 0], expected)
    Image.fromarray(values).save(tmp_path / "b.png", transparency=129)
    assert read_pixels(tmp_path / "b.png", 1)[0, :, 0].tolist() == [0, 0, 255, 1]


def test_an_image_that_its_reader_does_not_know_is_told(tmp_path: Path) -> None:
    """Pillow raises NotImplementedError then, as other readers do struct.error and EOFError."""
    path = tmp_path / "a.dds"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[80:84] = bytes(4)  # flags of the pixel format
    path.write_bytes(content)
    with pytest.raises(Exception) as raised:
        read_image(path, ImageInput(8, 8, 3))
    assert raised.type is UserError
    assert str(raised.value) == "cannot be read (Unknown pixel format flags 0)"


def test_a_damaged_tag_of_an_image_that_can_be_read_is_no_matter(tmp_path: Path) -> None:
    """Pillow warns of it, which would be a line of its own without the file's name."""
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(path, tiffinfo={305: "some software"})
    content = path.read_bytes()
    at = content.index(b"\x31\x01\x02\x00") + 4  # tag 305, of type 2
    path.write_bytes(content[:at] + b"\xff\xff\xff\x0f" + content[at + 4 :])
    assert (read_image(path, ImageInput(8, 8, 3)) == 7).all()
