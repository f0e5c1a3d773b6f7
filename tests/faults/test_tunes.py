"""Damaged tunes: the reader reports them in one line each, and raises nothing."""

from __future__ import annotations

import random

import pytest

from seqmodels.config.errors import UserError
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of
from seqmodels.music.abc_reader import read_tunes
from seqmodels.music.judge import judge, list_unplayed
from seqmodels.music.performance import perform
from tests.data.helpers import data_root
from tests.music.test_standard import FILE, MARKS

SIGNS = [
    *MARKS,
    *("X:", "K:", "M:", "L:", "Q:", "P:", "V:", "U:", "I:", "T:", "+:", "w:", "c:|", "%%begintext"),
    *("[K:", "[V:2]", "[P:B]", "[M:", "[Q:1/4=", "[U:", "[I:propagate-accidentals ", "[r:"),
    *("(3", "(10", "(999:1:999", "(&", "&)", "&", ">", "<" * 9, "-", "[", "]", "[1", "|1-999", "{"),
    *(
        "^",
        "^^",
        "=",
        "__",
        ",",
        "'" * 12,
        "/" * 12,
        "9" * 9,
        "Z99",
        "z",
        "x",
        "y",
        "\n",
        "\n\n",
        " ",
    ),
    *("\r", "\t", "\\", "%", '"', "!", "+", "$", "*", "\u2028", "\u00e9", "\U0001d11e", "\u0664"),
]


def damaged(text: str, draw: random.Random) -> str:
    """A text with a few pieces taken out, doubled, exchanged, or replaced by signs of ABC."""
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = draw.randrange(len(text) + 1)
        end = min(len(text), at + draw.choice((0, 1, 1, 2, 5, 40)))
        piece, before, after = text[at:end], text[:at], text[end:]
        match draw.randrange(4):
            case 0:
                text = before + after
            case 1:
                text = before + piece * draw.choice((2, 3, 100)) + after
            case 2:
                text = before + after[:40] + piece + after[40:]
            case _:
                text = before + draw.choice(SIGNS) * draw.choice((1, 1, 1, 2, 30)) + after
    return text


def check(text: str) -> None:
    """Everything that reads tunes, on one text."""
    tunes = read_tunes(text)
    lines = [str(problem) for tune in tunes for problem in tune.problems]
    for line in [*lines, *list_unplayed(tunes)]:
        assert len(line.splitlines()) == 1 and len(line) < 400 and line.isprintable(), line
    assert all(1 <= p.line <= text.count("\n") + 1 for t in tunes for p in t.problems)
    for tune in tunes:
        if tune.parses:
            performance = perform(tune)
            assert all(0 <= s.onset < s.release for s in performance.sounds)
            assert max((s.end for s in performance.sounds), default=0) <= performance.length
    if tunes:
        judge(tunes)
    kept, refusal = [], ""
    try:
        kept = tunes_of(text, "a.abc")
        deal_tunes(kept, 0.1, 0.1)
    except UserError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1 and len(refusal) < 500
    # What is kept parses without the rest of its file.
    assert all(tune.parses for text in kept for tune in read_tunes(text))


@pytest.mark.parametrize("seed", range(2))
def test_damaged_tunes_are_reported_in_a_line_each(seed: int) -> None:
    source = (data_root() / "data" / "irish_abc" / "irish.abc").read_text().split("\n\nX:")
    draw = random.Random(seed)
    for _ in range(60):
        first = draw.randrange(len(source) - 3)
        text = "\n\nX:".join(source[first : first + draw.choice((1, 1, 3))])
        text = draw.choice((f"X:{text}\n", f"{FILE}\nX:{text}", FILE))
        check(damaged(text, draw))


@pytest.mark.parametrize("sign", SIGNS)
def test_a_long_run_of_a_sign_is_read_in_linear_time(sign: str) -> None:
    """With backtracking this would take hours."""
    for text in (sign * 1000, f"C{sign}" * 500, f"{sign} C|" * 500):
        check(f"X:1\nT:A\nM:4/4\nK:C\n{text}\n")
