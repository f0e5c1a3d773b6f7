"""`inspect --follow`: a second process watches a run in progress without disturbing it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.config.serialization import to_json
from seqmodels.runs.follow import Update, seconds_left, watch
from seqmodels.runs.follow_views import curve, draw, follow
from seqmodels.runs.rows import MetricsWriter, read_rows
from seqmodels.runs.workdir import LOCK, has_trainer, only_trainer, write_json
from tests.training.runs import make_setting

ROOT = Path(__file__).parents[2]
HOLD = (
    "import pathlib, sys; from seqmodels.runs.workdir import only_trainer\n"
    "with only_trainer(pathlib.Path(sys.argv[1])): print('held', flush=True); input()"
)


@contextlib.contextmanager
def trainer(workdir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that locks a work directory as a trainer does."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(workdir)], cwd=ROOT, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def row(step: int, split: str = "train", loss: float | None = None) -> dict[str, Any]:
    rate = {"tokens_per_second": 5000.0} if split == "train" else {}
    loss = 4 / step if loss is None else loss
    return {
        "step": step,
        "split": split,
        "loss": loss,
        **rate,
        "input_wait": 0.0,
        "seconds": 2.0 * step,
    }


def short_config() -> ExperimentConfig:
    config = load_config("demo_lstm")
    config.training.num_steps, config.optimizer.warmup_steps = 8, 0
    return config


config = pytest.fixture(short_config)


def write(workdir: Path, text: str) -> None:
    with (workdir / "metrics.jsonl").open("a") as f:
        f.write(text)


def steps(rows: list[dict[str, Any]]) -> list[int]:
    return [row["step"] for row in rows]


def test_rows_are_read_completely_and_once(config: ExperimentConfig, tmp_path: Path) -> None:
    with contextlib.closing(watch(tmp_path, config)) as updates:
        assert next(updates) == Update([], [], None, [], False, 8, False)
        line = json.dumps(row(2)) + "\n"
        write(tmp_path, line[:20])
        assert next(updates).new == []
        write(tmp_path, line[20:] + json.dumps(row(4)) + "\n" + line[:1])
        update = next(updates)
        assert steps(update.new) == steps(update.rows) == [2, 4]
        update = next(updates)
        assert update.new == [] and steps(update.rows) == [2, 4]
        (tmp_path / "checkpoints" / "4").mkdir(parents=True)
        (tmp_path / "checkpoints" / "6.orbax-checkpoint-tmp").mkdir()
        assert next(updates).saved == [4]


def test_repeated_steps_of_a_resumed_run_are_reported(
    config: ExperimentConfig, tmp_path: Path
) -> None:
    def resume(step: int) -> None:
        MetricsWriter(tmp_path / "metrics.jsonl", step).close()

    def told() -> tuple[list[int], int | None, list[int]]:
        update = next(updates)
        return steps(update.new), update.cut_after, steps(update.rows)

    with contextlib.closing(watch(tmp_path, config)) as updates:
        for step in (2, 4, 6):
            write(tmp_path, json.dumps(row(step)) + "\n")
        assert told() == ([2, 4, 6], None, [2, 4, 6])
        resume(6)  # another file with the same rows
        write(tmp_path, json.dumps(row(7)) + "\n")
        assert told() == ([7], None, [2, 4, 6, 7])
        resume(2)
        write(tmp_path, json.dumps(row(4, loss=9.0)) + "\n")
        assert told() == ([4], 2, [2, 4])
        write(tmp_path, json.dumps(row(6)) + "\n")
        assert told() == ([6], None, [2, 4, 6])
        resume(0)
        assert told() == ([], 0, [])


def test_a_damaged_line_is_named(config: ExperimentConfig, tmp_path: Path) -> None:
    write(tmp_path, "{}}\n")
    with pytest.raises(UserError, match=r"metrics.jsonl: cannot be read"):
        next(watch(tmp_path, config))


def test_a_run_is_done_once_its_last_step_is_evaluated_and_its_trainer_gone(
    config: ExperimentConfig, tmp_path: Path
) -> None:
    with contextlib.closing(watch(tmp_path, config)) as updates:
        with trainer(tmp_path):
            write(tmp_path, json.dumps(row(8)) + "\n")
            assert next(updates).trains
            write(tmp_path, json.dumps(row(8, "validation")) + "\n")
            assert not next(updates).done  # it is saving
        update = next(updates)
        assert update.done and not update.trains


def test_a_run_that_stopped_early_is_done(config: ExperimentConfig, tmp_path: Path) -> None:
    config.training.early_stopping_patience = 1
    with contextlib.closing(watch(tmp_path, config)) as updates:
        write(tmp_path, json.dumps(row(2, "validation")) + "\n")
        assert not next(updates).done
        write(tmp_path, json.dumps(row(4, "validation", 3.0)) + "\n")
        assert next(updates).done


def test_checking_for_a_trainer_does_not_block_one(tmp_path: Path) -> None:
    assert not has_trainer(tmp_path)
    with trainer(tmp_path) as process:
        assert has_trainer(tmp_path)
        process.kill()
        process.wait()
    assert not has_trainer(tmp_path)
    file = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)  # as if a check were in progress
    assert not has_trainer(tmp_path)
    release = threading.Timer(0.05, os.close, [file])
    release.start()
    trained = False
    with contextlib.suppress(UserError), only_trainer(tmp_path):
        trained = True
    release.join()
    assert trained


def test_the_time_left_follows_the_last_rows() -> None:
    assert seconds_left([], 100) is None
    assert seconds_left([row(4)], 100) == 2 * 96
    rows = [
        row(1) | {"seconds": 1000.0},
        *(row(n) | {"seconds": 1000 + 3.0 * n} for n in range(2, 20)),
    ]
    assert seconds_left(rows, 100) == pytest.approx(3 * 81)


def test_a_curve_spans_the_range_of_its_values() -> None:
    assert curve([1.0], 10) == ""
    assert curve([9.0, 5.0, 1.0], 10) == "█▅▁"
    assert curve([float(n) for n in range(1000)], 8) == "▁▂▃▄▅▆▇█"
    assert curve([2.0, 2.0], 10) == "▁▁"


def test_contents_of_the_live_view(config: ExperimentConfig, tmp_path: Path) -> None:
    rows = [row(2), row(4, "validation"), row(6, loss=1.5), row(6, "validation", 2.5)]
    rows[2]["input_wait"] = 0.4
    paper = io.StringIO()
    picture = draw(Update(rows, [], None, [4, 6], False, 8, False), tmp_path, config)
    Console(width=250, file=paper).print(picture)
    text = paper.getvalue()
    for part in (
        *("step 6 of 8", "0:00:04 left", "loss 1.5000", "5,000 tokens/s", "input wait 40%"),
        *("best validation loss 1.0000 at step 4", "saved: step 4, 6", "█▁"),
        *("no process is training here", f"train --workdir={tmp_path} resumes from step 6"),
    ):
        assert part in text, text


class Script:
    """Events in a work directory, one between two updates."""

    def __init__(self, *events: Callable[[], None]) -> None:
        self._events = list(events)

    def __call__(self) -> None:
        self._events.pop(0)()


def test_lines_of_a_run(
    config: ExperimentConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a directory with two rows, through a resumption, to the end."""
    path = tmp_path / "metrics.jsonl"
    writer = MetricsWriter(path, 0)
    for step in (1, 2, 3):
        writer.write(row(step))

    def resume() -> None:
        writer.close()
        MetricsWriter(path, 2).close()

    def finish() -> None:
        (tmp_path / "checkpoints" / "8").mkdir(parents=True)
        write(tmp_path, json.dumps(row(8)) + "\n" + json.dumps(row(8, "validation")) + "\n")

    follow(tmp_path, config, as_json=False, wait=Script(resume, finish))
    assert capsys.readouterr().err.splitlines() == [
        "recurrent  step 3/8  train loss 1.3333  5,000 tokens/s  0:00:10 left",
        "no process is training here, and nothing is saved",
        "resumed: the steps after 2 are repeated",
        "recurrent  step 8/8  train loss 0.5000  5,000 tokens/s  0:00:00 left",
        "recurrent  step 8/8  validation loss 0.5000",
        "saved: step 8",
        "done: step 8 of 8; best validation loss 0.5000 at step 8",
    ]


