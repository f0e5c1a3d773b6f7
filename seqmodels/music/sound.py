"""Rendering of tunes as MIDI files, sound and pictures."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.files import replacing
from seqmodels.music.performance import Performance

RATE = 22_050
"""Samples per second."""
_TICKS = 480  # per crotchet; a whole number for triplets down to semiquavers
_VELOCITY = 80
_PARTIALS = (1.0, 0.5, 0.3, 0.15, 0.1, 0.05)
"""Amplitudes of the harmonics."""
_ATTACK, _RELEASE, _DECAY = 0.01, 0.03, 0.7  # in seconds; _DECAY is a half-life
_LOUDNESS = 0.8


def require_symusic() -> Any:
    """Returns the library that writes MIDI.

    Raises:
      UserError: it is not installed.
    """
    try:
        import symusic
    except ImportError:
        raise UserError(
            "MIDI needs symusic: pip install symusic -c requirements.lock.txt"
        ) from None
    return symusic


def write_midi(performance: Performance, path: Path) -> None:
    """Writes a MIDI file of one track."""
    symusic = require_symusic()
    ticks = lambda at: round(at * 4 * _TICKS)
    score = symusic.Score(_TICKS)
    for at, tempo in performance.tempos:
        score.tempos.append(symusic.Tempo(ticks(at), float(tempo * 4)))
    track = symusic.Track("tune", 0, False)
    for sound in performance.sounds:
        length = ticks(sound.end) - ticks(sound.start)
        track.notes.append(symusic.Note(ticks(sound.start), length, sound.pitch, _VELOCITY))
    score.tracks.append(track)
    score.dump_midi(str(path))


def synthesise(performance: Performance) -> np.ndarray:
    """Returns float32 [samples] within -1..1, as long as the tune.

    A note is a sum of harmonics below half the sampling rate, with a short attack, an exponential
    decay and a short release within its length.
    """
    total = round(performance.seconds * RATE)
    mix = np.zeros(total, np.float64)
    for sound in performance.sounds:
        first, last = round(sound.onset * RATE), min(total, round(sound.release * RATE))
        mix[first:last] += _tone(sound.pitch, last - first)
    loudest = np.abs(mix).max(initial=0.0)
    return (mix * (_LOUDNESS / loudest if loudest else 0.0)).astype(np.float32)


def _tone(pitch: int, samples: int) -> np.ndarray:
    frequency, time = 440.0 * 2 ** ((pitch - 69) / 12), np.arange(samples) / RATE
    wave_ = np.zeros(samples)
    for number, amplitude in enumerate(_PARTIALS, 1):
        if number * frequency < RATE / 2:
            wave_ += amplitude * np.sin(2 * np.pi * number * frequency * time)
    left = (samples - 1) / RATE - time
    envelope = np.minimum(time / _ATTACK, 1.0) * np.minimum(left / _RELEASE, 1.0)
    return wave_ * envelope * 2 ** (-time / _DECAY)


def write_wav(performance: Performance, path: Path) -> None:
    """Writes a 16-bit mono WAV file at RATE samples per second."""
    samples = np.round(synthesise(performance) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def make_piano_roll(performance: Performance, title: str) -> Any:
    """Draws the pitches over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    sounds = performance.sounds
    axes.barh(
        [sound.pitch for sound in sounds],
        [sound.release - sound.onset for sound in sounds],
        left=[sound.onset for sound in sounds],
        height=0.8,
    )
    axes.set_xlabel("time (seconds)")
    axes.set_ylabel("pitch (MIDI number, 60 is middle C)")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    return figure


def render(performance: Performance, title: str, folder: Path, name: str) -> dict[str, str]:
    """Writes NAME.mid, NAME.wav and NAME.png into a folder; returns their names.

    Raises:
      UserError: a file cannot be written.
    """
    draw = lambda path: make_piano_roll(performance, title).savefig(path, dpi=100)
    writers: dict[str, Callable[[Path], None]] = {
        "mid": lambda path: write_midi(performance, path),
        "wav": lambda path: write_wav(performance, path),
        "png": draw,
    }
    for ending, write in writers.items():
        path = folder / f"{name}.{ending}"
        try:
            with replacing(path) as partial:
                write(partial)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return {ending: f"{name}.{ending}" for ending in writers}
