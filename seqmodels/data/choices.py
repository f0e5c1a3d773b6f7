"""Questions with answers to choose from, as a file of JSON lines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.files import read_filled_lines

FIELDS = ("prompt", "choices", "answer")
SEPARATOR = "\n\n"
"""Written after each demonstration."""


@dataclasses.dataclass(frozen=True)
class Question:
    """One line of a file.

    Attributes:
      where: file and line, for errors.
      prompt: the text before the answer, white space included; may be empty.
      choices: two or more answers.
      answer: number of the right one, from 0.
    """

    where: str
    prompt: str
    choices: tuple[str, ...]
    answer: int


def read_questions(path: Path, num_shots: int = 0) -> list[Question]:
    """Reads a file; each line is {"prompt": text, "choices": [text, text, ..], "answer": number}.

    Args:
      num_shots: questions at the beginning of the file that stand, with their right answers,
        before each prompt of the others, and are not asked.

    Raises:
      UserError: the file cannot be read, a line, which is named, is not a question, or none is
        left.
    """
    found = [_parse(f"{path}, line {n}", line) for n, line in enumerate(read_filled_lines(path), 1)]
    if num_shots >= len(found):
        raise UserError(
            f"--num_shots={num_shots}: {path} has {len(found)} questions; it must be at most "
            f"{len(found) - 1}"
        )
    shots = "".join(q.prompt + q.choices[q.answer] + SEPARATOR for q in found[:num_shots])
    return [dataclasses.replace(q, prompt=shots + q.prompt) for q in found[num_shots:]]


def _parse(where: str, line: str) -> Question:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{where}: must be an object with {', '.join(FIELDS)}")
    for name in FIELDS:
        if name not in values:
            there = ", ".join(map(repr, values)) or "nothing"
            raise UserError(f"{where}: has no {name!r} but {there}; needed: {', '.join(FIELDS)}")
    prompt, choices, answer = (values[name] for name in FIELDS)
    if not isinstance(prompt, str):
        raise UserError(f"{where}: prompt={prompt!r}: must be text")
    texts = isinstance(choices, list) and all(isinstance(c, str) and c for c in choices)
    if not texts or len(choices) < 2:
        raise UserError(f"{where}: choices={choices!r}: must be two texts or more, none empty")
    if len(set(choices)) < len(choices):
        raise UserError(f"{where}: choices={choices!r}: two of them are the same")
    if type(answer) is not int or not 0 <= answer < len(choices):
        last = len(choices) - 1
        raise UserError(f"{where}: answer={answer!r}: must be a number from 0 to {last}")
    return Question(where, prompt, tuple(choices), answer)
