"""Use and misuse of `evaluate --choices`, `generate --prompt_file` and `--beam_size`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.experiments.conftest import FrontDoor

QUESTION = {"prompt": "main ", "choices": ["serial", "tin"], "answer": 1}


def ask(folder: Path, **changes: object) -> Path:
    path = folder / "asked.jsonl"
    path.write_text("".join(json.dumps({**QUESTION, **c}) + "\n" for c in ({}, changes)))
    return path


def test_questions_are_answered(door: FrontDoor, copy_of_trained: Path, tmp_path: Path) -> None:
    words = ("evaluate", f"--workdir={copy_of_trained}", f"--choices={ask(tmp_path, answer=0)}")
    found = door(*words, "--json").json
    assert found["num_questions"] == 2
    assert found["accuracy"] == found["chance"] == found["baseline"]["accuracy"] == 0.5
    folder = copy_of_trained / "evaluations"
    name = f"{found['split']}-{found['step']}.json"
    assert name.startswith("choices-asked-")
    assert json.loads((folder / name).read_text()) == found
    told = door(*words, "--config.evaluation.batch_size=1").err
    assert "2 questions" in told and "no prompt" in told and "chance" in told
    assert [path.name for path in folder.iterdir()] == [name]
    ask(tmp_path, answer=1)  # other questions in a file of the same name
    assert door(*words, "--json").json["accuracy"] != found["accuracy"]
    assert len(list(folder.iterdir())) == 2 and json.loads((folder / name).read_text()) == found


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--choices={}", "asked.jsonl, line 2: answer=5: must be a number from 0 to 1"),
        ("--choices=none.jsonl", "--choices=none.jsonl: no such file"),
        ("--choices=", "--choices= names no file"),
        ("--choices={} --config.data.path=x", "--config.data.path=x: has no effect with --choi"),
        ("--choices={} --config.evaluation.context=carry", "; evaluation.batch_size may be set"),
        ("--choices={} --split=test", "--split=test: has no effect with --choices"),
        ("--num_shots=1", "--num_shots: needs --choices=FILE"),
        ("--choice={}", "evaluate has no such flag; did you mean 'choices'?"),
    ],
)
def test_mistakes(door: FrontDoor, trained: Path, tmp_path: Path, flags: str, told: str) -> None:
    words = flags.format(ask(tmp_path, answer=5)).split()
    assert told in door("evaluate", f"--workdir={trained}", *words).line


def test_too_few_symbols(door: FrontDoor, trained: Path, tmp_path: Path) -> None:
    path = ask(tmp_path, choices=["tin", "ZZ"])
    line = door("evaluate", f"--workdir={trained}", f"--choices={path}").line
    assert "line 2: 'ZZ': the text has 2 symbols outside the vocabulary" in line
    path = ask(tmp_path)
    line = door("evaluate", f"--workdir={trained}", f"--choices={path}", "--num_shots=1").line
    assert "outside the vocabulary: U+000A" in line  # the blank line after a shot


def test_a_prompt_file_is_continued(door: FrontDoor, copy_of_trained: Path, tmp_path: Path) -> None:
    words = ("generate", f"--workdir={copy_of_trained}", "--max_tokens=5", "--json")
    path, prompt = tmp_path / "text.txt", "main serial tin" * 20
    path.write_text(prompt)
    found = door(*words, f"--prompt_file={path}").json
    assert found["prompt"] == prompt
    assert found["texts"] == door(*words, f"--prompt={prompt}").json["texts"]
    assert "give only one of the two" in door(*words, f"--prompt_file={path}", "--prompt=a").line
    path.write_bytes(b"ma\xe9")
    assert "text.txt, line 1: not UTF-8: byte 0xe9 at" in door(*words, f"--prompt_file={path}").line
    path.write_text("")
    assert "text.txt: is empty" in door(*words, f"--prompt_file={path}").line
    assert "no such file" in door(*words, "--prompt_file=text.tx").line


def test_likely_texts_are_found(door: FrontDoor, copy_of_trained: Path) -> None:
    words = ("generate", f"--workdir={copy_of_trained}", "--prompt=ma", "--max_tokens=6")
    flags = ("--beam_size=3", "--num_samples=2", "--end= ")
    found = door(*words, *flags, "--json").json
    first, second = found["texts"]
    assert first != second and first.endswith(" ") and first.startswith("ma")
    assert found["scores"] == found["log_probabilities"] == sorted(found["scores"], reverse=True)
    told = door(*words, *flags)
    assert told.out == f"{first}\n{second}\n" and "log p" in told.err
    kept = sorted((copy_of_trained / "samples").glob("*.json"))
    assert json.loads(kept[0].read_text()) == found
    for flag, message in {
        "--seed=2": "--seed=2: has no effect with --beam_size",
        "--num_samples=4": "--num_samples=4: must be at most --beam_size, 3",
        "--end=": "--beam_size=3: needs --end=TEXT",
        "--min_tokens=7": "--min_tokens=7: must be at most --max_tokens, 6",
        "--end=ab": "outside the vocabulary",
    }.items():
        assert message in door(*words, *flags, flag).line
    assert "needs --beam_size" in door(*words, "--length_penalty=1").line
