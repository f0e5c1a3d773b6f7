"""Sounds: of the user's own WAV files, and at the sample rate of a model."""

from __future__ import annotations

import dataclasses
import math
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num

from seqmodels.config.errors import UserError

SUFFIXES = (".wav",)
"""Endings of the files that are taken for sounds in a folder."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """A sound.

    Attributes:
      samples: of one channel, float32, between -1 and 1.
      sample_rate: samples per second.
    """

    samples: Float[np.ndarray, " n"]
    sample_rate: int


def read_wav(path: Path) -> Recording:
    """Reads a WAV file of any sample rate: 8 to 64 bits, integers or floats, any channels.

    The channels are mixed: their mean counts.

    Raises:
      UserError: it cannot be read, is not a WAV file, is empty, or has a sample rate of 0 or a
        sample that is not finite. The message does not name the file.
    """
    from scipy.io import wavfile

    try:
        # A warning about a chunk without samples, such as a title, does not name the file.
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:
            rate, samples = wavfile.read(file)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or error})") from None
    # Of a damaged file: struct.error, ZeroDivisionError, EOFError ..
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise UserError(f"is not a WAV file that scipy reads ({reason})") from None
    return make_recording(samples, rate)


def make_recording(samples: Num[np.ndarray, "n ..."], sample_rate: int) -> Recording:
    """A recording of one channel between -1 and 1, of samples as a file has them.

    Integers are divided by 2^(bits - 1), bytes after 128 is taken away; floats stay.

    Raises:
      UserError: there is no sample, or one is not finite; or the sample rate is 0.
    """
    if sample_rate <= 0:
        raise UserError(f"its sample rate is {sample_rate}; it must be above 0")
    if not samples.size:
        raise UserError("is empty: it has no sample")
    found = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        found = (found - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        found /= -float(np.iinfo(samples.dtype).min)
    if found.ndim > 1:
        found = found.mean(axis=1)
    if not (np.abs(found) <= np.finfo(np.float32).max).all():
        raise UserError("has a sample that is not a finite float32")
    return Recording(found.astype(np.float32), int(sample_rate))


def resample(recording: Recording, sample_rate: int) -> Float[np.ndarray, " n"]:
    """The samples at another rate, float32, by scipy's polyphase filter (Kaiser's window, 5.0)."""
    if recording.sample_rate == sample_rate:
        return recording.samples
    from scipy.signal import resample_poly

    divisor = math.gcd(sample_rate, recording.sample_rate)
    up, down = sample_rate // divisor, recording.sample_rate // divisor
    return resample_poly(recording.samples.astype(np.float64), up, down).astype(np.float32)
