"""Drawn scenes: what the captions say is in the images, and the splits share no combination."""

from __future__ import annotations

import itertools

import numpy as np

from seqmodels.data.datasets import scenes
from seqmodels.data.datasets.scenes import choose_scenes, combinations, draw_scenes
from tests.data.sets import digest_of, open_columns

PAINTS = np.array(list(scenes.COLORS.values()), float)


def test_every_machine_draws_the_same_scenes() -> None:
    dataset = open_columns("scenes")
    assert dataset.fingerprint().startswith("7be1132f9e44e013")
    found = dataset.splits()
    sizes = {
        split: [len(column) for column in columns.values()] for split, columns in found.items()
    }
    assert sizes == {"train": [20_000] * 2, "validation": [500] * 2, "test": [1000] * 2}
    captions = {split: {"caption": columns["caption"]} for split, columns in found.items()}
    assert digest_of(captions) == "da3872b7da98afd7"
    image = found["test"]["image"]
    assert image.shape == (32, 32, 3) and image.is_generated
    np.testing.assert_array_equal(
        image.read(np.array([5, 2])), draw_scenes("test", np.array([5, 2]))
    )
    assert dataset.locate("test", 4) == "test scene 4"


def test_held_out_combinations_are_never_trained_on_though_their_objects_are() -> None:
    found = {split: set(combinations(split)) for split in scenes.NUM_SCENES}
    assert {split: len(those) for split, those in found.items()} == {
        **scenes.HELD_OUT,
        "train": 120,
    }
    for one, other in itertools.combinations(found.values(), 2):
        assert not one & other
    objects = {
        split: {part for colors, kinds in those for part in zip(colors, kinds, strict=True)}
        for split, those in found.items()
    }
    assert objects["test"] | objects["validation"] <= objects["train"]
    seen = {(s.colors, s.kinds) for s in choose_scenes("train", np.arange(3000))}
    assert seen == found["train"]


def nearest(pixels: np.ndarray, color: int) -> tuple[np.ndarray, np.ndarray]:
    """(column, row) of the middle of the pixels of a colour, and how many there are."""
    bright = pixels.max(axis=-1) > 120
    closest = ((pixels[..., None, :] - PAINTS) ** 2).sum(axis=-1).argmin(axis=-1)
    rows, columns = np.nonzero(bright & (closest == color))
    return np.array([columns.mean(), rows.mean()]), np.array(len(rows))


def test_a_caption_says_what_is_drawn() -> None:
    """Colours, places and sizes, found in the pixels."""
    numbers = np.arange(60)
    areas: dict[tuple[int, int], list[float]] = {}
    pairs = zip(draw_scenes("train", numbers), choose_scenes("train", numbers), strict=True)
    for pixels, scene in pairs:
        (first, one), (second, two) = (nearest(pixels.astype(float), c) for c in scene.colors)
        x, y = second - first
        relation = {"left of": x, "right of": -x, "above": y, "below": -y}
        assert max(relation, key=relation.__getitem__) == scenes.RELATIONS[scene.relation], scene
        for kind, size, count in zip(scene.kinds, scene.sizes, (one, two), strict=True):
            areas.setdefault((kind, size), []).append(float(count))
    assert len(areas) == 8
    for kind in range(4):
        assert np.mean(areas[kind, 1]) > 1.8 * np.mean(areas[kind, 0])
    assert len({scene.relation for scene in choose_scenes("train", numbers)}) == 4


def test_captions_and_their_classes_of_words() -> None:
    scene = scenes.Scene(kinds=(0, 1), colors=(0, 2), sizes=(0, 1), relation=0)
    assert scene.caption == "a small blue circle left of a large red square"
    dataset = open_columns("scenes")
    classes = dataset.word_classes("caption")
    assert dataset.word_classes("image") == {}
    kinds = [name for word in scene.caption.split() for name, of in classes.items() if word in of]
    assert kinds == ["sizes", "colours", "objects", "relation", "sizes", "colours", "objects"]
