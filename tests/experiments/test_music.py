"""Use and misuse of `launch.py music`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.experiments.conftest import FrontDoor

TUNE = "X:{}\nT:A\nM:4/4\nL:1/8\nK:C\n{}\n\n"


def test_a_file_of_tunes_is_checked_and_played(door: FrontDoor, tmp_path: Path) -> None:
    file, output = tmp_path / "a.abc", tmp_path / "heard"
    file.write_text(TUNE.format(1, "C8|C7|C8|") + TUNE.format(2, "k") + TUNE.format(3, "|:C8:|"))
    values = door("music", f"--input={file}", f"--output={output}", "--json").json
    assert (values["num_tunes"], values["parsed"], values["full"]) == (3, 2 / 3, 1 / 3)
    assert values["wrong"][0] == "line 6, tune 1 'A': bar 2 has 7/8 of 1"
    assert [row["wav"] for row in values["rendered"]] == ["001.wav", "003.wav"]
    assert values["rendered"][1]["seconds"] == 4.0
    assert json.loads((output / "music.json").read_text()) == values
    file.write_text(file.read_text() + 2 * TUNE.format(4, "C8|D8 !fine!|E8 !D.C.!|]"))
    answer = door("music", f"--input={file}", f"--output={output}", "--render=0")
    assert answer.status == 0
    assert "a.abc: 5 tunes; 80% parse, 60% also with full bars" in answer.err
    line = "D.C. is not played; 2 tunes have it, the first: line 27, tune 4 'A'"
    assert answer.err.count("D.C.") == 1 and line in answer.err


def test_mistakes(door: FrontDoor, tmp_path: Path, trained: Path) -> None:
    assert "--input=FILE or --workdir=DIR: give exactly one of the two" in door("music").line
    assert "--output=DIR is required with --input" in door("music", "--input=a.abc").line
    (tmp_path / "a.abc").write_bytes(b"X:1\n\xe9")
    words = [f"--input={tmp_path / 'a.abc'}", f"--output={tmp_path / 'out'}"]
    assert "not UTF-8: byte 0xe9 at offset 4" in door("music", *words).line
    assert not (tmp_path / "out").exists()
    (tmp_path / "001.abc").write_text(TUNE.format(2, "C8|") + TUNE.format(1, "D8|"))
    before = (tmp_path / "001.abc").read_bytes()
    words = [f"--input={tmp_path / '001.abc'}", f"--output={tmp_path / 'x' / '..'}"]
    assert "001.abc would be overwritten; name another" in door("music", *words).line
    assert (tmp_path / "001.abc").read_bytes() == before
    assert "text_file has no tunes in ABC" in door("music", f"--workdir={trained}").line
