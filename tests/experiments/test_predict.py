"""`launch.py predict` with a language model, and bad input."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import seqmodels
from experiments import predict
from seqmodels.config.errors import UserError
from tests.experiments.conftest import FrontDoor
from tests.tolerances import TOLERANCE

LINES = ["main serial", "tin", "emu nostrils leomal" * 3, "u"]


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "lines.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_log_probability_of_each_line_is_that_of_the_model(
    door: FrontDoor, trained: Path, tmp_path: Path
) -> None:
    path = write(tmp_path, "\n".join(LINES) + "\n")
    done = door("predict", f"--workdir={trained}", f"--input={path}", "--batch_size=3")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [a["text"] for a in answers] == LINES
    run = seqmodels.load_run(trained)
    assert run.tokenizer is not None
    width = max(map(len, LINES)) + 1

    @jax.jit
    def read(params: Any, inputs: jax.Array) -> jax.Array:
        features, _ = run.model.apply({"params": params}, inputs, train=False)
        return jax.nn.log_softmax(run.model.apply({"params": params}, features, method="readout"))

    for answer in answers:
        # The tokenizer has no line break, so a line starts after token 0.
        tokens = np.concatenate([[0], run.tokenizer.encode(answer["text"])])
        inputs = np.zeros((1, width), np.int32)  # what comes later changes nothing before it
        inputs[0, : len(tokens)] = tokens
        logs = np.asarray(read(run.params, inputs))[0]
        total = sum(float(logs[i, t]) for i, t in enumerate(tokens[1:]))
        np.testing.assert_allclose(answer["log_probability"], total, **TOLERANCE["chunking"])
        assert answer["num_tokens"] == len(answer["text"])
        per_token = total / len(answer["text"])
        np.testing.assert_allclose(
            answer["log_probability_per_token"], per_token, **TOLERANCE["chunking"]
        )


def test_stdin_and_a_file_give_the_same_answers(
    door: FrontDoor, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, output = write(tmp_path, "\ufeff" + "\r\n".join(LINES)), tmp_path / "answers.jsonl"
    words = ("predict", f"--workdir={trained}")
    assert door(*words, f"--input={path}", f"--output={output}").out == ""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert door(*words, "--input=-").out == output.read_text()


def test_a_bad_line_of_stdin_is_named(
    door: FrontDoor, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"main\nma\0in\n")))
    told = door("predict", f"--workdir={trained}", "--input=-").line
    assert "stdin, line 2: binary, not text: a NUL byte" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("main\n\nserial\n", "lines.txt, line 2: is empty"),
        (b"main\ncaf\xe9\n", "lines.txt, line 2: not UTF-8: byte 0xe9"),
        ("main\nZero\n", "lines.txt, line 2: the text has a symbol outside the vocabulary: 'Z'"),
        ("", "lines.txt: is empty"),
    ],
)
def test_bad_lines_are_named(
    door: FrontDoor, trained: Path, tmp_path: Path, content: str | bytes, told: str
) -> None:
    path, output = write(tmp_path, content), tmp_path / "answers.jsonl"
    words = ("predict", f"--workdir={trained}", f"--input={path}", f"--output={output}")
    assert told in door(*words).line
    assert [p.name for p in tmp_path.iterdir()] == ["lines.txt"]


def test_an_input_is_not_overwritten(door: FrontDoor, trained: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "main\n")
    for pattern in (path, tmp_path / "*.txt"):
        words = ("predict", f"--workdir={trained}", f"--input={pattern}", f"--output={path}")
        assert f"--output={path}: is one of the inputs" in door(*words).line
    assert path.read_text() == "main\n"
    picture = tmp_path / "a.png"
    picture.touch()
    with pytest.raises(UserError, match="a.png: is one of the inputs"):
        predict.check_output(str(picture), str(tmp_path))


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("", "--input=FILE is required, or - for stdin"),
        ("--input=nowhere.txt", "--input=nowhere.txt: no such file"),
        (
            "--input=- --beam_size=2",
            "--beam_size=2: is for translations (task.kind=translation); this run's",
        ),
        ("--input=- --output=/nowhere/x", "--output=/nowhere/x: /nowhere is not a directory"),
        ("--input=- --num_bst=2", "no such flag; did you mean 'num_best'?"),
    ],
)
def test_mistaken_flags(door: FrontDoor, trained: Path, flag: str, told: str) -> None:
    assert told in door("predict", f"--workdir={trained}", *flag.split()).line
