"""Reading of the `preprocessor_config.json` of an image model. Imports no jax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.features import ImageConfig, Resampling
from seqmodels.files import read_json
from seqmodels.interop.settings import Settings

PREPROCESSOR = "preprocessor_config.json"
_FILTERS = (
    Resampling.NEAREST,
    Resampling.LANCZOS,
    Resampling.BILINEAR,
    Resampling.BICUBIC,
    Resampling.BOX,
    Resampling.HAMMING,
)
"""In the order of Pillow's numbers, which the file has."""
_LEFT_ALONE = {
    "image_processor_type": [
        f"ViT{name}" for name in ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil")
    ]
    + ["ViTFeatureExtractor"],
    "do_resize": [True],
    "do_center_crop": [False, None],
    "do_pad": [False, None],
    "do_convert_rgb": [True, False, None],
}
"""Fields that `Image` computes with these values alone."""


def read_preprocessing(folder: Path, image: dict[str, Any]) -> ImageConfig:
    """The feature that prepares images as ViT's image processor of a folder does.

    A pixel x becomes (x r - m) / s, with rescale_factor r, image_mean m and image_std s. Ours is
    (x / 255 - m') / s', so that m' = m / (255 r) and s' = s / (255 r).

    Args:
      image: JSON of the `ImageInput` that the model reads.

    Raises:
      UserError: the file is damaged, or asks for something else, which the message names.
    """
    height, width, channels = (image[name] for name in ("height", "width", "channels"))
    size = height if height == width else None
    path = folder / PREPROCESSOR
    if not path.is_file():
        return ImageConfig(size=size)
    settings = Settings(path, read_json(path))
    for name, allowed in {**_LEFT_ALONE, "feature_extractor_type": ["ViTFeatureExtractor"]}.items():
        if settings.values.get(name, allowed[0]) not in allowed:
            raise settings.refused(name, ", ".join(str(one).lower() for one in allowed))
    _check_size(settings, height, width)
    factor = 1.0
    if settings.boolean("do_rescale", True):
        factor = settings.number("rescale_factor", 1 / 255)
        if not factor:
            raise settings.refused("rescale_factor", "a number above 0")
    mean, deviation = [0.0], [1.0]
    if settings.boolean("do_normalize", True):
        mean = _per_channel(settings, "image_mean", channels)
        deviation = _per_channel(settings, "image_std", channels)
        if min(deviation) <= 0:
            raise settings.refused("image_std", "numbers above 0")
    unit = 255 * factor
    number = settings.values.get("resample", 2)
    if type(number) is not int or not 0 <= number < len(_FILTERS):
        names = ", ".join(f"{n} ({name})" for n, name in enumerate(_FILTERS))
        raise settings.refused("resample", names)
    return ImageConfig(
        size=size,
        mean=",".join(_show(x / unit) for x in mean),
        deviation=",".join(_show(x / unit) for x in deviation),
        resampling=_FILTERS[number],
    )


def _show(value: float) -> str:
    """A number to 12 digits, so that 0.5 / (255 * (1 / 255)) is 0.5."""
    return f"{value:.12g}"


def _check_size(settings: Settings, height: int, width: int) -> None:
    size = settings.values.get("size", height)
    wanted = size
    if isinstance(size, dict) and set(size) == {"height", "width"}:
        wanted = [size["height"], size["width"]]
    elif not isinstance(size, list):
        wanted = [size, size]
    if wanted != [height, width]:
        raise settings.refused("size", f"the {height} x {width} pixels that the model reads")


def _per_channel(settings: Settings, name: str, channels: int) -> list[float]:
    values = settings.values.get(name, 0.5)
    numbers: list[Any] = values if isinstance(values, list) else [values]
    known = all(type(number) in (int, float) for number in numbers)
    if not known or len(numbers) not in (1, channels):
        raise settings.refused(name, f"a number, or {channels} of them")
    return numbers[:1] if len(set(numbers)) == 1 else numbers
