"""`sound`: WAV files and made-up sounds as frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from seqmodels.config.features import LabelConfig
from seqmodels.config.sound import SoundConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.datasets import tones
from seqmodels.data.features.sound import Sound
from seqmodels.data.sound_file import Recording, read_wav, resample
from seqmodels.types import SoundInput
from tests.data.sets import experiment, mistake
from tests.opening import baseline, load


def digest_of(sounds: Iterator[Recording]) -> str:
    digest = hashlib.sha256()
    for sound in sounds:
        digest.update(sound.samples.tobytes())
    return digest.hexdigest()[:16]


def test_made_up_sounds_are_the_same_everywhere() -> None:
    """On every Python, numpy and machine: results on others could not be compared."""
    chords = (tones.draw_chord(split, i) for split in tones.NUM_SOUNDS for i in range(12))
    assert digest_of(chords) == "2986a0ecb7e6ad78"


def test_a_chord_has_the_tones_of_its_class() -> None:
    x = np.linspace(-2, 3, 4001)
    np.testing.assert_allclose(tones.sine(x), np.sin(2 * np.pi * x), atol=5e-6)
    for number, (name, ratios) in enumerate(tones.CHORDS.items()):
        sound = tones.draw_chord("train", number)
        power = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples)))) ** 2
        peaks = [k for k in range(1, len(power) - 1) if power[k] == power[k - 1 : k + 2].max()]
        loudest = sorted(sorted(peaks, key=lambda k: -power[k])[: len(ratios)])
        found = np.array(loudest) / loudest[0]
        np.testing.assert_allclose(found, ratios, atol=0.01, err_msg=name)


def test_files_of_every_depth_are_read_and_mixed(tmp_path: Path) -> None:
    wave = np.array([0.0, 0.5, -0.5, 0.25])
    for scale, shift, kind in (
        *((128, 128, np.uint8), (2**15, 0, np.int16), (2**31, 0, np.int32)),
        *((1, 0, np.float32), (1, 0, np.float64)),
    ):
        file = tmp_path / "a.wav"
        wavfile.write(file, 8000, (wave * scale + shift).astype(kind))
        found = read_wav(file)
        assert found.samples.tolist() == wave.tolist() and found.sample_rate == 8000, kind
    wavfile.write(file, 8000, np.stack([wave, wave / 2], axis=1).astype(np.float32))
    assert read_wav(file).samples.tolist() == (0.75 * wave).tolist()


def test_a_tone_is_the_same_at_another_rate() -> None:
    time = np.arange(44_100) / 44_100
    sound = tones.make_recording(np.sin(2 * np.pi * 440 * time).astype(np.float32), 44_100)
    found = resample(sound, 16_000)
    assert found.shape == (16_000,) and found.dtype == np.float32
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=2e-3)


def write_folder(folder: Path, rate: int = 8000, count: int = 8) -> Path:
    """Low and high tones of different lengths, in a folder per class."""
    for name, hertz in (("low", 300), ("high", 1200)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            time = np.arange(rate * (3 + number) // 40) / rate
            wave = np.sin(2 * np.pi * (hertz + 7 * number) * time)
            wavfile.write(folder / name / f"{number}.wav", rate, (wave * 9000).astype(np.int16))
    return folder


def sounds(folder: Path, **fields: Any) -> Any:
    inputs = SoundConfig(sample_rate=8000, num_bands=20, **fields)
    data: Any = {"name": "folder", "validation_fraction": 0.3, "test_fraction": 0.0}
    return experiment(
        ClassificationConfig(), 4, inputs=inputs, targets=LabelConfig(), path=str(folder), **data
    )


def test_frames_overlap_and_whole_ones_count(tmp_path: Path) -> None:
    config = sounds(write_folder(tmp_path))
    config.data.max_shapes = 1
    data = load(config)
    feature = data.features["inputs"]
    assert data.spec.inputs == SoundInput(200, 8000, 20)
    batch = next(data.rows("train", config.evaluation, 0).batches(1))[0]
    files = data.dataset._arrange()["train"]
    for row, file in enumerate(files):
        samples = read_wav(file).samples
        count = 1 + (len(samples) - 200) // 80
        assert batch.segment_ids[row].sum() == count
        for step in range(count):
            expected = samples[80 * step : 80 * step + 200]
            assert (batch.inputs[row, step] == expected).all(), (row, step)
        assert not batch.inputs[row, count:].any()
        assert (feature.read(str(file)) == batch.inputs[row, :count]).all()
    read = [feature.read(str(file)) for file in files[:2]]
    part = feature.batch(read, 3)
    assert part.values.shape[0] == 3 and part.mask.tolist() == [1, 1, 0]
    assert (part.values[1, : len(read[1])] == read[1]).all()
    shown = data.task.show(batch, 0, data.features)
    assert shown.startswith(f"{files[0].parent.name}\n0.") and " s |" in shown
    assert feature.facts(read[0]) == {"seconds": round((80 * len(read[0]) + 120) / 8000, 3)}
    again = Sound.from_json(feature.to_json(), feature.config)
    assert again.input == feature.input
    short = feature.sample(tones.make_recording(np.ones(3, np.int16), 8000))
    assert short.shape == (200,) and feature.count_frames(np.array([200])) == 1


def test_low_and_high_sounds_have_other_spectra(tmp_path: Path) -> None:
    config = sounds(write_folder(tmp_path))
    data = load(config)
    found = baseline(data, "validation", config)
    assert found["model"] == "nearest mean spectrum" and found["accuracy"] == 1.0
    assert found["beside"][0]["model"] == "majority class"


def test_files_that_are_no_sounds_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "sounds")
    file = folder / "low" / "9.wav"
    empty = np.zeros(0, np.int16)
    wavfile.write(file, 8000, empty)
    line = mistake(lambda: load(sounds(folder)))
    assert "low/9.wav: is empty: it has no sample" in line
    file.write_bytes(b"RIFF and more of it")
    assert "low/9.wav: is not a WAV file that scipy reads" in mistake(lambda: load(sounds(folder)))
    wavfile.write(file, 8000, np.zeros(4000, np.int16))
    content = bytearray(file.read_bytes())
    content[24:32] = bytes(8)  # and that of bytes
    file.write_bytes(content)
    assert "its sample rate is 0; it must be above 0" in mistake(lambda: load(sounds(folder)))
    wavfile.write(file, 8000, np.array([0.0, np.nan], np.float32))
    assert "has a sample that is not a finite float32" in mistake(lambda: load(sounds(folder)))
    file.unlink()
    line = mistake(lambda: load(sounds(folder, max_length=5)))
    assert "data.inputs.max_length=5" in line and "frames" in line
    (tmp_path / "none" / "a").mkdir(parents=True)
    assert "has no sound (.wav)" in mistake(lambda: load(sounds(tmp_path / "none")))
    with pytest.raises(Exception, match="is not a sound"):
        Sound(SoundConfig()).sample(3.5)
