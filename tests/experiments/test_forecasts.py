"""Forecasts from the data to pictures, through the commands."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.train import start
from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.forecasting import (
    ForecastingConfig,
    Picture,
    WindowLinearConfig,
    WindowsConfig,
)
from seqmodels.config.validate import validate
from tests.experiments.conftest import FrontDoor

H, LEVELS = 4, (0.1, 0.5, 0.9)
STEPS = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear forecast of two coordinates that wander, with quantiles, trained once."""
    folder = tmp_path_factory.mktemp("forecast")
    place = lambda n: (n % 12, 3 + abs(n % 8 - 4))
    rows = [f"2020-01-01T{n % 24:02}:00,{place(n)[0]},{place(n)[1]}" for n in range(STEPS)]
    rows = [row.replace("2020-01-01", f"2020-01-{1 + n // 24:02}") for n, row in enumerate(rows)]
    (folder / "own.csv").write_text("\n".join(["time,x,y", *rows]) + "\n")
    config = ExperimentConfig(
        WindowLinearConfig(),
        ExamplesDataConfig(
            "series_file",
            16,
            path=str(folder / "own.csv"),
            cache_dir=str(folder / "cache"),
            time_column="time",
            validation_fraction=0.2,
            test_fraction=0.2,
            inputs=WindowsConfig(input_length=24, horizon=H),
        ),
        ForecastingConfig(quantiles="0.1,0.5,0.9", season=12, picture=Picture.PATH),
    )
    config.training.num_steps = config.training.evaluate_every = 60
    config.training.checkpoint_every, config.training.mesh_data = 60, 1
    config.optimizer.peak_lr, config.optimizer.warmup_steps = 0.02, 0
    validate(config)
    assert start(config, folder / "run") == 0
    return folder


def test_a_run_is_evaluated_next_to_three_baselines_and_drawn(run: Path, door: FrontDoor) -> None:
    found = door("evaluate", f"--workdir={run / 'run'}", "--split=test", "--json").json
    rows = [*found["baseline"]["beside"], found["baseline"]]
    assert [row["model"] for row in rows] == ["last value", "last season of 12", "ridge"]
    assert found["num_targets"] == (24 - H + 1) * H * 2 == rows[0]["num_targets"]
    for row in (*rows, found):
        assert all(math.isfinite(row[name]) for name in ("mse", "mae", "mase", "crps"))
    assert found["mae"] < rows[0]["mae"] and 0 <= found["coverage_error"] <= 1
    assert found["protocol"].startswith("all 21 windows of the test split, 24 steps to 4")
    door("evaluate", f"--workdir={run / 'run'}", "--split=test")
    stem = run / "run" / "evaluations" / f"test-{found['step']}"
    chart, path = (stem.with_name(f"{stem.name}-{end}") for end in ("errors.png", "path.gif"))
    with Image.open(chart) as still, Image.open(path) as moving:
        assert still.size[0] > 100 and getattr(moving, "n_frames") > H  # noqa: B009


def test_predictions_are_written_as_a_table_and_pictures(run: Path, door: FrontDoor) -> None:
    ask = lambda *more: door(
        "predict", f"--workdir={run / 'run'}", f"--input={run / 'own.csv'}", *more
    )
    plain = json.loads(ask().out)
    assert plain["times"][0] == "2020-01-06 00:00:00" and len(plain["times"]) == H
    assert np.array(plain["forecast"]).shape == (H, 2) and "mae" not in plain
    assert plain["quantiles"]["0.5"] == plain["forecast"]
    back = json.loads(ask("--hold_out=3", f"--folder={run / 'out'}").out)
    assert back["times"][0] == "2020-01-05 21:00:00"
    truth = np.array([[n % 12, 3 + abs(n % 8 - 4)] for n in range(STEPS - 3, STEPS)])
    wrong = np.abs(truth - np.array(back["forecast"])[:3]).mean()
    assert back["mae"] == pytest.approx(wrong)
    names = sorted(path.name for path in (run / "out").iterdir())
    assert names == ["own-forecast.csv", "own-forecast.gif", "own-forecast.png"]
    with (run / "out" / "own-forecast.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head == ["time", *(f"{c} {q}" for c in "xy" for q in LEVELS)]
    assert [row[0] for row in rows] == back["times"]
    assert float(rows[1][2]) == pytest.approx(back["forecast"][1][0], rel=1e-5)


def test_files_that_cannot_be_forecast_are_one_line(run: Path, door: FrontDoor) -> None:
    (run / "short.csv").write_text("time,x,y\n1,1,2\n2,1,2\n")
    (run / "other.csv").write_text("time,x\n1,1\n2,1\n")
    ask = lambda *words: door("predict", f"--workdir={run / 'run'}", *words).line
    assert "2 steps are too few: the run reads data.inputs.input_length=24" in ask(
        f"--input={run / 'short.csv'}"
    )
    assert "has no such column" in ask(f"--input={run / 'other.csv'}")
    assert "too few" in ask(f"--input={run / 'own.csv'}", "--hold_out=100")
    assert "is a file" in ask(f"--input={run / 'own.csv'}", f"--folder={run / 'own.csv'}")


def test_the_last_window_of_a_file_is_looked_at(run: Path, door: FrontDoor, tmp_path: Path) -> None:
    words = ("look", f"--workdir={run / 'run'}", f"--folder={tmp_path / 'look'}")
    found = door(*words, f"--input={run / 'own.csv'}", "--json").json
    assert found["num_steps"] == 24 and "parameters" in found["what"]
    short = tmp_path / "short.csv"
    short.write_text("time,x,y\n1,1,2\n2,1,2\n")
    assert "the input: 2 steps are too few" in door(*words, f"--input={short}").line


def test_other_files_are_evaluated_as_the_run_s_own(run: Path, door: FrontDoor) -> None:
    """With its time column; there is no training split, so there is no baseline and no mase."""
    text = (run / "own.csv").read_text().splitlines()
    (run / "new.csv").write_text("\n".join(text[:51]) + "\n")
    found = door(
        "evaluate", f"--workdir={run / 'run'}", f"--input={run / 'new.csv'}", "--json"
    ).json
    assert "baseline" not in found and "mase" not in found
    assert found["num_targets"] == (50 - 24 - H + 1) * H * 2
