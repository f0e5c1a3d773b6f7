"""Files of questions, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.data.choices import read_questions

GOOD = {"prompt": "1 + 1 =", "choices": [" 2", " 3"], "answer": 0}


def write(folder: Path, *lines: object) -> Path:
    path = folder / "asked.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
    return path


def test_shots_stand_before_the_prompt_and_are_not_asked(tmp_path: Path) -> None:
    more = {"prompt": "2 + 2 =", "choices": [" 3", " 4", " 5"], "answer": 1}
    path = write(tmp_path, GOOD, more, {**GOOD, "answer": 1})
    first, second, third = read_questions(path)
    assert (first.prompt, first.choices, first.answer) == ("1 + 1 =", (" 2", " 3"), 0)
    assert (second.answer, len(second.choices), third.answer) == (1, 3, 1)
    (asked,) = read_questions(path, 2)
    assert asked.prompt == "1 + 1 = 2\n\n2 + 2 = 4\n\n1 + 1 ="
    assert asked.answer == 1
    with pytest.raises(UserError, match=r"--num_shots=3: .* has 3 questions; it must be at most 2"):
        read_questions(path, 3)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2: not JSON: "),
        ([1], "line 2: must be an object with prompt, choices, answer"),
        ({"prompt": "a", "choice": []}, "line 2: has no 'choices' but 'prompt', 'choice'; needed"),
        ({**GOOD, "prompt": 1}, "line 2: prompt=1: must be text"),
        ({**GOOD, "choices": ["a"]}, "line 2: choices=['a']: must be two texts or more"),
        ({**GOOD, "choices": ["a", ""]}, "none empty"),
        ({**GOOD, "choices": ["a", "b", "a"]}, "line 2: choices=['a', 'b', 'a']: two of them are"),
        ("[" * 100_000, "line 2: not JSON: "),
        ({**GOOD, "answer": 2}, "line 2: answer=2: must be a number from 0 to 1"),
        ({**GOOD, "answer": True}, "line 2: answer=True: must be a number from 0 to 1"),
        ("", "line 2: is empty"),
    ],
)
def test_lines_that_are_no_questions_are_named(tmp_path: Path, line: object, told: str) -> None:
    with pytest.raises(UserError) as caught:
        read_questions(write(tmp_path, GOOD, line, GOOD))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\ncaf\xe9\n", "asked.jsonl, line 2: not UTF-8: byte 0xe9"),
        (b"\n\0\n", "asked.jsonl, line 2: binary, not text"),
        (None, "asked.jsonl: not UTF-8 but UTF-16"),
    ],
)
def test_files_of_another_encoding_are_told(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path, line = tmp_path / "asked.jsonl", json.dumps(GOOD)
    path.write_bytes(line.encode("utf-16") if content is None else line.encode() + content)
    with pytest.raises(UserError) as caught:
        read_questions(path)
    assert told in str(caught.value)
