"""Files that commands write: whole, and by several processes at once."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from experiments.compile_cache import trim
from experiments.generate import write_samples
from seqmodels.files import claim_number, replacing
from seqmodels.runs.workdir import write_json


def test_commands_at_once_take_different_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: claim_number(tmp_path, "7", (".txt", ".json")), range(99)))
    assert {p.name for p in paths} == {f"7-{n}.txt" for n in range(1, 100)}


def test_a_number_is_taken_while_either_file_is_left(tmp_path: Path) -> None:
    first = write_samples(tmp_path, {"step": 7}, {"texts": ["kept"]})
    first.unlink()
    assert write_samples(tmp_path, {"step": 7}, {"texts": ["new"]}).name == "7-2.txt"
    assert json.loads(first.with_suffix(".json").read_text())["texts"] == ["kept"]


def test_two_processes_that_write_one_file_leave_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    with replacing(path) as ours:
        ours.write_text("half of o")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with replacing(path) as theirs:
                theirs.write_text("theirs")
        assert path.read_text() == "theirs"
        ours.write_text("ours")
    assert path.read_text() == "ours"
    with pytest.raises(TypeError):
        write_json(path, {"half": 1, "not JSON": object()})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "ours"


def test_the_programs_used_longest_ago_are_removed(tmp_path: Path) -> None:
    for age, name in enumerate(("new-cache", "read-cache", "old-cache", "older-cache")):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    os.utime(tmp_path / "older-cache", (2000, 1))  # read a moment ago
    (tmp_path / "other").write_bytes(b"x" * 1000)
    trim(tmp_path, 250)
    assert {p.name for p in tmp_path.iterdir()} == {"new-cache", "older-cache", "other"}
    trim(tmp_path / "missing", 250)
