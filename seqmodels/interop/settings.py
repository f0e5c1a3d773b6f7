"""Reading of a Hugging Face `config.json`; refuses settings that we do not compute."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from seqmodels.config.errors import UserError
from seqmodels.config.models import Activation

T = TypeVar("T")
_LARGEST = 2**31 - 1  # positions, tokens and shapes are int32
_MOST_CLASSES = 2**20

ACTIVATIONS = {
    "gelu_new": Activation.GELU,
    "gelu_pytorch_tanh": Activation.GELU,
    "gelu_fast": Activation.GELU,
    "gelu": Activation.GELU_EXACT,
    "gelu_python": Activation.GELU_EXACT,
    "relu": Activation.RELU,
}
"""Our activation by its Hugging Face name."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The fields of a `config.json`; a missing field has the default of its architecture.

    Attributes:
      path: path of the file, for messages.
      values: its contents.
    """

    path: Path
    values: Mapping[str, Any]

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer from 1 to 2^31 - 1; `default` where the field is missing or null."""
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if type(value) is not int or not 1 <= value <= _LARGEST:
            raise self.refused(name, f"an integer from 1 to {_LARGEST}")
        return value

    def pair(self, name: str, default: int) -> tuple[int, int]:
        """Two integers from 1 to 2^31 - 1; the file may give one for both."""
        value = self.values.get(name, default)
        numbers: list[Any] = [value, value]
        if isinstance(value, list) and len(value) == 2:
            numbers = value
        if not all(type(number) is int and 1 <= number <= _LARGEST for number in numbers):
            raise self.refused(name, f"an integer from 1 to {_LARGEST}, or two of them")
        return numbers[0], numbers[1]

    def number(self, name: str, default: float) -> float:
        """A finite number of 0 or more."""
        value = self.values.get(name, default)
        if type(value) not in (int, float) or not 0 <= value <= sys.float_info.max:
            raise self.refused(name, "a number of 0 or more")
        return float(value)

    def dropout(self, name: str, *others: str, default: float) -> tuple[float, tuple[str, ...]]:
        """The one rate of our models, that of field `name`, and a note for each field that differs.

        A null or missing field of `others` is the same as `name`, or the default.
        """
        rate, notes = self.number(name, default), list[str]()
        for other in others:
            there = self.number(other, default) if self.values.get(other, 0) is not None else rate
            if there != rate:
                notes.append(f"{other}={there} is not used: dropout_rate={rate}, from {name}, is")
        return rate, tuple(notes)

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false")
        return value

    def choice(self, name: str, choices: Mapping[str, T], default: str) -> T:
        """Our value for one of the names in `choices`."""
        value = self.values.get(name, default)
        if not isinstance(value, str) or value not in choices:
            raise self.refused(name, ", ".join(choices))
        return choices[value]

    def require(self, **expected: Any) -> None:
        """Refuses values other than these; a missing field counts as the expected value.

        Raises:
          UserError: for the first field that differs, with its value and what is allowed.
        """
        for name, value in expected.items():
            if self.values.get(name, value) != value:
                raise self.refused(name, _show(value))

    def refused(self, name: str, allowed: str) -> UserError:
        """The error of a field whose value is not one of those that are allowed."""
        value = self.values.get(name)
        return UserError(f"{self.path}: {name}={_show(value)} is not supported; allowed: {allowed}")


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def class_names(settings: Settings, classes: int) -> tuple[str, ...]:
    """Names of the classes of `id2label`; LABEL_n for one that has none.

    Raises:
      UserError: there are more than any file of weights has, and they would fill the memory.
    """
    if classes > _MOST_CLASSES:
        raise settings.refused("num_labels", f"at most {_MOST_CLASSES:,}")
    labels = settings.values.get("id2label")
    named = labels if isinstance(labels, dict) else {}
    return tuple(str(named.get(str(n), f"LABEL_{n}")) for n in range(classes))
