"""The ABC reader and the problems that it reports."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.music.abc_keys import parse_key, parse_metre, parse_tempo, parse_unit
from seqmodels.music.abc_reader import read_tune, read_tunes
from seqmodels.music.abc_text import body_of, cut_tunes

HEADER = "X:1\nT:Test\nM:{metre}\nL:1/8\nK:{key}\n"


def make(music: str, *, metre: str = "4/4", key: str = "C") -> str:
    return HEADER.format(metre=metre, key=key) + music + "\n"


def pitches(music: str, key: str = "C") -> list[tuple[int, ...]]:
    tune = read_tune(make(music, metre="none", key=key))
    assert not tune.problems, tune.problems[0]
    return [note.pitches for bar in tune.bars for note in bar.notes]


def lengths(music: str, metre: str = "none") -> list[Fraction]:
    tune = read_tune(make(music, metre=metre))
    assert not tune.problems, tune.problems[0]
    return [note.length * 8 for bar in tune.bars for note in bar.notes]


def problems(music: str, metre: str = "4/4") -> list[str]:
    return [str(problem) for problem in read_tune(make(music, metre=metre)).problems]


def line_of(text: str) -> str:
    """The first problem of a tune."""
    return str(read_tune(text).problems[0])


def test_octaves_and_accidentals() -> None:
    assert pitches("C,CcC' c'") == [(48,), (60,), (72,), (72,), (84,)]
    assert pitches("^C_E=F^^G__A") == [(61,), (63,), (65,), (69,), (67,)]
    assert pitches("[CEG]2 [ce^g]") == [(60, 64, 67), (72, 76, 80)]


def test_an_accidental_lasts_a_bar_in_every_octave() -> None:
    """Section 11.3: what %%propagate-accidentals says, and without it `pitch`."""
    assert pitches("^FFf=Ff|F", key="C") == [(66,), (66,), (78,), (65,), (77,), (65,)]
    music = "^FFf|F"
    for how, wanted in (
        ("pitch", [66, 66, 78, 65]),
        ("octave", [66, 66, 77, 65]),
        ("not", [66, 65, 77, 65]),
    ):
        assert pitches(f"[I:propagate-accidentals {how}]{music}") == [(p,) for p in wanted]
        assert pitches(f"%%propagate-accidentals {how}\n{music}") == [(p,) for p in wanted]
    (line,) = problems("[I:propagate-accidentals ever]C8|")
    assert line.endswith("I: 'propagate-accidentals ever': must be not, octave or pitch")
    assert pitches("FF|=FF|F", key="G") == [(66,), (66,), (65,), (65,), (66,)]


def test_a_tie_carries_an_accidental_over_the_bar_line() -> None:
    assert pitches("^F-|FF|F") == [(66,), (66,), (65,), (65,)]
    assert pitches("^F-|ff|F") == [(66,), (77,), (77,), (65,)]  # another note
    assert pitches("^B A B - | B3 B") == [(72,), (69,), (72,), (72,), (71,)]
    assert pitches("[c^e-]|[ce]e") == [(72, 77), (72, 77), (76,)]


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("C", ""),
        ("D Major", "F^ C^"),
        ("Dmaj", "F^ C^"),
        ("Am", ""),
        ("F# Minor", "F^ C^ G^"),
        ("Bb", "B_ E_"),
        ("A Dorian", "F^"),
        ("ADor", "F^"),
        ("D Mixolydian", "F^"),
        ("E phr", ""),
        ("F Lydian", ""),
        ("B locrian", ""),
        ("Eb minor", "B_ E_ A_ D_ G_ C_"),
        ("D =c", "F^"),
        ("D Phr ^f", "F^ B_ E_"),
        ("D exp _b _e ^f", "F^ B_ E_"),
        ("HP", ""),
        ("Hp", "F^ C^"),
        ("none", ""),
        ("G clef=treble", "F^"),
        ("G treble-8", "F^"),
        ("D minor clef=bass middle=d stafflines=5", "B_"),
        ("none clef=perc", ""),
        ("Bb bass", "B_ E_"),
    ],
)
def test_keys(text: str, signs: str) -> None:
    wanted = {word[0]: {"^": 1, "_": -1}[word[1]] for word in signs.split()}
    assert parse_key(text) == wanted


@pytest.mark.parametrize("text", ["H", "D Majestic?", "G#", "Dx", "C moll"])
def test_invalid_keys(text: str) -> None:
    if text == "D Majestic?":  # three letters determine the mode
        assert parse_key("D Majestic") == parse_key("D")
        return
    with pytest.raises(ValueError, match="not a |no key signature"):
        parse_key(text)


def test_metres_units_and_tempos() -> None:
    assert parse_metre("6/8") == (Fraction(3, 4), True)
    assert parse_metre("3/4") == (Fraction(3, 4), False)
    assert parse_metre("C|") == (Fraction(1), False)
    assert parse_metre("(2+2+3)/8") == (Fraction(7, 8), False)
    assert parse_metre("none") == (None, False)
    assert parse_unit("1/16") == Fraction(1, 16)
    assert parse_unit("1") == 1
    assert parse_tempo("1/4=120", Fraction(1, 8)) == 30
    assert parse_tempo('"Fast" 3/8=100', Fraction(1, 8)) == Fraction(300, 8)
    assert parse_tempo("200", Fraction(1, 8)) == parse_tempo("C=200", Fraction(1, 8)) == 25
    assert parse_tempo("1/4 3/8 1/4 3/8=40", Fraction(1, 8)) == 50
    assert parse_tempo("C3=40", Fraction(1, 8)) == 15
    assert parse_tempo('"Slowly"', Fraction(1, 8)) is None
    for read in (parse_metre, parse_unit, lambda text: parse_tempo(text, Fraction(1, 8))):
        with pytest.raises(ValueError, match="not a |no key signature"):
            read("x")
        with pytest.raises(ValueError, match="not a |no key signature"):
            read("4/0")


def test_lengths() -> None:
    assert lengths("CC2C/C/2C3/2C//C3/C4") == [1, 2, 0.5, 0.5, 1.5, 0.25, 1.5, 4]
    assert lengths("[CE]2 [C2E2] [C3/2E]2 z2 x") == [2, 2, 3, 2, 1]
    assert lengths("Z2|C", metre="3/4") == [6, 6, 1]


def test_broken_rhythm() -> None:
    assert lengths("A>B A<B A>>B A2> B2") == [
        *(Fraction(3, 2), Fraction(1, 2), Fraction(1, 2), Fraction(3, 2)),
        *(Fraction(7, 4), Fraction(1, 4), 3, 1),
    ]


def test_tuplets() -> None:
    third = Fraction(2, 3)
    assert lengths("(3ABc d") == [third, third, third, 1]
    assert lengths("(2AB (4ABcd", metre="6/8") == [1.5, 1.5, 0.75, 0.75, 0.75, 0.75]
    assert lengths("(5ABcde", metre="9/8")[0] == Fraction(3, 5)
    assert lengths("(5ABcde", metre="5/4")[0] == Fraction(2, 5)
    assert lengths("(3:2:2 A2B d") == [2 * third, third, 1]
    assert lengths("(3::4ABcd e") == [third] * 4 + [1]
    assert lengths("(1:2A B") == [2, 1]
    assert lengths("(10:8ABcdefgabc' d") == [Fraction(4, 5)] * 10 + [1]
    assert lengths("(12:8:2AB d") == [third, third, 1]


def test_silent_symbols_are_ignored() -> None:
    music = '"Am"{ga}~A !trill!B (cd) | % a comment\nw: words to it\n.e u f y2 g`a\\\n|!'
    assert lengths(music) == [1] * 8


def test_fields_within_a_tune() -> None:
    tune = read_tune(make("C8|[K:D][M:3/4]F6|\nL:1/4\nM:2/4\nK:C\nF2|"))
    assert not tune.problems
    assert [(bar.notes[0].pitches, bar.length) for bar in tune.bars] == [
        ((60,), 1),
        ((66,), Fraction(3, 4)),
        ((65,), Fraction(1, 2)),
    ]


def test_full_bars() -> None:
    assert not problems("C|CDEF GABc|c8|c4 c3:|!\n|:G|c8|1 c7:|2 c8||C2|C8|]")


@pytest.mark.parametrize(
    ("music", "wanted"),
    [
        ("C8|C7|C8|", "line 6, tune 1 'Test': bar 2 has 7/8 of 1"),
        ("C9|C8|", "line 6, tune 1 'Test': bar 1 has 9/8 of 1"),
        ("C8|\nC8|C10:|", "line 7, tune 1 'Test': bar 3 has 5/4 of 1"),
        ("C8|C8k|", "line 6, tune 1 'Test': 'k' is not ABC"),
        ("C8|&C8|", "line 6, tune 1 'Test': '&': no notes in this bar before it"),
        ("C8(&C8&)|", "'(&': an overlay of several bars is not supported"),
        ("(10CDEFGABcde|", "'(10': a tuplet of 10 must say its time, as in (10:8"),
        ("(0CDEFGABcde|", "'(0': numbers of a tuplet must be 1 to 999"),
        ("C8|[U:A=!trill!]C8|", "U: not a symbol of H to W, h to w or ~: 'A=!trill!'"),
        ("C8|\n+:more", "line 7, tune 1 'Test': +: continues no field"),
        ("Q:1/4=" + "9" * 5000 + "\nC8|", "Q: not a tempo: '1/4=9999"),
        ("C8|Qw!|C8|", "line 6, tune 1 'Test': 'Qw' is not ABC"),
        ("C8|C8|2 C8|", "line 6, tune 1 'Test': ending 2 without a repeat sign before it"),
        ("(3CD|C8|", "line 6, tune 1 'Test': a tuplet or a '>' crosses the bar line"),
        ("C0|C8|", "line 6, tune 1 'Test': 'C0': not a length of a note"),
        ("z8|", "line 1, tune 1 'Test': has no notes"),
        ("C''''''''|", "outside the range of MIDI"),
        ("K:H\nC8|", "line 6, tune 1 'Test': K: not a key: 'H'"),
        ("Z9999|", "line 6, tune 1 'Test': 'Z9999': a rest of more than 100 bars"),
        (
            "Z99|" * 9 + "\n" + "Z99|" * 10,
            "line 7, tune 1 'Test': 'Z99': the tune would last longer",
        ),
        (
            "|:" + "Z99|" * 10 + "C8:|",
            "line 1, tune 1 'Test': with its repeats the tune would have",
        ),
        (
            "L:1/256\n" + "|:C|1-999 C:|" * 6,
            "line 1, tune 1 'Test': with its repeats the tune would",
        ),
        (
            "Q:1/4=3\nC8|",
            "line 6, tune 1 'Test': Q: not a tempo: '1/4=3': must be 4 to 4000 crotch",
        ),
        ("Q:1/4=4001\nC8|", "line 6, tune 1 'Test': Q: not a tempo: '1/4=4001': must be 4 to 4000"),
        ("[V:1]C8|[V:2]C8|C7|C8|", "line 6, tune 1 'Test': voice '2': bar 2 has 7/8 of 1"),
        ("[V:]C8|", "line 6, tune 1 'Test': V: has no name"),
    ],
)
def test_problems(music: str, wanted: str) -> None:
    found = problems(music)
    assert any(wanted in line for line in found), found


def test_an_unclosed_chord_is_parsed_in_linear_time() -> None:
    """With backtracking each note would double the time, and 40 notes would never finish."""
    for notes in ("A2" * 40, "A/" * 40, "A2/3" * 40):
        assert any("is not ABC" in line for line in problems(f"[{notes}"))


def test_headers() -> None:
    lines = lambda text: [str(problem) for problem in read_tune(text).problems]
    assert lines("X:1\nT:A\nK:C\nC8|C9|C7|\n") == []  # without M: the metre is free
    assert lines("X:1\nM:4/4\nK:C\nC8|\n") == ["line 1, tune 1: has no T: (title)"]
    assert "line 1, tune ?: has no X: (number) and T: (title)" in lines("M:4/4\nK:C\nC8|\n")
    assert lines("X:1\nT:A\nM:4/4\nC8|\n") == ["line 4, tune 1 'A': music before K: ('C8|')"]
    found = lines(f"X:1\r{'K:C' * 400}")
    assert "has no T: (title)" in found[-1] and all(len(line) < 200 for line in found)
    assert "line 1, tune a: X: not a number: 'a'" in lines("X:a\nT:A\nM:4/4\nK:C\nC8|\n")


def test_a_file_of_tunes() -> None:
    text = f"words\n{make('C8|')}\n{make('C7|C8|C7|C8|')}"
    assert [line for line, _ in cut_tunes(text)] == [2, 9]
    first, second = read_tunes(text)
    assert first.is_full
    assert first.parses and second.parses
    assert [problem.line for problem in second.problems] == [14]
    assert not second.is_full


def test_the_body_of_a_tune_is_its_notes() -> None:
    one = "X:1\nT:A\nK:C\nCD EF|!\nG % x\n"
    assert body_of(one) == "CDEF|G" == body_of("X:2\nT:B\nK:C\n\nC DEF|\nG\n")


@given(st.text("X:TKMLC1\n|:[]()23/<>^_=,'abAB{}!\"-zZ \u00e9%\\", max_size=60))
def test_arbitrary_text_does_not_crash_the_reader(text: str) -> None:
    for tune in read_tunes(f"X:1\n{text}"):
        assert tune.parses == all(problem.kind == "bar" for problem in tune.problems)
