"""`launch.py verify` and `bisect`: each kind of damage is found and named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import bisect_
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.paths import flat, replaced
from seqmodels.runs.provenance import ORIGIN, differing_origin, library_versions, note_origin
from seqmodels.runs.workdir import write_json
from seqmodels.training.replay import Replay, Window, choose_windows, differing_tensors
from tests.experiments.conftest import FrontDoor, Small

TABLE = "embedding/table"


def flip_bit(x: np.ndarray, bit: int = 0) -> np.ndarray:
    """The same numbers, except for one bit, 0 being the lowest, of the first that is not 0."""
    bits = x.copy().view(np.uint32)
    bits.flat[np.flatnonzero(x)[0]] ^= 1 << bit
    return bits.view(np.float32)


def damage(workdir: Path, step: int, change: Callable[[np.ndarray], np.ndarray] = flip_bit) -> None:
    """Saves a checkpoint again, sealed, with another embedding."""
    replay = Replay(workdir)
    state = replay.state(step)
    replay.close()
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        metrics = checkpoints.metrics()[step]
    table = flat(state.params)[TABLE]
    new = jnp.asarray(change(np.asarray(table)))
    state = dataclasses.replace(state, params=replaced(state.params, {TABLE: new}))
    with Checkpoints(workdir / "changed", writable=True) as checkpoints:
        checkpoints.save(step, state, metrics)
    shutil.rmtree(workdir / "checkpoints" / str(step))
    (workdir / "changed" / str(step)).rename(workdir / "checkpoints" / str(step))


@pytest.fixture
def verify(door: FrontDoor) -> Callable[..., tuple[int, dict[tuple[int, int], dict]]]:
    """Runs the command: its exit status, and its windows by their steps."""

    def run(workdir: Path, *words: str) -> tuple[int, dict[tuple[int, int], dict]]:
        answer = door("verify", f"--workdir={workdir}", "--json", "--windows=9", *words)
        found = json.loads(answer.out)["windows"]
        return answer.status, {(w["first"], w["last"]): w for w in found}

    return run


def test_a_run_is_its_own_proof(verify: Callable, trained: Path, door: FrontDoor) -> None:
    answer = door("verify", f"--workdir={trained}", "--windows=1", "--seed=3")
    assert answer.status == 0 and "equal (rows and checkpoint, bit by bit)" in answer.err
    assert "1 of 1 windows are the run's (--seed=3)" in answer.err
    status, windows = verify(trained)
    assert status == 0 and list(windows) == [(0, 3), (3, 6)]
    assert all(w["saved"] and not w["problems"] and not w["foreign"] for w in windows.values())


def test_one_flipped_bit_of_a_weight_is_found(
    verify: Callable, copy_of_trained: Path, door: FrontDoor
) -> None:
    damage(copy_of_trained, 3)
    status, windows = verify(copy_of_trained)
    assert status == 1
    assert windows[0, 3]["problems"] == [
        f"step 3: params/{TABLE}: 1 of 96 numbers, by {windows[0, 3]['problems'][0].split()[-3]} "
        "at most"
    ]
    # Three steps later rounding may hide the lowest bit, but not one of the middle.
    damage(copy_of_trained, 3, lambda x: flip_bit(x, 12))
    _, windows = verify(copy_of_trained)
    assert any(line.startswith("step 6: params/") for line in windows[3, 6]["problems"])


@pytest.mark.grid
def test_a_row_of_metrics_that_is_not_the_runs_is_found(
    verify: Callable, copy_of_trained: Path
) -> None:
    path = copy_of_trained / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    (row,) = (r for r in rows if r["step"] == 4)
    row["loss"] = float(np.nextafter(row["loss"], 9))
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    status, windows = verify(copy_of_trained)
    assert status == 1 and not windows[0, 3]["problems"]
    (line,) = windows[3, 6]["problems"]
    assert line.startswith(f"step 4: loss was {row['loss']!r}, is ")


@pytest.mark.grid
def test_other_data_are_named(
    door: FrontDoor, verify: Callable, small: Small, copy_of_trained: Path, tmp_path: Path
) -> None:
    config = json.loads((copy_of_trained / "config.json").read_text())
    text = (small.folder / "text.txt").read_text()
    (tmp_path / "text.txt").write_text(text[::-1])
    config["data"]["path"] = str(tmp_path / "text.txt")
    write_json(copy_of_trained / "config.json", config)
    line = door("verify", f"--workdir={copy_of_trained}").line
    assert "was trained on other data: fingerprint" in line
    # The same where the record agrees, as if the data had been changed below it.
    data = json.loads((copy_of_trained / "data.json").read_text())
    full = _fingerprint(copy_of_trained)
    assert f"-> {full[:12]}" in line
    write_json(copy_of_trained / "data.json", {**data, "fingerprint": full})
    status, windows = verify(copy_of_trained)
    assert status == 1
    assert any(line.startswith("step 2: loss was ") for line in windows[0, 3]["problems"])


def _fingerprint(workdir: Path) -> str:
    from seqmodels.data.pipeline import read_features
    from seqmodels.runs.opening import read_config
    from tests.opening import load

    config = read_config(workdir)
    return load(config, read_features(config, workdir)).description()["fingerprint"]


@pytest.mark.grid
def test_other_libraries_are_named_and_compared_up_to_rounding(
    verify: Callable, copy_of_trained: Path
) -> None:
    path = copy_of_trained / ORIGIN
    origins = json.loads(path.read_text())
    origins["origins"][0]["versions"]["jax"] = "0.1.0"
    write_json(path, origins)
    damage(copy_of_trained, 3)
    status, windows = verify(copy_of_trained)
    assert status == 0
    assert windows[0, 3]["foreign"] == [f"jax 0.1.0 -> {jax.__version__}"]
    damage(copy_of_trained, 3, lambda x: x * 1.5)
    status, windows = verify(copy_of_trained)
    assert status == 1 and windows[0, 3]["problems"][0].startswith(f"step 3: params/{TABLE}")


@pytest.mark.grid
def test_bisect_finds_no_difference(door: FrontDoor, trained: Path, copy_of_trained: Path) -> None:
    found = door("bisect", trained, copy_of_trained, "--json").json
    assert (found["step"], found["after"], found["config"]) == (None, 6, [])


@pytest.mark.grid
def test_bisect_blames_the_run_that_has_a_flipped_bit(
    door: FrontDoor, trained: Path, copy_of_trained: Path
) -> None:
    damage(copy_of_trained, 6)
    answer = door("bisect", trained, copy_of_trained, "--json")
    found = json.loads(answer.out)
    assert answer.status == 1
    assert (found["step"], found["after"], found["cause"]) == (6, 3, "recorded")
    assert found["by"] == [str(copy_of_trained)]
    assert found["what"].startswith(f"params/{TABLE}: 1 of 96 numbers")
    lines = bisect_.describe(trained, copy_of_trained, found)
    assert lines[0].startswith("they part after step 3, at step 6 at the latest: params/")
    assert lines[1].endswith(f"not as it was left: {copy_of_trained}")


@pytest.mark.grid
def test_bisect_names_the_step_and_the_tensor_of_other_configs_and_the_batch_of_other_data(
    door: FrontDoor, small: Small, trained: Path, tmp_path: Path
) -> None:
    other, data = tmp_path / "other", tmp_path / "data"
    # The first steps warm up: a schedule parts only where it differs.
    words = ("--config.optimizer.schedule=linear", "--config.optimizer.final_lr=0.001")
    door("train", *small.words(*words), f"--workdir={other}")
    answer = door("bisect", trained, other, "--json")
    found = json.loads(answer.out)
    assert (found["cause"], found["after"]) == ("replayed", found["step"] - 1)
    assert found["what"].startswith("params/") and len(found["config"]) == 2
    a, b = Replay(trained), Replay(other)
    states = [a.state(0), b.state(0)]
    for step in range(found["step"]):
        assert not differing_tensors(*states)
        states = [run.advance(state, step)[0] for run, state in zip((a, b), states, strict=True)]
    assert differing_tensors(*states)
    (tmp_path / "text.txt").write_text((small.folder / "text.txt").read_text()[::-1])
    door("train", *small.words(f"--config.data.path={tmp_path}/text.txt"), f"--workdir={data}")
    found = json.loads(door("bisect", trained, data, "--json").out)
    assert (found["step"], found["what"]) == (1, "the batch")
    door("train", *small.words("--config.training.seed=1"), f"--workdir={tmp_path / 'seed'}")
    found = json.loads(door("bisect", trained, tmp_path / "seed", "--json").out)
    assert found["cause"] == "start" and found["after"] is None


def test_mistakes_are_one_line(door: FrontDoor, trained: Path, tmp_path: Path) -> None:
    assert "two work directories are required" in door("bisect", "runs/a").line
    assert "'c' is not a flag" in door("bisect", "a", "b", "c").line
    assert "no such directory" in door("bisect", tmp_path / "a", tmp_path / "b").line
    assert "--workdir=DIR is required" in door("verify").line
    workdir = tmp_path / "run"
    workdir.mkdir()
    shutil.copy(trained / "config.json", workdir)
    assert "no checkpoint to start from" in door("verify", f"--workdir={workdir}").line


def test_windows_are_chosen_at_random_and_the_same_by_seed() -> None:
    windows = [Window(first, first + 5, True) for first in range(0, 100, 5)]
    chosen = choose_windows(windows, 3, 7)
    assert chosen == choose_windows(windows, 3, 7) == sorted(chosen, key=lambda w: w.first)
    assert len({tuple(choose_windows(windows, 3, seed)) for seed in range(20)}) > 10
    assert choose_windows(windows[:2], 3, 0) == windows[:2]


def test_origins_of_a_run_that_moves(tmp_path: Path) -> None:
    note_origin(tmp_path, 0, "cpu x 1")
    note_origin(tmp_path, 4, "cpu x 1")
    note_origin(tmp_path, 6, "cpu x 2")
    note_origin(tmp_path, 9, "cpu x 1")
    entries = json.loads((tmp_path / ORIGIN).read_text())["origins"]
    assert [entry["after_step"] for entry in entries] == [0, 6, 9]
    assert entries[0]["versions"].items() >= library_versions().items()
    assert differing_origin(tmp_path, 0, 6, "cpu x 1") == []
    assert differing_origin(tmp_path, 5, 8, "cpu x 1") == ["devices cpu x 2 -> cpu x 1"]
    assert differing_origin(tmp_path, 9, 12, "cpu x 1") == []
    note_origin(tmp_path, 0, "cpu x 1")  # started over
    assert len(json.loads((tmp_path / ORIGIN).read_text())["origins"]) == 1
