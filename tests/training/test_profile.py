"""`train --profile`: a trace of a few steps that does not change a bit of the run."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.training import TrainingConfig
from seqmodels.data.pipeline import load_data
from seqmodels.tasks.build import build_task
from seqmodels.training.loop import prepare, train
from seqmodels.training.profile import TRACED, WARM_UP, refuse_profile, traced_steps
from tests.conformance.test_resume import last_state
from tests.training.runs import rows_without_clock
from tests.training.test_input_wait import make_config

RESUMED = 4
STEPS = RESUMED + WARM_UP + TRACED


def profiled_config(folder: Path) -> ExperimentConfig:
    config = make_config(folder)
    config.training = TrainingConfig(
        num_steps=STEPS,
        log_every=5,
        evaluate_every=STEPS,
        checkpoint_every=RESUMED,
        keep_checkpoints=STEPS,
    )
    return config


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    return profiled_config(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def shared(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """Task, data and one compiled program for the runs of this file."""
    task = build_task(config)
    data = load_data(config, task)
    return task, data, prepare(config, tmp_path_factory.mktemp("none"), task, data)


@pytest.fixture(scope="module")
def undisturbed(
    config: ExperimentConfig, shared: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert train(config, workdir, *shared) == 0
    assert not (workdir / "profile").exists()
    return workdir


def traced(workdir: Path) -> list[int]:
    """The steps in the trace of a run."""
    (path,) = (workdir / "profile").rglob("perfetto_trace.json.gz")
    with gzip.open(path) as f:
        events = json.load(f)["traceEvents"]
    steps = [event for event in events if event.get("name") == "train"]
    assert len(events) > 10 * len(steps)
    return sorted(int(event["args"]["step_num"]) for event in steps)


def assert_same(config: ExperimentConfig, a: Path, b: Path) -> None:
    (left_step, left), (right_step, right) = (last_state(w, config) for w in (a, b))
    assert left_step == right_step == STEPS
    assert left.keys() == right.keys()
    assert {n: x.tobytes() for n, x in left.items()} == {n: x.tobytes() for n, x in right.items()}
    assert rows_without_clock(a) == rows_without_clock(b)


def test_a_profiled_run_has_its_trace_and_the_same_bits(
    config: ExperimentConfig,
    shared: tuple[Any, ...],
    undisturbed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(config, tmp_path, *shared, profile=True) == 0
    assert traced(tmp_path) == list(range(WARM_UP + 1, WARM_UP + TRACED + 1))
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "profile" in line]
    assert f"steps {WARM_UP + 1} to {WARM_UP + TRACED}: {tmp_path / 'profile'}" in told
    assert told.endswith("perfetto_trace.json.gz; open it in https://ui.perfetto.dev")
    assert_same(config, undisturbed, tmp_path)


@pytest.mark.grid
def test_a_resumed_run_can_be_profiled(
    config: ExperimentConfig, undisturbed: Path, tmp_path: Path
) -> None:
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    for path in (workdir / "checkpoints").iterdir():
        if path.name.isdecimal() and int(path.name) > RESUMED:
            shutil.rmtree(path)
    assert train(config, workdir, profile=True) == 0
    assert traced(workdir) == list(range(RESUMED + WARM_UP + 1, STEPS + 1))
    assert_same(config, undisturbed, workdir)


def test_a_profile_that_cannot_be_written_does_not_stop_the_run(
    config: ExperimentConfig,
    shared: tuple[Any, ...],
    undisturbed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "profile").write_text("a file where the folder should be")
    assert train(config, tmp_path, *shared, profile=True) == 0
    assert "warning: the profile failed" in capsys.readouterr().err
    assert_same(config, undisturbed, tmp_path)
    with jax.profiler.trace(tmp_path / "another"):  # nothing of the first is left over
        pass


def test_whole_calls_are_traced() -> None:
    training = TrainingConfig(steps_per_call=4)
    assert list(traced_steps(training, 100)) == [113, 117, 121]


def test_too_few_steps_are_refused(config: ExperimentConfig, undisturbed: Path) -> None:
    refuse_profile(config, None)
    refuse_profile(config, undisturbed.parent / "not there yet")
    with pytest.raises(UserError, match=rf"needs 20 steps.*from step {STEPS} .* there are only 0"):
        refuse_profile(config, undisturbed)
    short = dataclasses.replace(config.training, num_steps=WARM_UP + TRACED - 1)
    with pytest.raises(UserError, match=r"num_steps=19 there are only 19"):
        refuse_profile(dataclasses.replace(config, training=short), None)
    enough = dataclasses.replace(config.training, num_steps=WARM_UP + TRACED)
    refuse_profile(dataclasses.replace(config, training=enough), None)
    with pytest.raises(UserError, match="an ngram is fitted in one pass"):
        refuse_profile(dataclasses.replace(config, model=NgramConfig()), None)
