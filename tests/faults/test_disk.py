"""A disk that fills up: one line, nothing lost, and the same command resumes once it has room."""

from __future__ import annotations

import json
from pathlib import Path

from seqmodels.runs.rows import read_rows
from tests.faults.figures import record
from tests.faults.places import small_disk
from tests.faults.test_signals import sealed
from tests.faults.watching import complaint, prepare_command, start
from tests.training.runs import Setting, assert_same_run, last_arrays, rows_without_clock

FULL = "No space left on device"
SIZES = (24, 100, 180, 240)  # kilobytes, for a run whose checkpoints take about 110 each
ROOM = 4000
RARELY = ("--config.training.checkpoint_every=240", "--config.training.evaluate_every=240")


def test_full_while_saving_keeps_the_last_checkpoint(
    setting: Setting, undisturbed: Path, tmp_path: Path
) -> None:
    figures = []
    with small_disk(tmp_path / "disk", SIZES[0]) as disk:
        workdir, seen = disk.path / "run", disk.seen / "run"
        for size in SIZES:
            disk.resize(size)
            before = sealed(seen)
            process = start(setting.command(workdir), tmp_path, prefix=disk.prefix)
            status, errors = process.end()
            told, after = complaint(errors), sealed(seen)
            assert status == 1, errors
            assert FULL in told and str(workdir) in told, told
            assert len(errors.splitlines()) < 60, errors
            assert before[-1:] <= after[-1:], told
            assert not after or f"resumes from step {after[-1]}, which is kept" in told
            figures.append([size, told.replace(str(workdir), "DIR").removeprefix("train: ")])
        assert after, "nothing was ever saved"
        disk.resize(ROOM)
        status, errors = start(setting.command(workdir), tmp_path, prefix=disk.prefix).end()
        assert status == 0, errors
        assert f"resumed from step {after[-1]}" in errors
        assert_same_run(undisturbed, seen)
    record("disk", {"runs": figures})


def test_full_while_rows_are_written(setting: Setting, undisturbed: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 20) as disk:
        workdir, seen = disk.path / "run", disk.seen / "run"
        command = setting.command(workdir, *RARELY)
        status, errors = start(command, tmp_path, prefix=disk.prefix).end()
        assert status == 1, errors
        assert complaint(errors).startswith(f"train: {workdir}/metrics.jsonl cannot be written: ")
        assert FULL in errors
        rows = read_rows(seen / "metrics.jsonl")
        assert 0 < rows[-1]["step"] < 240, "the disk should fill up in the middle of the run"
        disk.resize(ROOM)
        status, errors = start(command, tmp_path, prefix=disk.prefix).end()
        assert status == 0, errors
        left, right = last_arrays(undisturbed), last_arrays(seen)
        assert all(left[name].tobytes() == right[name].tobytes() for name in left)
        rows = rows_without_clock(seen)
        kept = [row for row in rows_without_clock(undisturbed) if row in rows]
        assert json.dumps(kept) == json.dumps(rows)
        assert len(rows) == 41


def test_full_while_the_cache_is_written(
    setting: Setting, undisturbed: Path, tmp_path: Path
) -> None:
    fingerprint = json.loads((undisturbed / "data.json").read_text())["fingerprint"]
    with small_disk(tmp_path / "disk", 4) as disk:
        command = [*prepare_command(setting), f"--config.data.cache_dir={disk.path}", "--json"]
        for size in (4, 16, 28):
            disk.resize(size)
            status, errors = start(command, tmp_path, prefix=disk.prefix).end()
            assert (status, complaint(errors)) == (
                2,
                f"prepare: the cache directory {disk.path} is full; name another by "
                "data.cache_dir or by $SEQMODELS_CACHE_DIR",
            )
        disk.resize(ROOM)
        assert start(command, tmp_path, prefix=disk.prefix).end()[0] == 0
        (entry,) = disk.seen.glob("tokens/*/entry.json")
        assert json.loads(entry.read_text())["meta"]["fingerprint"] == fingerprint
        assert not list(disk.seen.glob("tokens/*.partial"))
