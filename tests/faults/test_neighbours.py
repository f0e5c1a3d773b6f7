"""Several processes that use the same work directory or the same cache."""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path

import pytest

from seqmodels.runs.inspect import describe
from seqmodels.runs.run import load_run
from tests.faults.figures import record
from tests.faults.test_damage import call
from tests.faults.watching import Watched, complaint, prepare_command, start
from tests.training.runs import Setting, assert_same_run, wait_for_step

# Loading a step that is being deleted leaves coroutines, which warn when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
OFTEN = ("--config.training.checkpoint_every=6", "--config.training.keep_checkpoints=1")


def test_a_second_trainer_is_refused_and_a_dead_one_holds_no_lock(
    setting: Setting, undisturbed: Path, tmp_path: Path
) -> None:
    workdir = tmp_path / "run"
    first = start(setting.command(workdir), tmp_path, slow="steps=0.1")
    first.wait_for("steps")
    for _ in range(2):
        (tmp_path / "second").mkdir(exist_ok=True)
        status, errors = start(setting.command(workdir), tmp_path / "second").end()
        assert status == 2, errors
        told = f"train: --workdir={workdir}: another process is training there"
        assert complaint(errors) == told
    wait_for_step(first.process, workdir, 12)
    first.process.kill()
    first.end()
    setting.finish(workdir)  # resumes at once, without help
    assert_same_run(undisturbed, workdir)


def test_a_run_is_read_while_it_trains(
    setting: Setting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workdir = tmp_path / "run"
    watched = start(setting.command(workdir, *OFTEN), tmp_path, slow="steps=0.02,saving=0.001")
    watched.wait_for("saving", 3)
    reads, steps = 0, set()
    while watched.process.poll() is None:
        steps.add(load_run(workdir, "latest").step)
        steps.add(load_run(workdir, "best").step)
        assert describe(workdir)["checkpoints"]
        reads += 3
        if reads == 6:
            for words in (["evaluate", "--step=latest"], ["generate", "--max_tokens=4"]):
                status, told = call(capsys, *words, f"--workdir={workdir}")
                assert status == 0, told
    status, errors = watched.end()
    assert status == 0, errors
    assert len(steps) > 3, steps
    gc.collect()
    record("reads", {"reads": reads, "steps": len(steps)})


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "tokens").iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("killed", [False, True], ids=["two", "three, one of them killed"])
def test_simultaneous_preparations_make_one_entry(
    setting: Setting, undisturbed: Path, tmp_path: Path, killed: bool
) -> None:
    cache = tmp_path / "cache"
    command = [*prepare_command(setting), f"--config.data.cache_dir={cache}"]
    processes: list[Watched] = []
    for number in range(3 if killed else 2):
        (tmp_path / str(number)).mkdir()
        processes.append(start(command, tmp_path / str(number), slow="preparation=0.1"))
        if number == 0:
            processes[0].wait_for("preparation")
    if killed:
        time.sleep(0.3)
        processes[0].process.kill()
        assert processes[0].phase() == "preparation"
        processes.pop(0).end()
    for watched in processes:
        status, errors = watched.end()
        assert status == 0, errors
    (name,) = entries(cache)
    meta = json.loads((cache / "tokens" / name / "entry.json").read_text())["meta"]
    assert meta["fingerprint"] == json.loads((undisturbed / "data.json").read_text())["fingerprint"]
    wrote = [watched.told()["entered"].get("preparation", 0) for watched in processes]
    assert sum(wrote) == 1, "the others must wait for it and use it"