def test_json_output_holds_only_the_rows(
    config: ExperimentConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(4), row(8), row(8, "validation")]
    write(tmp_path, json.dumps(rows[0]) + "\n")
    events = [lambda r=r: write(tmp_path, json.dumps(r) + "\n") for r in rows[1:]]
    follow(tmp_path, config, as_json=True, wait=Script(*events))
    told = capsys.readouterr()
    assert [json.loads(line) for line in told.out.splitlines()] == rows
    assert told.err.splitlines()[-1].startswith("done: step 8 of 8")


def command(workdir: Path, *more: str) -> list[str]:
    words = ["inspect", f"--workdir={workdir}", "--follow", *more]
    return [sys.executable, str(ROOT / "launch.py"), *words]


def test_a_real_run_is_followed_to_its_end(tmp_path: Path) -> None:
    setting, workdir = make_setting(tmp_path), tmp_path / "run"
    with setting.start(workdir, "--config.training.num_steps=80") as training:
        while not (workdir / "config.json").exists():
            assert training.poll() is None
            time.sleep(0.05)
        done = subprocess.run(command(workdir, "--json"), capture_output=True, text=True)
        assert training.wait() == 0
    assert done.returncode == 0, done.stderr
    rows = read_rows(workdir / "metrics.jsonl")
    assert [json.loads(line) for line in done.stdout.splitlines()] == rows != []
    assert done.stderr.splitlines()[-1].startswith("done: step 80 of 80")


def test_on_a_terminal_it_is_drawn_until_ctrl_c(config: ExperimentConfig, tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", to_json(config))
    write(tmp_path, json.dumps(row(2)) + "\n")
    screen, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    # The suite may ignore Ctrl-C, as it does in the background of a shell.
    restoring = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL)"
    words = [sys.executable, "-c", f"{restoring}; os.execv(sys.argv[1], sys.argv[1:])"]
    words += command(tmp_path)
    with subprocess.Popen(words, stderr=terminal, env=environment) as process:
        os.close(terminal)
        text = b""
        while b"nothing is saved" not in text:
            text += os.read(screen, 4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # raised at the end of a terminal
            while os.read(screen, 4096):
                pass
        assert process.wait() == 130
    os.close(screen)
    assert b"step 2 of 8" in text and b"Traceback" not in text


def test_it_starts_without_jax(config: ExperimentConfig, tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", to_json(config))
    write(tmp_path, json.dumps(row(8, "validation")) + "\n")
    code = f"""
import sys, launch
assert launch.main({command(tmp_path)[2:]}) == 0
assert not {{"jax", "flax", "orbax", "matplotlib"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
