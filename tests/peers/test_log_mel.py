"""Log-mel energies are those of librosa."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.log_mel import log_mel, transform_length

librosa = pytest.importorskip("librosa", reason="librosa is not installed")

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_energies_of_librosa(rate: int) -> None:
    size, hop = round(0.025 * rate), round(0.010 * rate)
    sound = np.random.default_rng(0).uniform(-1, 1, rate // 2).astype(np.float32)
    length = transform_length(size)
    # librosa puts the window into the middle of the transform.
    padded = np.pad(sound, (length - size) // 2, mode="constant")
    expected = librosa.feature.melspectrogram(
        y=np.append(padded, 0.0) if (length - size) % 2 else padded,
        sr=rate,
        n_fft=length,
        win_length=size,
        hop_length=hop,
        center=False,
        n_mels=80,
    )
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]
    found = np.asarray(log_mel(jnp.asarray(frames), rate, 80))
    np.testing.assert_allclose(found, np.log10(np.maximum(expected, 1e-10)).T, atol=1e-4)
