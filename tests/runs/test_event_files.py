"""TensorBoard event files hold the rows of metrics.jsonl, as read by protobuf alone."""

from __future__ import annotations

import dataclasses
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.training import EvaluationContext
from seqmodels.runs.event_files import EventFiles, require_tensorboard
from seqmodels.runs.rows import MetricsWriter, read_rows
from seqmodels.training.loop import train
from tests.training.test_input_wait import make_config

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")

Scalars = dict[tuple[str, str], list[tuple[int, float]]]


def read_events(path: Path) -> list[Any]:
    """The events of a file of records: length [8 bytes], checksum [4], data, checksum [4]."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack_from("<Q", content)
        assert len(content) >= 16 + length
        found.append(event_pb2.Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def read_scalars(workdir: Path) -> Scalars:
    """(split, tag) -> step and value of every event, in the order of the files."""
    scalars: Scalars = {}
    for path in sorted((workdir / "tensorboard").rglob("events.*")):
        for event in read_events(path):
            for value in event.summary.value:
                series = scalars.setdefault((path.parent.name, value.tag), [])
                series.append((event.step, value.simple_value))
    return scalars


def expected_scalars(workdir: Path) -> Scalars:
    scalars: Scalars = {}
    for row in read_rows(workdir / "metrics.jsonl"):
        for name, value in row.items():
            if name != "step" and not isinstance(value, str):
                rounded = struct.unpack("f", struct.pack("f", value))[0]
                scalars.setdefault((row["split"], name), []).append((row["step"], rounded))
    return scalars


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    config = make_config(tmp_path_factory.mktemp("text"))
    training = dataclasses.replace(config.training, tensorboard=True, evaluate_every=4)
    return dataclasses.replace(config, training=training)


def test_a_run_writes_its_rows(config: ExperimentConfig, tmp_path: Path) -> None:
    assert train(config, tmp_path) == 0
    found = read_scalars(tmp_path)
    assert found == expected_scalars(tmp_path)
    assert [step for step, _ in found["train", "loss"]] == [2, 4, 6, 8]
    assert [step for step, _ in found["validation", "loss"]] == [4, 8]
    assert {"learning_rate", "tokens_per_second", "input_wait"} <= {tag for _, tag in found}


def test_a_fitted_model_writes_its_row(config: ExperimentConfig, tmp_path: Path) -> None:
    fitted = dataclasses.replace(
        config,
        model=NgramConfig(order=2),
        evaluation=dataclasses.replace(config.evaluation, context=EvaluationContext.CARRY),
    )
    assert train(fitted, tmp_path) == 0
    assert read_scalars(tmp_path) == expected_scalars(tmp_path) != {}


def row(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "split": "train", "loss": 1 / step, "seconds": 2.0 * step, **more}


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    """Even if a kill left rows of steps that are repeated."""
    path = tmp_path / "metrics.jsonl"
    killed = MetricsWriter(path, 0, tensorboard=True)
    for step in (1, 2, 3, 4):
        killed.write(row(step))
    killed.close()
    resumed = MetricsWriter(path, 2, tensorboard=True)
    resumed.write(row(3, loss=7.0))
    resumed.close()
    loss = read_scalars(tmp_path)["train", "loss"]
    assert [step for step, _ in loss] == [1, 2, 3] and loss[-1][1] == 7
    assert read_scalars(tmp_path) == expected_scalars(tmp_path)


def test_event_files_enabled_late_hold_the_whole_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsWriter(path, 0)
    first.write(row(1))
    first.close()
    assert not (tmp_path / "tensorboard").exists()
    second = MetricsWriter(path, 1, tensorboard=True)
    second.write(row(2, context="window"))
    second.close()
    assert [step for step, _ in read_scalars(tmp_path)["train", "loss"]] == [1, 2]


def test_time_in_the_charts_is_training_time(tmp_path: Path) -> None:
    files = EventFiles(tmp_path, [row(1), row(2)])
    files.write(row(5))
    files.close()
    (path,) = tmp_path.rglob("events.*")
    version, start, *events = read_events(path)
    assert version.file_version == "brain.Event:2"
    assert start.session_log.status == event_pb2.SessionLog.START and start.step == 0
    times = [event.wall_time - events[0].wall_time for event in events]
    assert [round(seconds, 3) for seconds in times] == [0, 2, 8]


def test_missing_tensorboardx_is_reported_before_training(
    config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tensorboard=true: needs tensorboardX: pip install"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    training = dataclasses.replace(config.training, tensorboard=False)
    require_tensorboard(training)
