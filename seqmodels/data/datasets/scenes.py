"""`scenes`: drawn scenes of two objects, with a caption each. Built in; reads no file."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, UInt8

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.drawing import KINDS, cover, uniform

IMAGE_SIZE = 32
COLORS: dict[str, tuple[int, int, int]] = {
    "blue": (60, 90, 250),
    "green": (40, 190, 60),
    "red": (225, 40, 40),
    "white": (245, 245, 245),
    "yellow": (240, 215, 40),
}
"""In the order of the alphabet, in which a caption names them."""
SIZES = {"small": 4.2, "large": 6.8}
"""Radius in pixels."""
RELATIONS = ("left of", "right of", "above", "below")
NUM_SCENES = {"train": 20_000, "validation": 500, "test": 1_000}
HELD_OUT = {"validation": 16, "test": 24}
"""Combinations of the 160 that a split has alone."""

_GROUND, _NOISE = 45.0, 20.0
_NUM_DRAWS = 11  # of a scene, the noise of its pixels apart
_SAMPLE = 8  # scenes of each split whose pixels the fingerprint includes


@dataclasses.dataclass(frozen=True)
class Scene:
    """Two objects; the first is the one that a caption begins with.

    Attributes:
      kinds, colors, sizes: places in KINDS, COLORS and SIZES, of both.
      relation: place in RELATIONS, of the first to the second.
    """

    kinds: tuple[int, int]
    colors: tuple[int, int]
    sizes: tuple[int, int]
    relation: int

    @property
    def caption(self) -> str:
        """The scene in words."""
        first, second = (
            f"a {list(SIZES)[size]} {list(COLORS)[color]} {KINDS[kind]}"
            for kind, color, size in zip(self.kinds, self.colors, self.sizes, strict=True)
        )
        return f"{first} {RELATIONS[self.relation]} {second}"


class Scenes(BuiltInDataset):
    """Scene i of a split is a function of i; it is drawn where it is needed, never stored.

    Columns: image, caption. A caption is "a small blue circle left of a large red square". The two
    objects differ in colour, and the colour that comes first in the alphabet is named first, so
    that a scene has one caption. The relation says in which direction their middles are further
    apart.

    A combination is the colour and the shape of both objects, 160 in all. 16 of them are in the
    validation split alone and 24 in the test split alone: training never sees such two objects in
    one scene, whatever their sizes and relation, though it sees each of them with others.
    """

    description = "scenes of two shapes with captions, made up and never stored"

    def fingerprint(self) -> str:
        rule = (NUM_SCENES, HELD_OUT, COLORS, SIZES, RELATIONS, KINDS, _GROUND, _NOISE)
        digest = hashlib.sha256(repr(rule).encode())
        for split in NUM_SCENES:
            digest.update(draw_scenes(split, np.arange(_SAMPLE)).data)
        return digest.hexdigest()

    def splits(self) -> Splits:
        return {
            split: {
                "image": _Drawn(split, count),
                "caption": [scene.caption for scene in choose_scenes(split, np.arange(count))],
            }
            for split, count in NUM_SCENES.items()
        }

    def word_classes(self, column: str) -> Mapping[str, tuple[str, ...]]:
        if column != "caption":
            return {}
        relations = tuple(relation.split()[0] for relation in RELATIONS)
        classes = {"objects": KINDS, "colours": tuple(COLORS), "sizes": tuple(SIZES)}
        return {**classes, "relation": relations}

    def locate(self, split: str, row: int) -> str:
        return f"{split} scene {row}"


def combinations(split: str) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """The (colors, kinds) of a split, in a fixed order that looks random."""
    colors = itertools.combinations(range(len(COLORS)), 2)
    kinds = itertools.product(range(len(KINDS)), repeat=2)
    every = list(itertools.product(colors, kinds))
    mixed = [every[i] for i in order.permutation(0, "combinations of scenes", 0, len(every))]
    validation, test = HELD_OUT["validation"], sum(HELD_OUT.values())
    bounds = {"validation": (0, validation), "test": (validation, test), "train": (test, None)}
    return tuple(mixed[slice(*bounds[split])])


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """The images of a split, drawn when they are read."""

    split: str
    count: int
    is_generated = True

    @property
    def shape(self) -> tuple[int, int, int]:
        return (IMAGE_SIZE, IMAGE_SIZE, 3)

    def __len__(self) -> int:
        return self.count

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        return draw_scenes(self.split, at)


def choose_scenes(split: str, numbers: Int[np.ndarray, " n"]) -> list[Scene]:
    """The scenes of these numbers: combinations, sizes and relations are equally likely."""
    chance, known = _chances(split, numbers, _NUM_DRAWS), combinations(split)
    counts = np.array([len(known), len(SIZES), len(SIZES), len(RELATIONS)])
    chosen = np.floor(chance[:, :4] * counts).astype(int).tolist()
    scenes = []
    for combination, *sizes, relation in chosen:
        colors, kinds = known[combination]
        scenes.append(Scene(kinds, colors, (sizes[0], sizes[1]), relation))
    return scenes


def draw_scenes(split: str, numbers: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
    """Draws the images of these numbers, on a dark ground with noise."""
    chance = _chances(split, numbers, _NUM_DRAWS + IMAGE_SIZE**2)
    scenes = choose_scenes(split, numbers)
    kinds, colors, sizes = (
        np.array([getattr(scene, name) for scene in scenes])
        for name in ("kinds", "colors", "sizes")
    )
    radii = np.array(list(SIZES.values()))[sizes]
    relations = np.array([scene.relation for scene in scenes])
    places = _place(relations, radii, chance[:, 4:8])
    noise = _NOISE * (2 * chance[:, _NUM_DRAWS:] - 1).reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 1)
    pixels = np.full((len(numbers), IMAGE_SIZE, IMAGE_SIZE, 3), _GROUND)
    paints = np.array(list(COLORS.values()), float)
    for which in range(2):
        tangent = 0.4 * chance[:, 8 + which] - 0.2
        covered = cover(kinds[:, which], radii[:, which], places[:, which], tangent, IMAGE_SIZE)[
            ..., None
        ]
        pixels += covered * (paints[colors[:, which]][:, None, None] - pixels)
    pixels += noise + 30 * chance[:, 10, None, None, None] - 15
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def _place(
    relations: Int[np.ndarray, " n"],
    radii: Float[np.ndarray, "n 2"],
    chance: Float[np.ndarray, "n 4"],
) -> Float[np.ndarray, "n 2 2"]:
    """(column, row) of the middles of both objects.

    Along the relation they are further apart than their radii, so that they do not touch; across it
    by 0.6 of that at most.
    """
    turned = relations % 2 == 1  # right of, below: the second is the nearer to the left or the top
    near, far = (np.where(turned, radii[:, 1 - i], radii[:, i]) for i in range(2))
    apart = near + far + 1
    apart = apart + (IMAGE_SIZE - near - far - apart) * chance[:, 0]
    start = near + (IMAGE_SIZE - near - far - apart) * chance[:, 1]
    along = np.stack([start + turned * apart, start + ~turned * apart], axis=1)
    first = radii[:, 0] + (IMAGE_SIZE - 2 * radii[:, 0]) * chance[:, 2]
    second = first + 0.6 * apart * (2 * chance[:, 3] - 1)
    second = np.clip(second, radii[:, 1], IMAGE_SIZE - radii[:, 1])
    across = np.stack([first, second], 1)
    beside = (relations < 2)[:, None]
    return np.stack([np.where(beside, along, across), np.where(beside, across, along)], axis=2)


def _chances(split: str, numbers: Int[np.ndarray, " n"], size: int) -> Float[np.ndarray, "n size"]:
    """Numbers in [0, 1) of each scene."""
    purpose = f"scenes of {split}"
    draws = [order.draw(0, purpose, number, size) for number in numbers.tolist()]
    return uniform(np.stack(draws))
