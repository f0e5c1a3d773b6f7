"""A run that is trained longer than it was planned: the bits, the rows, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import PerceptronConfig
from seqmodels.config.training import Schedule
from seqmodels.runs.inspect import describe
from seqmodels.runs.opening import read_config
from seqmodels.training.loop import train
from seqmodels.training.optimizers import make_schedule
from seqmodels.training.resuming import describe_change
from tests.conformance.test_resume import Stopping, last_state, loop
from tests.training.runs import make_setting, rows_without_clock
from tests.training.test_loop import make_over

SHORT, LONG, DECAY = 6, 12, 3  # SHORT falls between two rows, whose sums continue over it


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_over(make_setting(tmp_path_factory.mktemp("text")).folder)


def planned(make: Any, schedule: Schedule, num_steps: int) -> ExperimentConfig:
    config = make(
        PerceptronConfig(),
        optimizer__schedule=schedule,
        optimizer__decay_steps=DECAY,
        optimizer__warmup_steps=2,
        optimizer__peak_lr=0.01,
        training__num_steps=num_steps,
    )
    training = config.training
    training.log_every, training.evaluate_every, training.checkpoint_every = 4, 8, 100
    return config


@pytest.mark.parametrize("schedule", [Schedule.CONSTANT, Schedule.WSD])
def test_trained_longer_ends_with_the_bits_of_trained_at_once(
    make: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    schedule: Schedule,
) -> None:
    long = planned(make, schedule, LONG)
    assert train(long, tmp_path / "whole") == 0
    if schedule is Schedule.WSD:  # stopped before its decay, which begins after step 7
        with monkeypatch.context() as patch:
            patch.setattr(loop, "Feed", Stopping)
            short = planned(make, schedule, LONG - 2)
            assert train(short, tmp_path / "parts") == 143
    else:
        short = planned(make, schedule, SHORT)
        assert train(short, tmp_path / "parts") == 0
    capsys.readouterr()
    assert train(long, tmp_path / "parts") == 0
    said = capsys.readouterr().err
    before = short.training.num_steps
    assert f"changed after step {SHORT}: training.num_steps: {before} -> {LONG}" in said

    (steps, whole), (steps_too, parts) = (
        last_state(tmp_path / run, long) for run in ("whole", "parts")
    )
    assert steps == steps_too == LONG
    assert whole.keys() == parts.keys()
    for path, array in whole.items():
        assert array.tobytes() == parts[path].tobytes(), path
    assert "no step so far has another one in a run of 12 steps" in said
    rows = [rows_without_clock(tmp_path / run) for run in ("whole", "parts")]
    # The end of the shorter run was reported too.
    rows[1] = [row for row in rows[1] if row["step"] != SHORT]
    assert json.dumps(rows[0]) == json.dumps(rows[1])
    assert [row["step"] for row in rows[1]] == [4, 8, 8, 12, 12]

    assert read_config(tmp_path / "parts").training.num_steps == LONG
    assert describe(tmp_path / "parts")["changes"] == [
        {"after_step": SHORT, "fields": {"training.num_steps": [before, LONG]}}
    ]
    with pytest.raises(UserError, match=r"num_steps=6: the run in .* has taken 12 steps"):
        train(planned(make, schedule, SHORT), tmp_path / "parts")
    with pytest.raises(UserError, match=r"optimizer.peak_lr: 0.01 -> 0.02"):
        train(
            dataclasses.replace(long, optimizer=dataclasses.replace(long.optimizer, peak_lr=0.02)),
            tmp_path / "parts",
        )


@pytest.mark.parametrize(
    ("schedule", "differ"),
    [(Schedule.COSINE, "steps 3 to 6 had"), (Schedule.WSD, "steps 4 to 6 had")],
)
def test_rates_that_a_longer_run_has_changed_are_said(
    make: Any, schedule: Schedule, differ: str
) -> None:
    """The short run reached its end: the warm-up is that of both, what came after it is not."""
    short, long = (planned(make, schedule, num_steps) for num_steps in (SHORT, LONG))
    changed, warning = describe_change(short, long, SHORT)
    assert changed == f"changed after step {SHORT}: training.num_steps: {SHORT} -> {LONG}"
    rates = [float(make_schedule(long.optimizer, LONG)(step)) for step in (SHORT - 1, SHORT)]
    assert warning == (
        f"warning: optimizer.schedule={schedule} depends on training.num_steps: {differ} the "
        f"learning rates of a run of 6 steps, the last 0; a run of 12 steps has {rates[0]:.3g} "
        f"there, and step 7 continues with {rates[1]:.3g}. The result will differ from 12 steps "
        "at once"
    )
    assert list(describe_change(long, long, SHORT)) == []
