"""Legal forms of ABC, each with the value that the standard 2.1 gives it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from seqmodels.music.abc_notation import BarLine, Tune
from seqmodels.music.abc_reader import read_tune, read_tunes
from seqmodels.music.abc_text import complete, cut_tunes, read_file_header
from seqmodels.music.judge import list_unplayed
from seqmodels.music.performance import perform

HEADER = "X:1\nT:A\nM:4/4\nL:1\n{}K:C\n"
NAMES = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B"}


def tune_of(music: str, fields: str = "") -> Tune:
    """A tune in whole notes, each of which fills a bar."""
    tune = read_tune(HEADER.format(fields) + music + "\n")
    assert not tune.problems, tune.problems
    return tune


def played(music: str, fields: str = "") -> str:
    """Letters of the notes as they are played."""
    sounds = perform(tune_of(music, fields)).sounds
    return "".join(NAMES[sound.pitch] for sound in sounds)


# A mark -> the notes of `C MARK D:|`, and of `C MARK` alone, as they are played (section 4.8).
MARKS = {
    "|": ("CDCD", "C"),
    "||": ("CDD", "C"),
    "|]": ("CDD", "C"),
    "[|": ("CDD", "C"),
    "[|]": ("CDCD", "C"),
    ".|": ("CDCD", "C"),
    "|[|": ("CDD", "C"),
    "|:": ("CDD", "C"),
    "||:": ("CDD", "C"),
    "[|:": ("CDD", "C"),
    "|]:": ("CDD", "C"),
    "|::": ("CDDD", "C"),
    "[|:::": ("CDDDD", "C"),
    ":|": ("CCDD", "CC"),
    ":||": ("CCDD", "CC"),
    ":|]": ("CCDD", "CC"),
    "::|": ("CCCDD", "CCC"),
    "::": ("CCDD", "CC"),
    ":|:": ("CCDD", "CC"),
    ":||:": ("CCDD", "CC"),
    ":|][|:": ("CCDD", "CC"),
    "::|:": ("CCCDD", "CCC"),
}


@pytest.mark.parametrize("mark", MARKS)
def test_a_bar_mark_means_the_same_at_every_place(mark: str) -> None:
    between, alone = MARKS[mark]
    for music in (f"C{mark}D:|", f"C {mark} D:|", f"C{mark}\nD:|", f"C\n{mark}D:|"):
        assert played(music) == between, music
    for music in (f"C{mark}\n{mark}D:|", f"C{mark} % words\nw:la\n {mark}\\\n D:|"):
        assert played(music) == between, music
    assert played(f"C{mark}") == played(f"C{mark}\n{mark}") == alone
    start = played(f"{mark}C:|")  # dots on the left of the first note repeat nothing
    assert start == "C" * (1 + max(1, BarLine.read(mark.lstrip(".")).starts))


@pytest.mark.parametrize("mark", [mark for mark in MARKS if not mark.endswith("|]")])
def test_bars_of_a_pick_up_are_full_next_to_every_mark(mark: str) -> None:
    """A waltz whose parts begin with a crotchet, and end with the two that complete its bar."""
    line = "X:1\nT:A\nM:3/4\nL:1/4\nK:C\nE|A2A|B2B|A2{}\n{}E|A2A|B2B|A2{}\n"
    separates = not BarLine.read(mark.lstrip(".")).is_plain
    for tune in (line.format(mark, "", mark), line.format(mark, mark, mark)):
        bars = [p.text for p in read_tune(tune).problems]
        wanted = [] if separates else ["bar 4 has 1/2 of 3/4", "bar 5 has 1/4 of 3/4"]
        assert bars == wanted


def test_a_short_bar_within_a_part_is_reported() -> None:
    tune = read_tune("X:1\nT:A\nM:3/4\nL:1/4\nK:C\nE|A2A|B2|A2A|A2||E|A2A|B2|A2|]\n")
    assert [problem.text for problem in tune.problems] == [
        "bar 3 has 1/2 of 3/4",
        "bar 8 has 1/2 of 3/4",
    ]


@pytest.mark.parametrize(
    ("music", "wanted"),
    [
        ("|:C|1D:|2E||F", "CDCEF"),
        ("|:C|[1D:|[2E|]F", "CDCEF"),
        ("|:C| [1 D:| [2 E [|F", "CDCEF"),
        ("|:C|1D:|]2E|F:|", "CDCEF"),
        ("|:C|1D:|]2E||F:|", "CDCEFF"),
        ("C|[1D:|\n[2E:|\n[3F||", "CDCECF"),
        ("|:C|[1,3D:|[2,4-5E:|", "CDCECDCECE"),
        ("|::C|D::|E", "CDCDCDE"),
        ("|::C:|D::|", "CCCDDD"),
    ],
)
def test_endings_and_repeats(music: str, wanted: str) -> None:
    """Sections 4.8 to 4.10."""
    assert played(music) == wanted


def test_a_line_of_music_may_begin_like_a_field() -> None:
    assert played("C|\nD:|\nE::F:|") == "CDCDEEFF"
    assert played("D:|\nA: a place\nF|") == "DDF"
    (row,) = [part for _, part in cut_tunes(HEADER.format("") + "C|\nD:|\n")]
    assert "D:|" in row


def test_a_tune_ends_at_an_empty_line() -> None:
    text = HEADER.format("") + "C|D|\n \t\nAbba egg\n\nF:nothing\n\n" + HEADER.format("") + "E|\n"
    assert [len(tune.bars) for tune in read_tunes(text)] == [2, 1]
    assert [line for line, _ in cut_tunes(text)] == [1, 12]
    assert "Abba" not in "".join(part for _, part in cut_tunes(text))
    (tune,) = read_tunes(HEADER.format("") + "\nAbba egg\n")
    assert [problem.text for problem in tune.problems] == ["has no notes"]
    # Two tunes of irish_abc have an empty line before the music.
    (tune,) = read_tunes(HEADER.format("") + "\nC|D|\n\nE|\n")
    assert len(tune.bars) == 2


def test_comments_directives_and_typeset_text_are_no_music() -> None:
    music = "C|% D|\n%%text E|\n%%begintext\nF|\n%%endtext\n  % G|\n[r:A|]D|#*;?@"
    assert played(music) == "CD"
    assert tune_of("C|", "C:100\\% mine % or not\n").is_full


def test_a_field_may_be_continued() -> None:
    tune = tune_of("C|\nw:la la\n+:la\nD|", "T:of\n% words\n+:two lines\n")
    assert len(tune.bars) == 2
    (tune,) = read_tunes("X:1\nT:of\n+:two lines\nK:C\nC|\n")
    assert tune.title == "of two lines"
    (tune,) = read_tunes("X:1\nT:A\nM:3/\n+:4\nL:1/4\nK:C\nCDE|\n")
    assert tune.bars[0].metre == Fraction(3, 4)


FILE = """%abc-2.1
% A collection
H:Made up
M:3/4
L:1/4
Q:1/4=60
U:n=!trill!
I:propagate-accidentals octave

