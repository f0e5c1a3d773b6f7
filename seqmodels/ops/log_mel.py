"""Log-mel energies of the frames of a sound."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FLOOR = 1e-10
"""The least energy: its logarithm is finite in silence too."""
_LINEAR_STEP, _BREAK, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27


def log_mel(
    frames: Float[Array, "*rows N"], sample_rate: int, num_bands: int
) -> Float[Array, "*rows M"]:
    """The energy of each frame in bands of equal width on the mel scale, as a logarithm.

        y_m = log10(max(sum_k W_km |X_k|^2, 1e-10))
        X_k = sum_n h_n x_n exp(-2 pi i k n / L),    h_n = (1 - cos(2 pi n / N)) / 2

    The conventions are librosa's, with center=False: a periodic Hann window as long as the frame;
    frames padded with zeros to L samples, see `transform_length`; the power of the spectrum, not
    its amplitude; the filters of `mel_filters`; no pre-emphasis and no dither. The logarithm is
    decimal and not relative to the loudest frame, so that a frame does not depend on the others.

    Args:
      frames: x, samples between -1 and 1.
      sample_rate: samples per second.
      num_bands: M.

    Source: Davis and Mermelstein, 1980, "Comparison of parametric representations"; McFee et al.,
    2015, "librosa".
    """
    size = frames.shape[-1]
    length = transform_length(size)
    window = jnp.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size), jnp.float32)
    windowed = frames.astype(jnp.float32) * jnp.broadcast_to(window, frames.shape)
    spectrum = jnp.fft.rfft(windowed, length)
    power = spectrum.real**2 + spectrum.imag**2  # [.., L / 2 + 1]
    filters = jnp.asarray(mel_filters(sample_rate, length, num_bands), jnp.float32)
    energy = jnp.einsum("...k,km->...m", power, filters, precision=jax.lax.Precision.HIGHEST)
    return jnp.log10(jnp.maximum(energy, FLOOR))


def transform_length(frame_length: int) -> int:
    """L: the least power of two of at least two frames, so that narrow bands have a bin each."""
    return 1 << (2 * frame_length - 1).bit_length()


def mel_filters(sample_rate: int, length: int, num_bands: int) -> Float[np.ndarray, "K M"]:
    """Triangles over the bins of a spectrum, each of area 1 (Slaney's norm), float64.

        W_km = max(0, min((f_k - c_m) / (c_m+1 - c_m), (c_m+2 - f_k) / (c_m+2 - c_m+1)))
               * 2 / (c_m+2 - c_m),    f_k = k sample_rate / length

    The corners c_0 .. c_M+1 have equal distances on the mel scale of Slaney's Auditory Toolbox from
    0 to sample_rate / 2: it is linear up to 1000 Hz (15 mel) and logarithmic above.
    """
    highest = sample_rate / 2
    top = highest / _LINEAR_STEP
    if highest > _BREAK:
        top = _BREAK / _LINEAR_STEP + np.log(highest / _BREAK) / _LOG_STEP
    mels = np.linspace(0.0, top, num_bands + 2)
    above = np.maximum(mels - _BREAK / _LINEAR_STEP, 0)
    corners = np.where(above > 0, _BREAK * np.exp(_LOG_STEP * above), mels * _LINEAR_STEP)
    bins = np.arange(length // 2 + 1)[:, None] * sample_rate / length
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
