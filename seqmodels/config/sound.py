"""Typed settings of the feature `sound`."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from seqmodels.config.features import FeatureConfig
from seqmodels.config.fields import number


@dataclasses.dataclass
class SoundConfig(FeatureConfig):
    """A sound, which a model reads as the log-mel energies of frames of 25 ms every 10 ms.

    Attributes:
      sample_rate: samples per second; sounds of other rates are resampled.
      num_bands: of the mel scale.
      max_length: in frames. Longer sounds of the training split are left out, held-out ones are
        refused.
    """

    kind: ClassVar[str] = "sound"
    word: ClassVar[str] = "values"
    varies: ClassVar[bool] = True
    given: ClassVar[str] = "file"
    baselines: ClassVar[tuple[str, ...]] = ("nearest_mean_spectrum",)
    column: str = "sound"
    sample_rate: int = number(16_000, least=1000, most=192_000)
    num_bands: int = number(80, least=1, most=512)
    max_length: int = 1024

    @property
    def frame_length(self) -> int:
        """25 ms in samples, to the nearest."""
        return round(0.025 * self.sample_rate)

    @property
    def hop_length(self) -> int:
        """10 ms in samples, to the nearest."""
        return round(0.010 * self.sample_rate)

    def lengths(self) -> dict[str, int]:
        """The bound on the number of frames."""
        return {"max_length": self.max_length}
