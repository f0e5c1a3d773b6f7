"""Playing of tunes and judging of samples."""

from __future__ import annotations

import json
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.music.abc_reader import read_tune
from seqmodels.music.copying import copied
from seqmodels.music.judge import first_tune, judge, read_samples, render_tunes
from seqmodels.music.performance import Performance, perform
from seqmodels.music.sound import RATE, make_piano_roll, synthesise, write_midi, write_wav

HEADER = "X:1\nT:Test\nM:{metre}\nL:1/8\nQ:{tempo}\nK:C\n"
TUNES = {  # music -> metre, tempo, crotchets when it is played
    "CDEF GABc|c8|": ("4/4", "1/4=120", 8),
    "|:C8|D8:|": ("4/4", "1/4=97", 16),
    "C8|D8:|E8|F8:|": ("4/4", "1/4=150", 32),
    "G|:c8|d8|1 e8:|2 f4 z4|]": ("4/4", "1/4=133", 24.5),
    "|:C8|1,3 D8:|2 E8:|": ("4/4", "1/4=240", 24),
    "(3CDE (3FGA c4|c>d e<f g4|": ("4/4", "1/4=61", 8),
    "|:CDE FGA|c3 d2:|": ("6/8", "3/8=80", 11),
    "C4-|C4|[CEG]4-|[CEG]4|": ("2/4", "1/8=77", 8),
    "C4|[Q:1/4=30]D4|": ("2/4", "1/4=60", 4),
    "Z2|C6|": ("3/4", "1/4=200", 9),
}
SECONDS = {"C4|[Q:1/4=30]D4|": 2 + 4.0}
EACH = pytest.mark.parametrize("music", TUNES)


def play(music: str) -> Performance:
    metre, tempo, _ = TUNES[music]
    tune = read_tune(HEADER.format(metre=metre, tempo=tempo) + music + "\n")
    assert tune.is_full, tune.problems
    return perform(tune)


def expected_seconds(music: str) -> float:
    """The notated crotchets over the tempo."""
    _, tempo, crotchets = TUNES[music]
    beat, number = tempo.split("=")
    return SECONDS.get(music, crotchets / 4 / (Fraction(beat) * int(number)) * 60)


