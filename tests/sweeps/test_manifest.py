"""The manifest: what may change between two commands, and what is refused by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.runs.opening import read_json
from seqmodels.sweeps.grid import plan
from seqmodels.sweeps.manifest import (
    Manifest,
    change_words,
    claim_runs,
    compare,
    make_manifest,
    need_manifest,
    only_sweep,
    read_manifest,
    refuse_other_data,
    take_over,
    write_manifest,
)
from tests.sweeps.fakes import SWEEPS, make_config, make_sweep, write_rows


def ask(sweeps: dict[str, str], **training: int) -> Manifest:
    """A manifest as another command would make it."""
    config = make_config()
    config.training = dataclasses.replace(config.training, **training)
    return make_manifest("demo_lstm", config, sweeps, None, plan(config, sweeps, None), "abc")


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    made, runs = make_sweep(tmp_path)
    write_manifest(tmp_path, made)
    assert read_manifest(tmp_path) == need_manifest(tmp_path) == made
    assert [run.name for run in made.planned(tmp_path)] == [run.name for run in runs]
    assert made.planned(tmp_path)[3].config.training.seed == 1


def test_a_changed_sweep_says_what_is_added_and_what_no_longer_belongs(tmp_path: Path) -> None:
    old, _ = make_sweep(tmp_path)
    write_rows(tmp_path / "peak_lr=0.001,seed=0", {10: 2.0})
    new = ask({"optimizer.peak_lr": "0.001,0.1", "training.seed": "0..1"})
    change = compare(tmp_path, old, new, other_code=False)
    assert change.added == ["peak_lr=0.1,seed=0", "peak_lr=0.1,seed=1"]
    assert change.gone == ["peak_lr=0.01,seed=0", "peak_lr=0.01,seed=1"]
    assert [line.partition(":")[0] for line in change.lines()] == [
        "added",
        "no longer part of the sweep",
    ]
    kept = take_over(old, new)
    assert list(kept.former) == change.gone
    # They are welcome back.
    again = take_over(kept, ask(SWEEPS))
    assert list(again.former) == change.added and list(again.runs) == list(old.runs)


def test_a_longer_sweep_is_continued_and_another_config_is_refused(tmp_path: Path) -> None:
    old, _ = make_sweep(tmp_path)
    first = tmp_path / "peak_lr=0.001,seed=0"
    write_rows(first, {10: 2.0})
    new = ask(SWEEPS, num_steps=40)
    assert compare(tmp_path, old, new, other_code=False).fields == ["training.num_steps: 20 -> 40"]
    longer = plan(new.base, SWEEPS, None)
    claim_runs(tmp_path, longer)
    # The run that has steps records the change itself, when it is resumed.
    assert change_words(first, longer[0].config) == ("--config.training.num_steps=40",)
    assert read_json(first / "config.json")["training"]["num_steps"] == 20
    other = tmp_path / "peak_lr=0.001,seed=1"
    assert read_json(other / "config.json")["training"]["num_steps"] == 40
    with pytest.raises(UserError, match=r"another config, .* training.accumulation_steps: 1 -> 2"):
        compare(tmp_path, old, ask(SWEEPS, accumulation_steps=2), other_code=False)


def test_other_code_and_other_libraries_are_refused_by_name(tmp_path: Path) -> None:
    old, _ = make_sweep(tmp_path)
    new = ask(SWEEPS)
    code = {**old.code, "seqmodels/training/step.py": "0"}
    changed = dataclasses.replace(old, code=code, versions={**old.versions, "jax": "0.1.0"})
    compare(tmp_path, changed, new, other_code=False)  # nothing has been trained with it
    write_rows(tmp_path / "peak_lr=0.001,seed=0", {10: 2.0})
    message = r"other code, differing in seqmodels/training/step.py, jax 0.1.0 -> .*--other_code"
    with pytest.raises(UserError, match=message):
        compare(tmp_path, changed, new, other_code=False)
    compare(tmp_path, changed, new, other_code=True)
    assert len(old.code) > 100 and not [name for name in old.code if "sweeps" in name]


def test_other_data_are_refused(tmp_path: Path) -> None:
    made, _ = make_sweep(tmp_path)
    refuse_other_data(tmp_path, made, "key", "a" * 64)
    refuse_other_data(tmp_path, made, "key", "a" * 64)
    refuse_other_data(tmp_path, made, "another", "b" * 64)
    with pytest.raises(UserError, match="other data: fingerprint aaaaaaaaaaaa -> cccccccccccc"):
        refuse_other_data(tmp_path, made, "key", "c" * 64)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None and read_manifest(tmp_path / "new") is None
    with pytest.raises(UserError, match="holds no sweep"):
        need_manifest(tmp_path)
    with pytest.raises(UserError, match="no such directory"):
        need_manifest(tmp_path / "new")
    (tmp_path / "novel.txt").touch()
    with pytest.raises(UserError, match=r"is not empty and has no sweep.json"):
        read_manifest(tmp_path)
    (tmp_path / "sweep.json").write_text('{"runs": {}}')
    with pytest.raises(UserError, match=r"sweep.json: cannot be read"):
        read_manifest(tmp_path)


def test_two_commands_cannot_run_one_sweep(tmp_path: Path) -> None:
    with (
        only_sweep(tmp_path / "s"),
        pytest.raises(UserError, match="another process is running this sweep"),
        only_sweep(tmp_path / "s"),
    ):
        pass
    with only_sweep(tmp_path / "s"):
        pass
