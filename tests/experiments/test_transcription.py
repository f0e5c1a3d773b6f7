"""Every command on a small run over sounds and their texts, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

import launch
from tests.data.sets import write_table
from tests.experiments.conftest import FrontDoor

TEXTS = ("10", "0", "110", "1", "01", "011", "00", "101", "100", "0110", "1001", "0101")


def write_sounds(folder: Path) -> str:
    """A high tone for 1 and a low one for 0, in WAV files next to a table."""
    (folder / "wav").mkdir(parents=True)
    rows = []
    for number, text in enumerate(TEXTS * 4):
        parts = []
        for symbol in text:
            time = np.arange(800) / 8000
            wave = np.sin(2 * np.pi * (400 + 1600 * int(symbol)) * time)
            parts += [np.zeros(400 + 10 * number), wave]
        samples = (9000 * np.concatenate(parts)).astype(np.int16)
        wavfile.write(folder / "wav" / f"{number}.wav", 8000, samples)
        rows.append({"file": f"wav/{number}.wav", "text": text})
    return write_table(folder / "sounds.csv", rows)


def words(path: str, cache: Path, **more: Any) -> list[str]:
    fields = {
        "data.name": "table",
        "data.path": path,
        "data.cache_dir": cache,
        "data.inputs.column": "file",
        "data.inputs.num_bands": 16,
        "data.max_shapes": 1,
        "data.batch_size": 8,
        "data.validation_fraction": 0.2,
        "data.test_fraction": 0.2,
        "model.hidden_dim": 16,
        "model.model_dim": 16,
        "optimizer.peak_lr": 0.02,
        "optimizer.warmup_steps": 1,
        "training.num_steps": 60,
        "training.log_every": 60,
        "training.evaluate_every": 60,
        "training.checkpoint_every": 60,
        "evaluation.batch_size": 16,
        **more,
    }
    return ["--config=spoken_digits", *(f"--config.{n}={v}" for n, v in fields.items())]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    path = write_sounds(folder)
    flags = words(path, folder / "cache")
    assert launch.main(["train", *flags, f"--workdir={folder / 'run'}"]) == 0
    return folder / "run"


def test_every_command_takes_a_table_of_sounds_and_texts(
    door: FrontDoor, run: Path, tmp_path: Path
) -> None:
    done = door("evaluate", f"--workdir={run}", "--split=test")
    assert done.status == 0, done.err
    (result,) = (run / "evaluations").glob("*.json")
    found = json.loads(result.read_text())
    assert found["character_error_rate"] <= 0.1 and found["beam_size"] == 4
    assert found["baseline"]["model"] == "most frequent transcript"
    assert found["baseline"]["character_error_rate"] > 0.3
    done = door("predict", f"--workdir={run}", f"--input={run.parent / 'wav'}", "--num_best=2")
    answers = {Path(one["file"]).stem: one for one in map(json.loads, done.out.splitlines())}
    assert len(answers) == 4 * len(TEXTS)
    first, second = answers["7"]["transcripts"]
    assert first["log_probability"] > second["log_probability"]
    assert first["text"] == "101" and answers["7"]["seconds"] > 0.3
    shown = door("batch", f"--workdir={run}", "--step=2", "--json").json["rows"][0]["text"]
    assert shown.split("\n")[0] in TEXTS and " s |" in shown


@pytest.mark.grid
def test_an_encoder_decoder_attends_to_a_sound(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    flags = words(str(run.parent / "sounds.csv"), tmp_path / "cache")
    flags[0] = "--config=spoken_digits:seq2seq"
    flags = [flag.replace("data.inputs.", "data.source.") for flag in flags]
    steps = [f"--config.training.{name}=4" for name in ("num_steps", "log_every")]
    steps += [f"--config.training.{name}_every=4" for name in ("evaluate", "checkpoint")]
    done = door("train", *flags, *steps, f"--workdir={tmp_path / 'run'}")
    assert done.status == 0, done.err
    found = door("evaluate", f"--workdir={tmp_path / 'run'}", "--split=test", "--json").json
    assert 0 <= found["exact_match"] <= 1 and found["num_targets"] > 0
    done = door("predict", f"--workdir={tmp_path / 'run'}", f"--input={run.parent / 'wav'}")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert len(answers) == 4 * len(TEXTS) and {"source", "translations"} <= answers[0].keys()


@pytest.mark.grid
def test_a_language_model_decides_between_transcripts(
    door: FrontDoor, run: Path, tmp_path: Path
) -> None:
    """One with a large weight, that knows nothing but zeros, reads zeros into every sound."""
    (tmp_path / "zeros.txt").write_text("00000000\n" * 5)
    (tmp_path / "digits.txt").write_text("01\n\n10\n")
    words = ("predict", f"--workdir={run}", f"--input={run.parent / 'wav'}")
    heard = [json.loads(line) for line in door(*words).out.splitlines()]
    model = f"--language_model={tmp_path / 'zeros.txt'}"
    found = [
        json.loads(line)
        for line in door(*words, model, "--language_model_weight=50").out.splitlines()
    ]
    texts = [one["transcripts"][0]["text"] for one in heard]
    assert any("1" in text for text in texts)
    assert not any("1" in one["transcripts"][0]["text"] for one in found)
    assert all("score" in one["transcripts"][0] for one in found)
    field = f"--config.evaluation.language_model={tmp_path / 'zeros.txt'}"
    result = door("evaluate", f"--workdir={run}", "--split=test", field, "--json").json
    assert result["language_model_order"] == 5 and result["length_bonus"] == 1.0

    line = door(*words, f"--language_model={tmp_path / 'zero.txt'}").line
    assert "evaluation.language_model" in line and "zeros.txt" in line, line
    assert "needs evaluation.beam_size above 1" in door(*words, model, "--beam_size=1").line
    line = door(*words, f"--language_model={tmp_path / 'digits.txt'}").line
    assert "digits.txt, line 2: " in line, line


MISTAKES = {
    "no such file": ({"wav/3.wav": "wav/none.wav"}, {}, "cannot be read (No such file"),
    "too long a transcript": (
        {"wav/3.wav,1\n": f"wav/3.wav,{'01' * 40}\n"},
        {"data.targets.max_length": 100},
        "transcripts longer than their frames allow: ",
    ),
    "sample rate 0": ({}, {"data.inputs.sample_rate": 0}, "data.inputs.sample_rate=0: must be"),
}


def test_mistakes_are_one_line(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    table = (run.parent / "sounds.csv").read_text()
    (tmp_path / "wav").symlink_to(run.parent / "wav")
    for name, (replaced, more, expected) in MISTAKES.items():
        text = table
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sounds.csv"
        path.write_text(text)
        target = tmp_path / "run"
        flags = words(str(path), tmp_path / "cache", **more)
        line = door("train", *flags, f"--workdir={target}").line
        assert expected in line and not target.exists(), (name, line)
