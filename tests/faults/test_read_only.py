"""Directories that cannot be written: one line, and nothing half written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.places import read_only, small_disk, without_rights
from tests.faults.test_nan import digests
from tests.faults.test_signals import sealed
from tests.faults.watching import complaint, prepare_command, start
from tests.training.runs import Setting, assert_same_run

DENIED = "Permission denied"


@pytest.fixture
def prefix() -> tuple[str, ...]:
    return without_rights()


@pytest.mark.parametrize("new", [True, False], ids=["a new one", "an empty one"])
def test_a_work_directory_that_cannot_be_created_or_written(
    setting: Setting, undisturbed: Path, tmp_path: Path, prefix: tuple[str, ...], new: bool
) -> None:
    parent = tmp_path / "parent"
    parent.mkdir()
    workdir = parent / "run" if new else parent
    with read_only(parent):
        status, errors = start(setting.command(workdir), tmp_path, prefix=prefix).end()
        assert status == 2, errors
        assert complaint(errors) == f"train: --workdir={workdir}: cannot be written: {DENIED}"
        assert not list(parent.iterdir())


def test_a_run_that_cannot_be_written_is_read_and_not_resumed(
    setting: Setting, undisturbed: Path, tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    before = digests(workdir)
    with read_only(workdir):
        status, errors = start(setting.command(workdir), tmp_path, prefix=prefix).end()
        assert (status, complaint(errors)) == (
            2,
            f"train: --workdir={workdir}: cannot be written: {DENIED}",
        )
        inspect = [*setting.command(workdir)[:2], "inspect", f"--workdir={workdir}"]
        status, errors = start(inspect, tmp_path, prefix=prefix).end()
        assert status == 0 and "saved up to step 240 of 240" in errors
        evaluate = [*inspect[:2], "evaluate", f"--workdir={workdir}"]
        status, errors = start(evaluate, tmp_path, prefix=prefix).end()
        # The results are printed first.
        assert status == 2 and "validation, step 240" in errors
        assert complaint(errors).endswith(f"validation-240.json: cannot be written: {DENIED}")
    assert digests(workdir) == before


def test_checkpoints_that_cannot_be_written_stop_the_run_at_its_first_save(
    setting: Setting, undisturbed: Path, tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    workdir = tmp_path / "run"
    first = start(setting.command(workdir), tmp_path, slow="steps=0.02")
    first.wait_for("saving", 2)
    first.process.kill()
    first.end()
    last = sealed(workdir)[-1]
    with read_only(workdir / "checkpoints"):
        status, errors = start(setting.command(workdir), tmp_path, prefix=prefix).end()
        assert status == 1, errors
        told = complaint(errors)
        assert f"{workdir}/checkpoints: {DENIED}; the same command resumes from step" in told
        assert sealed(workdir)[-1] == last
    setting.finish(workdir)
    assert_same_run(undisturbed, workdir)


def test_a_cache_that_cannot_be_written_is_named_and_its_entries_are_used(
    setting: Setting, undisturbed: Path, tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    command = [*prepare_command(setting), f"--config.data.cache_dir={cache}"]
    with read_only(cache):
        status, errors = start(command, tmp_path, prefix=prefix).end()
        assert (status, complaint(errors)) == (
            2,
            f"prepare: the cache directory {cache} cannot be written ({DENIED}); name another by "
            "data.cache_dir or by $SEQMODELS_CACHE_DIR",
        )
        assert not list(cache.iterdir())
    assert start(command, tmp_path).end()[0] == 0
    with read_only(cache):
        assert start(command, tmp_path, prefix=prefix).end()[0] == 0


def test_a_read_only_disk(setting: Setting, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100) as disk:
        disk.make_read_only()
        command = setting.command(disk.path / "run")
        status, errors = start(command, tmp_path, prefix=disk.prefix).end()
        assert status == 2, errors
        told = f"train: --workdir={disk.path}/run: cannot be written: Read-only file system"
        assert complaint(errors) == told
        assert not list(disk.seen.iterdir())
