"""Tables and figures of a sweep, from rows that were written by hand."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import pytest
from rich.console import Console

from seqmodels.config.tasks import Metric
from seqmodels.runs.divergence import record_divergence
from seqmodels.sweeps.figures import draw_figures
from seqmodels.sweeps.manifest import write_manifest
from seqmodels.sweeps.table import Point, Summary, draw_table, summarize, write_tables
from seqmodels.sweeps.views import read_statuses, show_statuses, status_line
from tests.sweeps.fakes import make_sweep, write_rows


def write_sweep(root: Path) -> Path:
    """One point with two runs, of which the last is worse than its best; one with one."""
    manifest, _ = make_sweep(root)
    write_manifest(root, manifest)
    write_rows(root / "peak_lr=0.001,seed=0", {10: 2.5, 20: 2.0})
    write_rows(root / "peak_lr=0.001,seed=1", {10: 1.75, 20: 1.875})
    write_rows(root / "peak_lr=0.01,seed=0", {10: 1.5, 20: 1.25})
    write_rows(root / "peak_lr=0.01,seed=1", {10: 0.5})
    record_divergence(root / "peak_lr=0.01,seed=1", "loss of step 13 is not finite")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_sweep(tmp_path)


def text_of(printed: object) -> str:
    console = Console(width=100, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(printed)
    return captured.get()


def test_means_and_spreads_best_first_and_a_diverged_run_is_named(root: Path) -> None:
    manifest, _ = make_sweep(root)
    summary = summarize(root, manifest, read_statuses(root, manifest), ("unigram", 1.5))
    assert [point.name for point in summary.points] == ["peak_lr=0.01", "peak_lr=0.001"]
    first, second = summary.points
    assert first.results == {"peak_lr=0.01,seed=0": 1.25} and first.spread is None
    assert first.missing == {"peak_lr=0.01,seed=1": "diverged: loss of step 13 is not finite"}
    assert second.mean == 1.875 and second.spread == pytest.approx(statistics.stdev([2.0, 1.75]))
    rows = [line for line in text_of(draw_table(summary)).split("\n") if "│" in line]
    assert [row.split()[1] for row in rows] == ["0.01", "baseline:", "0.001"]
    assert "1 of 2" in rows[0] and "2 of 2" in rows[2]
    assert "not counted: peak_lr=0.01,seed=1: diverged" in text_of(draw_table(summary))


def test_files_of_a_table(root: Path) -> None:
    manifest, _ = make_sweep(root)
    summary = summarize(root, manifest, read_statuses(root, manifest), ("unigram", 1.5))
    paths = [*write_tables(root, summary), *draw_figures(root, summary)]
    assert [path.relative_to(root).as_posix() for path in paths] == [
        *("table.json", "table.csv"),
        *("figures/parallel.png", "figures/optimizer.peak_lr.png"),
    ]
    with (root / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["peak_lr=0.01", "peak_lr=0.001", "baseline: unigram"]
    assert [float(row["loss"]) for row in rows] == [1.25, 1.875, 1.5]
    assert rows[0]["missing"] == "peak_lr=0.01,seed=1"
    found = json.loads((root / "table.json").read_text())
    assert found["baseline"] == {"name": "unigram", "value": 1.5}
    assert found["points"][1]["mean"] == 1.875


def test_a_table_of_a_metric_of_which_more_is_better_and_of_names() -> None:
    metric = Metric("accuracy", "share", lower_is_better=False)
    points = [
        Point({"model.cell": "gru", "optimizer.peak_lr": 0.1}, {"a": 0.5}, {}),
        Point({"model.cell": "lstm", "optimizer.peak_lr": 0.001}, {"b": 0.25, "c": 0.75}, {}),
        Point({"model.cell": "rnn", "optimizer.peak_lr": 0.1}, {}, {"d": "waiting"}),
    ]
    summary = Summary(metric, ["model.cell", "optimizer.peak_lr"], points, ("chance", 0.6))
    rows = [line for line in text_of(draw_table(summary)).split("\n") if "│" in line]
    assert [row.split()[1] for row in rows] == ["baseline:", "gru", "lstm", "rnn"]


def test_a_sweep_without_a_finished_run_has_a_table_and_no_figure(tmp_path: Path) -> None:
    manifest, _ = make_sweep(tmp_path)
    summary = summarize(tmp_path, manifest, read_statuses(tmp_path, manifest), None)
    assert [point.mean for point in summary.points] == [None, None]
    assert draw_figures(tmp_path, summary) == []
    assert "0 of 2" in text_of(draw_table(summary))


def test_states_are_lines_where_there_is_no_terminal(root: Path) -> None:
    manifest, _ = make_sweep(root)
    console = Console(width=40, force_terminal=False)
    with console.capture() as captured:
        found = show_statuses(root, manifest, console, wait=lambda: pytest.fail("waits"))
    lines = captured.get().splitlines()
    assert lines[0] == "peak_lr=0.001,seed=0: done  step 20 of 20  loss 2.0000"
    assert lines[3] == status_line("peak_lr=0.01,seed=1", found["peak_lr=0.01,seed=1"])
    assert lines[3].endswith("diverged  step 10 of 20  loss 0.5000  loss of step 13 is not finite")
    assert lines[4] == "3 done, 1 diverged"


def test_states_are_a_table_on_a_terminal_until_nothing_is_in_flight(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqmodels.sweeps import views
    from seqmodels.sweeps.jobs import SLURM, Job, write_job

    manifest, _ = make_sweep(root)
    write_rows(root / "peak_lr=0.01,seed=1", {10: 0.5})
    write_job(root / "peak_lr=0.01,seed=1", Job(SLURM, job_id="7"))
    queues = [{"7": ("PENDING", "Resources")}, {"7": ("RUNNING", "None")}, {}]
    waits: list[int] = []
    monkeypatch.setattr(views, "read_queue", lambda: queues[len(waits)])
    console = Console(width=120, force_terminal=True, color_system=None)
    with console.capture() as captured:
        show_statuses(root, manifest, console, wait=lambda: waits.append(1))
    assert len(waits) == 2
    shown = captured.get()
    assert "pending: Resources" in shown and "running" in shown and "3 done, 1 diverged" in shown