Free text: M:C.

X:1 % the first
T:One
K:C
^CnCc|

Abba egg

X:2
T:Two
M:2/4
Q:1/4=120
K:C
CD|
"""


def test_fields_before_the_first_tune_are_defaults() -> None:
    """Section 2.2.2."""
    first, second = read_tunes(FILE)
    assert not first.problems and not second.problems
    assert [note.pitches for note in first.bars[0].notes] == [(61,), (61,), (72,)]
    assert (perform(first).seconds, perform(second).seconds) == (3.0, 1.0)
    assert [tune.line for tune in (first, second)] == [12, 19]
    again = read_tunes(f"{first.text}\n{second.text}")  # without the file, they are the same
    assert [(tune.voices, tune.problems) for tune in again] != []
    assert [perform(tune) for tune in again] == [perform(first), perform(second)]
    header = read_file_header(FILE)
    assert [field for _, field, _ in header] == list("HMLQUI")
    assert (
        complete("X:2\nT:Two\nM:2/4\nK:C\nCD|", header[1:3]) == "X:2\nT:Two\nL:1/4\nM:2/4\nK:C\nCD|"
    )
    assert read_file_header("A word\nL:1/4\n\nX:1\n") == []  # free text
    assert read_file_header("X:1\n") == []


def test_clefs_transpose_and_leave_the_key() -> None:
    """Section 4.6."""
    pitches = lambda text: [s.pitch for s in perform(read_tune(text)).sounds]
    head = "X:1\nT:A\nL:1\n"
    assert pitches(f"{head}K:D\nF|[K:treble]F|[K:clef=bass]F|\nK:bass\nF|[K:C]F|") == [66] * 4 + [
        65
    ]
    assert pitches(f"{head}K:clef=bass\nF|") == [65]
    assert pitches(f"{head}K:G treble-8\nF|[K:treble+8]F|[K:treble]F|") == [54, 78, 66]
    assert pitches(f"{head}K:C octave=-1\nF|[K:transpose=2]F|") == [53, 67]
    assert pitches(f"{head}K:C\nV:1 clef=bass-8\n[V:1]F|") == [53]


def test_user_symbols() -> None:
    """Section 4.16."""
    assert played("nC|WD|T!trill!E|", "U:n=!trill!\nU: W = +trill+\n") == "CDE"
    for fields in ("", "U:n=!trill!\nU:n=!nil!\n"):
        (problem,) = read_tune(HEADER.format(fields) + "nC|\n").problems
        assert problem.text == "'n' is not ABC"
    assert tune_of("qC|", "U:q=!D.C.!\n").unplayed == {"D.C.": 5}


def test_a_tie_in_a_chord_holds_its_note_alone() -> None:
    sounds = perform(tune_of("L:1/2\n[c-e]c|[ce-]-[ce]|")).sounds
    spans = [(sound.start, sound.end, sound.pitch) for sound in sounds]
    half = Fraction(1, 2)
    assert spans == [(0, 1, 72), (0, half, 76), (1, 2, 72), (1, 2, 76)]
    sounds = perform(tune_of("L:1/2\n[c-e][ce]|")).sounds
    spans = [(sound.start, sound.end, sound.pitch) for sound in sounds]
    assert spans == [(0, 1, 72), (0, half, 76), (half, 1, 76)]
    sounds = perform(tune_of("L:1/4\n^B A B - | B3 A|", "")).sounds
    assert [(s.end - s.start) * 4 for s in sounds] == [1, 1, 4, 1]


def test_a_tempo_counts_from_where_it_is() -> None:
    performance = perform(tune_of("L:1/4\nQ:1/4=60\nCD[Q:1/4=120]EF|G4|:[Q:1/4=240]A4:|"))
    assert performance.tempos == [(0, 15), (Fraction(1, 2), 30), (2, 60)]
    assert [s.onset for s in performance.sounds] == [0, 1, 2, 2.5, 3, 5, 6]
    assert performance.seconds == 7
    again = perform(tune_of("L:1/4\nQ:1/4=60\n|:CD[Q:1/4=120]EF:|"))  # as written, each time
    assert again.seconds == 6 and len(again.tempos) == 4


@pytest.mark.parametrize(
    ("order", "music", "wanted"),
    [
        ("ABA", "P:A\nC|D:|\nP:B\nE|]", "CDCDECDCD"),
        ("(AB)2(AC)2A", "[P:A]C|[P:B]D|[P:C]E|]", "CDCDCECEC"),
        ("A2.B", "G|\nP:A\nC|D|\nP:B\nE|]", "GCDCDE"),
        ("A4.B", "P:A\nC|[1D:|[2E:|[3F:|[4G|]\nP:B\nB|]", "CDCECFCGB"),  # section 4.10
        ("A2B", "P:A\n|:C|1D:|2E:|3F|]\nP:B\nB|]", "CDCECF" * 2 + "B"),
    ],
)
def test_parts_are_played_in_their_order(order: str, music: str, wanted: str) -> None:
    """Section 3.1.9."""
    tune = tune_of(music, f"P:{order}\n")
    assert not tune.unplayed
    assert played(music, f"P:{order}\n") == wanted


def test_parts_without_order_or_music_are_played_as_written() -> None:
    assert played("P:A\nC|\nP:B\nD:|") == "CDCD"
    for order, message in (
        ("AB", "P:AB (without music for B)"),
        ("A(B", "P:A(B"),
        ("slow, then fast", "P:slow, then fast"),
        ("A9999", "P:A9999"),
    ):
        tune = tune_of("P:A\nC|D|", f"P:{order}\n")
        assert tune.unplayed == {message: 5}
        assert played("P:A\nC|D|", f"P:{order}\n") == "CD"


def test_voices_are_played_together() -> None:
    """Section 7."""
    music = "[V:1]C|D|\n[V:2]E|F|\nV:1\nE|]\nV:2\nL:1/2\nGA|]"
    tune = tune_of(music, "V:1\nV:2 clef=bass\n")
    assert {name: len(bars) for name, bars in tune.voices.items()} == {"1": 3, "2": 3}
    sounds = [(s.start, NAMES[s.pitch]) for s in perform(tune).sounds]
    half = Fraction(5, 2)
    assert sounds == [(0, "C"), (0, "E"), (1, "D"), (1, "F"), (2, "E"), (2, "G"), (half, "A")]
    assert perform(tune).length == 3


def test_an_overlay_sounds_from_the_beginning_of_the_bar() -> None:
    """Section 7.4."""
    tune = tune_of("L:1/4\nC4|CDEF&E2 G2|C4-&E4|C4|")
    spans = [(s.start * 4, s.end * 4, NAMES[s.pitch]) for s in perform(tune).sounds]
    assert spans == [
        *((0, 4, "C"), (4, 5, "C"), (4, 6, "E"), (5, 6, "D"), (6, 7, "E"), (6, 8, "G")),
        *((7, 8, "F"), (8, 16, "C"), (8, 12, "E")),
    ]


def test_jumps_are_named() -> None:
    music = 'C|"^Fine"D!fine!|!segno!E|"Dsus4"F|"D.C. al Fine"G !D.C.!|]'
    tune = tune_of(music)
    assert tune.unplayed == {"Fine": 6, "fine": 6, "D.C. al Fine": 6, "D.C.": 6}
    assert played(music) == "CDEFG"
    assert list_unplayed([tune, tune_of("C!D.C.!|]")])[3:] == [
        "D.C. is not played; 2 tunes have it, the first: line 6, tune 1 'A'"
    ]
    assert list_unplayed([tune])[0] == "Fine is not played: line 6, tune 1 'A'"


def test_another_reader_plays_the_same() -> None:
    """symusic has the code of abc2midi; here it obeys the standard."""
    from symusic import Score

    music = "|:G4|^FGAB|1 c4:|2 c2^B2-||\nB4|[ce]2[c-e]2|c4&E2F2|(10:8:2D5/2E5/2|\nP:B\nD4|]\n"
    text = "X:1\nT:A\nM:4/4\nL:1/4\nP:AB\nK:C\nP:A\n" + music
    theirs = [note.pitch for track in Score.from_abc(text).tracks for note in track.notes]
    ours = [sound.pitch for sound in perform(read_tune(text)).sounds]
    assert sorted(ours) == sorted(theirs) and len(ours) > 20
