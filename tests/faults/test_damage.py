"""Each file of a real run is damaged in turn: this is detected, reported, and it is never used."""

from __future__ import annotations

import collections
import gc
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

import launch
from seqmodels.config.errors import UserError
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.seals import SEAL
from seqmodels.types import TrainState
from tests.faults.figures import record
from tests.training.runs import NUM_STEPS, Setting, assert_same_run, make_abstract, raw

NEWEST, BEFORE = NUM_STEPS, NUM_STEPS - 20


COMMANDS = ("train", "evaluate")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """Calls `launch.py` in this process; returns its exit status and its lines on stderr."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    capsys.readouterr()
    try:
        status = launch.main(list(words))
    finally:
        root.handlers[:], root.level = before
    told = capsys.readouterr().err
    assert "Traceback" not in told, told
    return status, told.strip().splitlines()


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


# A failed load leaves coroutines, which warn when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut to half": truncate,
    "one bit flipped": flip,
    "removed": Path.unlink,
    "an unexpected file next to it": lambda path: path.with_name("strange").write_text("x"),
}


def files_of(step: Path) -> list[Path]:
    return sorted(path for path in step.rglob("*") if path.is_file())


def same(a: TrainState, b: TrainState) -> bool:
    left, right = jax.tree.leaves(a), jax.tree.leaves(b)
    return all(raw(x).tobytes() == raw(y).tobytes() for x, y in zip(left, right, strict=True))


class Whole:
    """The saved states of a run, and a copy of its checkpoints to damage."""

    def __init__(self, run: Path, folder: Path) -> None:
        self.abstract = make_abstract(run)
        self.original, self.copy = run / "checkpoints", folder / "checkpoints"
        shutil.copytree(self.original, self.copy)
        with Checkpoints(self.original) as checkpoints:
            self.states = {s: checkpoints.restore(self.abstract, s)[1] for s in (NEWEST, BEFORE)}

    def restore(self, which: str | int = "latest") -> int:
        """Restores a step, checks that its arrays are those that were saved, and returns it."""
        with Checkpoints(self.copy) as checkpoints:
            step, state = checkpoints.restore(self.abstract, which)
        assert same(state, self.states[step]), step
        return step

    def find(self) -> int:
        """The step that would be loaded."""
        with Checkpoints(self.copy) as checkpoints:
            return checkpoints.find("latest", "params")[0]


@pytest.fixture
def whole(undisturbed: Path, tmp_path: Path) -> Whole:
    return Whole(undisturbed, tmp_path)


def test_every_damaged_file_is_detected_and_the_previous_checkpoint_used(
    whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    files = files_of(whole.copy / str(NEWEST))
    assert len(files) > 20
    counts: dict[str, collections.Counter[str]] = {}
    for name, damage in DAMAGES.items():
        counts[name] = collections.Counter()
        for path in files:
            if name == "removed" and path.name == SEAL:
                continue  # covered by the next test, as it is not sealed then
            before = path.read_bytes()
            if not before and name in ("cut to half", "one bit flipped"):
                continue  # nothing to damage
            damage(path)
            caplog.clear()
            use = whole.restore if damage is flip else whole.find  # `find` loads nothing
            assert use() == BEFORE, (name, path)
            (line,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
            assert f"step {NEWEST} is damaged (" in line and "trying the previous one" in line
            with pytest.raises(UserError, match=f"step {NEWEST} is damaged"):
                whole.restore(NEWEST)
            counts[name]["the previous checkpoint was used"] += 1
            path.write_bytes(before)
            path.with_name("strange").unlink(missing_ok=True)
        assert whole.restore() == NEWEST
    record("damage", {"files": len(files), "sealed": {n: dict(c) for n, c in counts.items()}})


def test_an_unsealed_checkpoint_is_used_if_complete_and_skipped_otherwise(
    whole: Whole,
) -> None:
    """A flipped bit is not covered: before the seal is written nothing can detect it."""
    (whole.copy / str(NEWEST) / SEAL).unlink()
    assert whole.restore() == NEWEST
    counts: dict[str, collections.Counter[str]] = {}
    for name in ("cut to half", "removed"):
        counts[name] = collections.Counter()
        for path in files_of(whole.copy / str(NEWEST)):
            before = path.read_bytes()
            DAMAGES[name](path)
            used = whole.restore()
            counts[name][
                "the previous checkpoint was used" if used == BEFORE else "not needed: same bits"
            ] += 1
            path.write_bytes(before)
        assert len(counts[name]) == 2
    gc.collect()
    record("damage_unsealed", {"unsealed": {n: dict(c) for n, c in counts.items()}})


def test_all_damaged_is_refused(whole: Whole) -> None:
    for step in (NEWEST, BEFORE):
        flip(max(files_of(whole.copy / str(step)), key=lambda path: path.stat().st_size))
    with pytest.raises(UserError, match="all are damaged") as error:
        whole.restore()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["emptied", "a file in its place"])
def test_an_almost_empty_step_is_skipped(whole: Whole, damage: str) -> None:
    step = whole.copy / str(NEWEST)
    shutil.rmtree(step)
    step.mkdir() if damage == "emptied" else step.write_text("")
    assert whole.restore() == BEFORE


def test_commands_skip_a_damaged_checkpoint(
    setting: Setting, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    newest = workdir / "checkpoints" / str(NEWEST)
    flip(max(files_of(newest), key=lambda path: path.stat().st_size))
    status, told = call(capsys, "evaluate", f"--step={NEWEST}", f"--workdir={workdir}")
    assert status == 2 and f"step {NEWEST} is damaged" in told[-1], told
    assert sum("damaged" in line for line in told) == 1, told
    status, told = call(capsys, "evaluate", "--step=latest", f"--workdir={workdir}")
    assert status == 0 and told[-1].endswith(f"validation-{BEFORE}.json"), told
    assert sum("trying the previous one" in line for line in told) == 1, told
    told = setting.finish(workdir).splitlines()
    assert sum(f"step {NEWEST} is damaged" in line for line in told) == 1, told
    assert f"resumed from step {BEFORE} of {NUM_STEPS}" in told
    assert_same_run(undisturbed, workdir)
    for path in (workdir / "checkpoints").glob(f"*/{SEAL}"):
        path.write_text("{")
    for command in ("train", "evaluate", "generate"):
        status, told = call(capsys, command, f"--workdir={workdir}")
        assert status == 2 and "all are damaged" in told[-1], told


# File, damage, message of `train` and of `evaluate`; None if they succeed.
LEFTOVERS = [
    ("metrics.jsonl", "garbage", "metrics.jsonl: line 1 is damaged (", None),
    ("metrics.jsonl", "middle", "metrics.jsonl: line 20 is damaged (", None),
    ("metrics.jsonl", "half", "metrics.jsonl is incomplete: no rows up to step 240", None),
    ("config.json", "garbage", *2 * ["config.json: cannot be read: "]),
    ("config.json", "half", *2 * ["config.json: cannot be read: "]),
    ("data.json", "garbage", *2 * ["data.json: cannot be read: "]),
    ("data.json", "half", *2 * ["data.json: cannot be read: "]),
    ("tokenizer.json", "garbage", None, "tokenizer.json"),
    ("tokenizer.json", "half", None, "tokenizer.json"),
]


@pytest.mark.parametrize(
    ("name", "damage", *COMMANDS), LEFTOVERS, ids=[" ".join(case[:2]) for case in LEFTOVERS]
)
def test_a_damaged_file_of_the_work_directory_is_reported_in_one_line(
    name: str,
    damage: str,
    train: str | None,
    evaluate: str | None,
    undisturbed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    path = workdir / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        {
            "garbage": b"\xff{]garbage\n",
            "half": path.read_bytes()[: path.stat().st_size // 2],
            "middle": b"".join([*lines[:19], b'{"step": 102, "sp\n', *lines[20:]]),
        }[damage]
    )
    for command, expected in (("evaluate", evaluate), ("train", train)):
        status, told = call(capsys, command, f"--workdir={workdir}")
        if expected is None:
            assert status == 0, told
            continue
        assert sum(expected in line for line in told) == 1, told
        resumes = "is incomplete" in expected
        assert status == (0 if resumes else 2), told
        assert resumes or expected in told[-1], told
