"""Meanings of config fields, from the docstrings of their classes. Imports no jax."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import operator
import re
from typing import Any

from seqmodels.config.serialization import field_types

_ENTRY = re.compile(r"^  (\w+(?:, \w+)*): ", re.MULTILINE)


@functools.cache
def describe_fields(cls: type) -> dict[str, str]:
    """Name -> meaning of the fields of a config class, from `Attributes:` of it and its bases.

    One entry may describe several fields, "a, b: ..", or hold several, "a: ..; b: ..".
    """
    found: dict[str, str] = {}
    names = {field.name for field in dataclasses.fields(cls)}
    for owner in reversed(cls.__mro__):
        text = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")[2]
        parts = _ENTRY.split(re.split(r"\n\n|\n(?=\S)", text)[0])
        for heads, meaning in zip(parts[1::2], parts[2::2], strict=True):
            words = " ".join(meaning.split())
            pieces = re.split(r"; (?=(\w+): )", words)  # with the names between
            owners = [heads.split(", "), *([name] for name in pieces[1::2])]
            for fields, piece in zip(owners, pieces[::2], strict=True):
                if not names.issuperset(fields):
                    continue
                meaning = piece.removeprefix(f"{fields[0]}: ").rstrip(".")
                found |= dict.fromkeys(fields, meaning)
    return found


def describe_meaning(config: Any, name: str) -> str:
    """The meaning of a field of `config`, and of its choices; nothing if its class says nothing.

    Args:
      config: the config.
      name: dotted name of the field.
    """
    path, _, field = name.rpartition(".")
    owner = type(operator.attrgetter(path)(config) if path else config)
    meaning, kind = describe_fields(owner).get(field, ""), field_types(owner)[field]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        choices = " ".join(inspect.cleandoc(kind.__doc__ or "").split()).rstrip(".")
        return meaning.replace(f"see `{kind.__name__}`", choices)
    return meaning
