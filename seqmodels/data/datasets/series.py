"""Series of values over time, and their splits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from seqmodels.data.datasets.dataset import SPLITS


@dataclasses.dataclass(frozen=True)
class Series:
    """The steps of one series that a split may see.

    Attributes:
      values: [T, C] float64; NaN is a missing value.
      channels: names of the C channels.
      first: the first step of the split; those before it belong to the split before, and may be
        read but not be a target.
      times: of the steps, numbers or dates; None = their places.
      name: of the series, where there are several.
    """

    values: Float[np.ndarray, "T C"]
    channels: tuple[str, ...]
    first: int = 0
    times: list[Any] | None = None
    name: str = ""

    def until(self, first: int, end: int) -> Series:
        """The steps before `end`, of which those from `first` on are the split's."""
        times = None if self.times is None else self.times[:end]
        return dataclasses.replace(self, values=self.values[:end], first=first, times=times)

    def channel(self, name: str) -> Series:
        """One of the channels."""
        place = self.channels.index(name)
        return dataclasses.replace(self, values=self.values[:, place : place + 1], channels=(name,))


def cut_in_time(series: Series, ends: tuple[int, ...]) -> dict[str, Series]:
    """Training, validation and test steps of one series, in the order of time.

    Args:
      ends: the step after the last of each split; two or three.
    """
    starts = (0, *ends)
    return {
        split: series.until(first, end)
        for split, first, end in zip(SPLITS, starts, ends, strict=False)
    }


def cut_by_fractions(series: Series, validation: float, test: float) -> dict[str, Series]:
    """The same by the share of the steps that are held out at the end; 0 leaves a split out."""
    size = len(series.values)
    held_out = round(test * size)
    ends = (size - held_out - round(validation * size), size - held_out, size)
    return cut_in_time(series, ends if test else ends[:2])


def forward_fill(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T C"]:
    """Missing values replaced by the last one before them; those before the first stay NaN."""
    known = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(values, last, axis=0)
