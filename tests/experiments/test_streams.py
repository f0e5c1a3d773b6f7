"""`predict --stream`: one text without end, on stdin or in a file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from seqmodels.files import read_file
from seqmodels.runs.run import load_run
from seqmodels.tasks.language_model import StreamAnswerer
from tests.experiments.conftest import FrontDoor, Small

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reads_bytes(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LSTM of bytes, so that any text can be read."""
    workdir = tmp_path_factory.mktemp("bytes") / "run"
    # The tokenizer of characters is the one that has unknown symbols.
    words = [word for word in small.words() if "unknown_symbols" not in word]
    words += ["--config.data.tokenizer=byte", f"--workdir={workdir}"]
    assert launch.main(["train", *words]) == 0
    return workdir


def test_lines_are_one_text_and_no_batch_size_moves_a_bit(
    door: FrontDoor,
    reads_bytes: Path,
    small: Small,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "text.txt"
    text = read_file(small.folder / "text.txt")[:300]
    path.write_text(f"{text[:100]}\n\n{text[100:]}\nma")
    content = path.read_bytes()
    words = ("predict", f"--workdir={reads_bytes}", "--stream")
    whole = door(*words, f"--input={path}").out
    for size in (1, 3):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert door(*words, "--input=-", f"--batch_size={size}").out == whole
    answers = [json.loads(line) for line in whole.splitlines()]
    assert [a["text"] for a in answers] == [f"{text[:100]}\n", "\n", f"{text[100:]}\n", "ma"]
    assert answers[-1]["total_tokens"] == len(content)
    total = sum(a["log_probability"] for a in answers)
    assert answers[-1]["loss"] == pytest.approx(-total / len(content), rel=1e-12)
    # As one piece it is the same text.
    run = load_run(reads_bytes)
    assert run.features is not None
    answerer = StreamAnswerer(run.model, run.params, run.features, 1)
    (one,) = answerer([""], [answerer.read(content.decode())])
    assert one["log_probability"] == pytest.approx(total, rel=1e-12)


def test_a_long_line_comes_in_pieces_of_whole_characters(
    door: FrontDoor, reads_bytes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("naïve ï ma\nin\n", encoding="utf-8")
    monkeypatch.setattr("experiments.predict._LONGEST_PIECE", 3)
    out = door("predict", f"--workdir={reads_bytes}", "--stream", f"--input={path}").out
    pieces = [json.loads(line)["text"] for line in out.splitlines()]
    assert pieces == ["na", "ïve", " ï", " ma", "\n", "in\n"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"main\nma\0in\n", "stdin, line 2: binary, not text: a NUL byte"),
        (b"main\nma\xff\n", "stdin, line 2: not UTF-8: byte 0xff"),
        (b"main\nma\xc3", "stdin, line 2: not UTF-8: byte 0xc3 (unexpected end of data)"),
    ],
)
def test_what_is_not_text_is_named(
    door: FrontDoor,
    reads_bytes: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    told: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    answer = door("predict", f"--workdir={reads_bytes}", "--stream", "--input=-", "--batch_size=1")
    assert answer.status == 2 and told in answer.err


def test_a_model_that_keeps_its_text_is_refused(
    door: FrontDoor, small: Small, tmp_path: Path
) -> None:
    words = [word for word in small.words() if "hidden_dim" not in word and "demo_lstm" not in word]
    heads = ["--config=demo_gpt", "--config.model.num_heads=2", "--config.model.mlp_dim=8"]
    assert launch.main(["train", *heads, *words[1:], f"--workdir={tmp_path / 'gpt'}"]) == 0
    line = door("predict", f"--workdir={tmp_path / 'gpt'}", "--stream", "--input=-").line
    assert "--stream: a gpt keeps every token that it reads and has model.max_length=" in line


@pytest.mark.hard
def test_memory_does_not_grow(reads_bytes: Path, small: Small) -> None:
    text = " ".join([read_file(small.folder / "text.txt")] * 4) + "\n"
    program = ["launch.py", "predict", f"--workdir={reads_bytes}", "--stream", "--input=-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *program, "--batch_size=1"], stdin=pipe, stdout=pipe, cwd=ROOT
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        resident = []
        for _ in range(40):
            process.stdin.write(text.encode())
            process.stdin.flush()
            total = json.loads(process.stdout.readline())["total_tokens"]
            status = Path(f"/proc/{process.pid}/status").read_text()
            resident.append(int(status.partition("VmRSS:")[2].split()[0]))
        process.stdin.close()
    assert process.returncode == 0 and total > 500_000
    assert max(resident[4:]) < 1.01 * resident[4]
