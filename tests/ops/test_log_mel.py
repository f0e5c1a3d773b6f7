"""Log-mel energies against their equation in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.ops.log_mel import log_mel, mel_filters, transform_length
from tests.tolerances import TOLERANCE


def by_hand(frame: np.ndarray, rate: int, num_bands: int) -> np.ndarray:
    """The energies of one frame, sum by sum."""
    size = len(frame)
    length = transform_length(size)
    n, k = np.arange(size), np.arange(length // 2 + 1)
    window = np.sin(np.pi * n / size) ** 2
    wave = np.exp(-2j * np.pi * k[:, None] * n / length)
    power = np.abs(wave @ (window * frame)) ** 2
    to_mel = lambda f: 3 * f / 200 if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4)
    hertz = np.linspace(0, rate / 2, 200_001)
    mels = np.array([to_mel(f) for f in hertz])
    corners = np.interp(np.linspace(0, mels[-1], num_bands + 2), mels, hertz)
    energies = []
    for low, centre, high in zip(corners, corners[1:], corners[2:], strict=False):
        weight = np.interp(k * rate / length, [low, centre, high], [0, 1, 0])
        energies.append(2 / (high - low) * weight @ power)
    return np.log10(np.maximum(energies, 1e-10))


def test_energies_follow_the_equation() -> None:
    rng = np.random.default_rng(0)
    frames = rng.uniform(-1, 1, (2, 3, 200)).astype(np.float32)
    found = np.asarray(jax.jit(lambda x: log_mel(x, 8000, 23))(frames))
    assert found.shape == (2, 3, 23) and found.dtype == np.float32
    for row in range(2):
        expected = by_hand(frames[row, 1].astype(float), 8000, 23)
        np.testing.assert_allclose(found[row, 1], expected, **TOLERANCE["reference"])


def test_silence_is_the_floor_and_no_band_is_empty() -> None:
    assert (np.asarray(log_mel(jnp.zeros((1, 400)), 16_000, 80)) == -10).all()
    for rate in (8000, 16_000, 22_050, 44_100, 48_000):
        filters = mel_filters(rate, transform_length(round(0.025 * rate)), 80)
        assert (filters.sum(axis=0) > 0).all(), rate


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    """10 ms later too: the power does not know the phase."""
    time = np.arange(560) / 16_000
    wave = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    bands = np.asarray(log_mel(jnp.stack([wave[:400], wave[160:]]), 16_000, 80))
    filters = mel_filters(16_000, 1024, 80)
    assert bands.argmax(axis=1).tolist() == [filters[64].argmax()] * 2  # bin 64 is 1000 Hz
    np.testing.assert_allclose(bands[0].max(), bands[1].max(), atol=1e-3)
