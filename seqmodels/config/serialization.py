"""Exact conversion of configs to and from JSON, and differences of two configs. Imports no jax."""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
import types
import typing
from collections.abc import Iterator
from typing import Any

from seqmodels import registry
from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import FeatureConfig
from seqmodels.config.fields import choices_of
from seqmodels.config.models import ModelConfig
from seqmodels.config.tasks import TaskConfig

KIND = "kind"
"""The key under which JSON names the class of a section that has several."""


def _kinds(base: type) -> dict[str, type]:
    """The config classes of a section by their `kind`; empty where there is only one class."""
    tables = {
        ModelConfig: registry.MODELS,
        TaskConfig: registry.TASKS,
        DataConfig: registry.DATA,
        FeatureConfig: registry.FEATURES,
    }
    classes = [registry.resolve(entry.config) for entry in tables.get(base, {}).values()]
    return {cls.kind: cls for cls in classes}


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """Types of a config class's fields, in order."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def optional_of(kind: Any) -> Any | None:
    """Returns X for the type `X | None`, else None."""
    if isinstance(kind, types.UnionType):
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return None


def describe_type(kind: Any) -> str:
    """A type in plain words: an integer, a number, text, true or false, one of: ..."""
    inner = optional_of(kind)
    if inner is not None:
        return f"{describe_type(inner)}, or none"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of: " + ", ".join(member.value for member in kind)
    return {int: "an integer", float: "a number", str: "text", bool: "true or false"}[kind]


def describe_field(config: Any, name: str, kind: Any) -> str:
    """The values that a field of `config` may hold, in plain words; `name` is dotted."""
    path, _, field = name.rpartition(".")
    choices = choices_of(operator.attrgetter(path)(config), field)
    return f"one of: {', '.join(choices)}" if choices else describe_type(kind)


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields (dotted name, type, value) for every field, including those of sections."""
    for name, kind in field_types(type(config)).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{name}.")
        elif value is not None or not dataclasses.is_dataclass(optional_of(kind)):
            yield f"{prefix}{name}", kind, value


def to_json(config: ExperimentConfig) -> dict[str, Any]:
    """Returns the config as JSON values; a section with several kinds includes its `kind`."""

    def convert(value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return value.value
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return value
        named = {KIND: value.kind} if hasattr(value, KIND) else {}  # type: ignore[attr-defined]
        names = field_types(type(value))
        return named | {name: convert(getattr(value, name)) for name in names}

    return convert(config)


def from_json(values: Any) -> ExperimentConfig:
    """Builds the config that `to_json` wrote.

    Raises:
      UserError: names a key that is unknown or missing, or a value of the wrong type.
    """
    return _build(ExperimentConfig, values, "")


def _build(base: Any, values: Any, path: str) -> Any:
    where = path or "the whole config"
    if not isinstance(values, dict):
        raise UserError(f"config: {where} must be an object, not {values!r}")
    values, cls = dict(values), base
    prefix = f"{path}." if path else ""
    if kinds := _kinds(base):
        if KIND not in values:
            raise UserError(f"config: {prefix}{KIND} is missing")
        kind = values.pop(KIND)
        if kind not in kinds:
            near = suggest(str(kind), kinds)
            raise UserError(f"config: {prefix}{KIND}={kind!r} is not known{near}")
        cls = kinds[kind]
    fields = field_types(cls)
    for name in values:
        if name not in fields:
            raise UserError(f"config: {prefix}{name} is not known{suggest(name, fields)}")
    for name in fields:
        if name not in values:
            raise UserError(f"config: {prefix}{name} is missing")
    built = {name: _field(kind, values[name], prefix + name) for name, kind in fields.items()}
    return cls(**built)


def _field(kind: Any, value: Any, path: str) -> Any:
    """A section, one that may be none, or a value."""
    inner = optional_of(kind)
    if dataclasses.is_dataclass(inner or kind):
        return None if inner is not None and value is None else _build(inner or kind, value, path)
    return _value(kind, value, path)


def _value(kind: Any, value: Any, path: str) -> Any:
    inner = optional_of(kind)
    if inner is not None and value is None:
        return None
    expected = inner or kind
    if issubclass(expected, enum.Enum):
        if value in [member.value for member in expected]:
            return expected(value)
    elif expected is float and type(value) is int:
        return float(value)
    elif type(value) is expected:
        return value
    raise UserError(f"config: {path}={value!r}: must be {describe_type(kind)}")


def differences(old: ExperimentConfig, new: ExperimentConfig) -> list[str]:
    """Returns one 'field: old -> new' for each field that differs, in the order of the fields."""
    before, after = flat_values(old), flat_values(new)
    absent = object()
    lines = []
    for name in {**before, **after}:
        a, b = before.get(name, absent), after.get(name, absent)
        # repr distinguishes 1 from 1.0 and from True.
        if a is not b and repr(a) != repr(b):
            show = lambda x: "absent" if x is absent else show_value(x)
            lines.append(f"{name}: {show(a)} -> {show(b)}")
    return lines


def show_value(value: Any) -> str:
    """A value as written on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value if isinstance(value, enum.Enum) else value)


def flat_values(config: ExperimentConfig) -> dict[str, Any]:
    """The JSON value of each field, by its name."""
    return _flat(to_json(config))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat
