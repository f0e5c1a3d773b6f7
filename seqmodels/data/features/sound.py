"""`sound`: sounds as frames of samples; see `ops.log_mel` for what a model makes of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from seqmodels.config.errors import UserError
from seqmodels.config.sound import SoundConfig
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.data.ragged import power_of_two, ranges, segments_of
from seqmodels.data.sound_file import Recording, read_wav, resample
from seqmodels.protocols import Part
from seqmodels.types import SoundInput

_SHADES = " .:-=+*#%@"
_MOST_COLUMNS = 60
_QUIETEST = -60.0
"""In decibels: the loudness that is shown as silence."""


class Sound(FeatureBase):
    """Frames of 25 ms every 10 ms, [T, N] float32; samples after the last whole frame are left out.

    A sound shorter than a frame is one frame, with zeros at its end. All samples of the data set
    are kept in memory at the sample rate of the config; frames are cut when a batch is made.
    """

    kind: ClassVar[str] = "sound"
    given: ClassVar[str] = "file"
    key: ClassVar[str] = "file"

    def __init__(self, config: SoundConfig) -> None:
        self.config = config

    @property
    def input(self) -> SoundInput:
        """The length of a frame, the sample rate, and the number of bands."""
        config = self.config
        return SoundInput(config.frame_length, config.sample_rate, config.num_bands)

    @classmethod
    def open(cls, config: SoundConfig, source: ColumnSource, saved: Sound | None) -> Opened:
        """Reads and resamples all sounds.

        Raises:
          UserError: a row is neither a sound nor the name of a WAV file; see `read_wav`.
        """
        feature, columns = saved or cls(config), {}
        for split, column in source.splits().items():
            folder = source.dataset.folder(split)
            samples = []
            for row, value in enumerate(column):
                try:
                    samples.append(feature.sample(value, folder))
                except UserError as error:
                    where = source.dataset.locate(split, row)
                    raise UserError(f"{where}: {error}") from None
            columns[split] = EncodedSounds(samples, feature)
        return Opened(feature, columns, start=f" {feature.summary()}")

    def sample(self, value: Any, folder: Path | None = None) -> Float[np.ndarray, " n"]:
        """The samples of a recording, or of a file, by its path or its name in a folder."""
        if isinstance(value, str):
            path = Path(value).expanduser()
            named = path if folder is None else folder / path
            try:
                value = read_wav(named)
            except UserError as error:
                raise UserError(f"{named}: {error}") from None
        elif isinstance(value, Path):
            value = read_wav(value)
        if not isinstance(value, Recording):
            raise UserError(f"{value!r} is not a sound, nor the name of a WAV file")
        samples = resample(value, self.config.sample_rate)
        return np.pad(samples, (0, max(0, self.config.frame_length - len(samples))))

    def read(self, given: str) -> Float[np.ndarray, "T N"]:
        """The frames of a WAV file; raises UserError where it cannot be read, or is too long."""
        samples = self.sample(Path(given))
        count = int(self.count_frames(np.array([len(samples)]))[0])
        if count > self.config.max_length:
            raise UserError(f"has {count} frames; the run's max_length is {self.config.max_length}")
        return self.cut(samples, np.arange(count) * self.config.hop_length)

    def count_frames(self, sizes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Whole frames in sounds of that many samples."""
        return 1 + (sizes - self.config.frame_length) // self.config.hop_length

    def cut(
        self, samples: Float[np.ndarray, " n"], starts: Int[np.ndarray, " t"]
    ) -> Float[np.ndarray, "t N"]:
        """The frames that begin at `starts`."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.config.frame_length)
        return windows[starts]

    def batch(self, encoded: Sequence[np.ndarray], rows: int) -> Part:
        """Rows of frames, padded to a power of two; a row without a sound has one silent frame."""
        width = power_of_two(max(map(len, encoded)), self.config.max_length)
        frames = np.zeros((rows, width, self.config.frame_length), np.float32)
        segments = np.zeros((rows, width), np.int32)
        segments[:, 0] = 1
        for row, one in enumerate(encoded):
            frames[row, : len(one)], segments[row, : len(one)] = one, 1
        return Part(frames, segments, (np.arange(rows) < len(encoded)).astype(np.float32))

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """The seconds, and the loudness over time, drawn with characters."""
        frames = values if segment_ids is None else values[segment_ids > 0]
        power = np.maximum((frames.astype(float) ** 2).mean(axis=1), 1e-12)
        columns = min(len(power), _MOST_COLUMNS)
        parts = np.array_split(10 * np.log10(power), columns)
        loudness = np.array([part.max() for part in parts]) / _QUIETEST
        shades = np.rint((1 - np.clip(loudness, 0, 1)) * (len(_SHADES) - 1)).astype(int)
        return f"{self._seconds(len(frames)):.2f} s |{''.join(_SHADES[i] for i in shades)}|"

    def _seconds(self, num_frames: int) -> float:
        config = self.config
        samples = (num_frames - 1) * config.hop_length + config.frame_length
        return samples / config.sample_rate

    def facts(self, encoded: np.ndarray) -> dict[str, Any]:
        """{"seconds": of what the model reads}."""
        return {"seconds": round(self._seconds(len(encoded)), 3)}

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        return {"kind": self.kind}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: SoundConfig) -> Sound:
        """Rebuilds the object that `to_json` wrote."""
        del values
        return cls(config)

    def summary(self) -> str:
        """Bands and sample rate."""
        return f"{self.config.num_bands} log-mel bands of sounds at {self.config.sample_rate} Hz"

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"sample_rate": self.config.sample_rate, "num_bands": self.config.num_bands}


class EncodedSounds:
    """The sounds of one split; see `feature.EncodedColumn`.

    Attributes:
      flat: samples of all rows, float32 [n].
      offsets: row i has flat[offsets[i]:offsets[i + 1]].
      feature: which cuts them.
    """

    unit = "frame"

    def __init__(self, sounds: Sequence[np.ndarray], feature: Sound) -> None:
        sizes = np.array([len(one) for one in sounds])
        self.flat, self.feature = np.concatenate(sounds), feature
        self.offsets = np.cumsum([0, *sizes], dtype=np.int64)
        self.lengths: np.ndarray | None = feature.count_frames(sizes)
        self.num_steps: np.ndarray | None = self.lengths

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Frames [b, width, N]."""
        assert width is not None
        assert self.lengths is not None
        config, real = self.feature.config, np.flatnonzero(chosen >= 0)
        at, steps = chosen[real], self.lengths[chosen[real]]
        within = ranges(np.zeros(len(at), np.int64), steps) * config.hop_length
        rows = np.zeros((len(chosen), width, config.frame_length), np.float32)
        place = ranges(real * width, steps)
        starts = np.repeat(self.offsets[at], steps) + within
        rows.reshape(-1, config.frame_length)[place] = self.feature.cut(self.flat, starts)
        mask = (chosen >= 0).astype(np.float32)
        return Part(rows, segments_of(self.lengths, chosen, width), mask)

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """The samples."""
        sizes = np.diff(self.offsets)[kept]
        return [self.flat[ranges(self.offsets[kept], sizes)], sizes]

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """The number of frames."""
        assert self.lengths is not None
        return {"frames": int(self.lengths[kept].sum())}