@EACH
def test_a_wav_is_as_long_as_the_tune(music: str, tmp_path: Path) -> None:
    performance = play(music)
    assert performance.length * 4 == TUNES[music][2]
    write_wav(performance, tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        seconds = file.getnframes() / file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    wanted = expected_seconds(music)
    assert abs(seconds - wanted) <= 0.01 * wanted
    assert abs(int(samples.max())) > 1000


@EACH
def test_a_midi_file_has_the_same_notes_and_length(music: str, tmp_path: Path) -> None:
    from symusic import Score

    performance = play(music)
    write_midi(performance, tmp_path / "a.mid")
    read = Score(str(tmp_path / "a.mid"))
    (track,) = read.tracks
    found = sorted((n.start, n.pitch, n.end) for n in track.notes)
    ticks = lambda at: round(at * 4 * read.tpq)
    assert found == sorted((ticks(s.start), s.pitch, ticks(s.end)) for s in performance.sounds)
    last = max(sound.release for sound in performance.sounds)
    assert abs(read.to("second").end() - last) <= 0.01 * last


def test_another_reader_finds_the_same_notes() -> None:
    """symusic reads ABC with the code of abc2midi."""
    from symusic import Score

    music = "|:G|^FGAB c2d2|_BA=Bc (3ABc d2|e>fg<a [CEG]4|1 c7:|2 c8|]\n"
    text = HEADER.format(metre="4/4", tempo="1/4=120").replace("K:C", "K:D Dorian") + music
    tune = read_tune(text)
    assert tune.is_full
    (track,) = Score.from_abc(text).tracks
    ours = [sound.pitch for sound in perform(tune).sounds]
    assert sorted(ours) == sorted(note.pitch for note in track.notes)


def test_ties_join_notes_and_rests_are_silent() -> None:
    sounds = play("C4-|C4|[CEG]4-|[CEG]4|").sounds
    assert [(s.pitch, s.start, s.end) for s in sounds] == [
        (60, 0, 1),
        *((pitch, 1, 2) for pitch in (60, 64, 67)),
    ]
    performance = play("Z2|C6|")
    silent = round(performance.sounds[0].onset * RATE)
    samples = synthesise(performance)
    assert not samples[:silent].any()
    assert samples[silent:].any()


def test_a_note_sounds_at_its_pitch() -> None:
    tune = read_tune(HEADER.format(metre="4/4", tempo="1/4=60") + "A8|\n")
    samples = synthesise(perform(tune))
    spectrum = np.abs(np.fft.rfft(samples))
    loudest = np.argmax(spectrum) * RATE / len(samples)
    assert abs(loudest - 440) < 1
    assert abs(samples).max() <= 1


def test_repeats_without_a_beginning_go_back_to_the_last_double_bar() -> None:
    tune = read_tune(HEADER.format(metre="4/4", tempo="1/4=60") + "C8||D8|E8:|F8|1 G8:|2 A8|B8|]\n")
    pitches = [sound.pitch for sound in perform(tune).sounds]
    assert pitches == [60, 62, 64, 62, 64, 65, 67, 65, 69, 71]


def test_copies() -> None:
    source = "abcdefghijklmnopqrstuvwxyz"
    assert copied("cdefgh", [source], 4) == {"longest": 6, "whole": 1.0, "share": 1.0}
    found = copied("cdefg--mnop-x", [source[:10], source[10:]], 4)
    assert found == {"longest": 5, "whole": 0.0, "share": 9 / 13}
    assert copied("jk", [source[:10], source[10:]], 1)["longest"] == 1  # not from one to the next
    assert copied("", [source]) == {"longest": 0, "whole": 0.0, "share": 0.0}


def test_judging() -> None:
    header = "X:1\nT:A\nM:4/4\nL:1/8\nK:C\n"
    texts = ["C8|C8|\n\nX:2\n", "C8|C7|C8|\n\nX:", "C8|k|\n\n", "C8|C8"]
    tunes = [first_tune(header + text) for text in texts]
    values = judge(tunes, [f"{header}D8|C8|C8|\n\n"])
    assert values["num_tunes"] == 4
    assert values["parsed"] == 0.5
    assert values["full"] == 0.25
    assert values["problems"] == {"bar": 1, "syntax": 1, "unfinished": 1}
    assert values["copied_whole"] == 0.5
    assert values["longest_copy"] == 6


def test_samples_of_files(tmp_path: Path) -> None:
    tune = "X:1\nT:A\nM:4/4\nL:1/8\nK:C\nC8|\n\n"
    (tmp_path / "a.abc").write_text(tune * 2 + tune.strip())
    assert (len(read_samples(tmp_path / "a.abc")[0]), read_samples(tmp_path / "a.abc")[1]) == (3, 0)
    made = {"texts": [tune * 2 + "X:3\nT:cut", tune]}
    (tmp_path / "a.json").write_text(json.dumps(made))
    tunes, unfinished = read_samples(tmp_path / "a.json")
    assert (len(tunes), unfinished) == (3, 1)
    for name, content, wanted in (
        ("b.json", '{"texts": ["X:1"]}', "has no complete tune; some are cut off"),
        ("c.json", "[]", "not an output of `generate`"),
        ("e.json", '{"texts": ["X:1", null]}', "not an output of `generate`"),
        ("f.json", '{"texts": "X:1"}', "not an output of `generate`"),
        ("g.json", "[" * 100_000, "not an output of `generate`"),
        ("d.abc", "words", "has no tune: no line begins with X:"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=wanted):
            read_samples(tmp_path / name)
    rows = render_tunes(tunes, tmp_path, 1)
    assert [row["number"] for row in rows] == [1]
    assert {f"001.{end}" for end in ("abc", "mid", "wav", "png")} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_the_picture_has_one_bar_per_note() -> None:
    performance = play("C4-|C4|[CEG]4-|[CEG]4|")
    (axes,) = make_piano_roll(performance, "$title").axes
    assert len(axes.patches) == len(performance.sounds) == 4
    assert axes.get_title() == "$title"
