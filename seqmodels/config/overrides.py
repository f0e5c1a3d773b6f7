"""Overrides of single config fields from the command line. Imports no jax."""

from __future__ import annotations

import dataclasses
import enum
import operator
from collections.abc import Iterable
from typing import Any

from absl import flags

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import describe_type, field_types, leaves, optional_of


def apply_overrides(
    config: ExperimentConfig, overrides: Iterable[tuple[str, str | None]], variants: Iterable[str]
) -> None:
    """Sets fields of `config` in place; of several values for one field the last one counts.

    Args:
      overrides: dotted name and text of each; a text of None is a name without a value, which means
        true. `none` clears an optional field.
      variants: values of `--config=...` to suggest where someone tries to replace a whole section.

    Raises:
      UserError: an unknown field (with the nearest spelling), a whole section, a wrong type.
    """
    for name, text in dict(overrides).items():
        _apply(config, name, text, variants)


def _apply(config: ExperimentConfig, name: str, text: str | None, variants: Iterable[str]) -> None:
    owner, field, kind = _find(config, name, variants)
    flag = f"--config.{name}"
    if text is None:
        if kind is not bool:
            raise UserError(f"{flag}: needs a value; {flag}=VALUE with {describe_type(kind)}")
        text = "true"
    inner = optional_of(kind)
    if inner is not None and text.lower() == "none":
        setattr(owner, field, None)
        return
    from ml_collections import config_flags  # here, because `benchmark` runs without it

    # ml_collections reads Field.type, which is a string with postponed annotations.
    dataclasses.fields(owner)[list(field_types(type(owner))).index(field)].type = kind
    choices = inner or kind
    is_choice = issubclass(choices, enum.Enum)
    # ml_collections knows the names of choices, where a hyphen of the value is an underscore.
    argv = ["config", f"{flag}={text.replace('-', '_') if is_choice else text}"]
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_dataclass(
        "config", config, flag_values=values, sys_argv=argv
    )
    try:
        values(argv)
        setattr(owner, field, operator.attrgetter(name)(holder.value))
    except (flags.Error, ValueError, TypeError):
        line = f"{flag}={text}: must be {describe_type(kind)}"
        if is_choice:
            near = suggest(text, [member.value for member in choices])
            line += near if "did you mean" in near else ""
        raise UserError(line) from None


def _find(config: ExperimentConfig, name: str, variants: Iterable[str]) -> tuple[Any, str, Any]:
    """Returns the section that holds a field, the field's own name and its type."""
    owner: Any = config
    parts = name.split(".")
    for depth, part in enumerate(parts):
        types = field_types(type(owner))
        before = ".".join(parts[:depth])
        if part not in types:
            near = _suggest(config, name, owner)
            raise UserError(f"--config.{name}: {_describe(owner, before)}{near}")
        if getattr(owner, part) is None and dataclasses.is_dataclass(optional_of(types[part])):
            raise UserError(f"--config.{name}: {_no_section(owner, '.'.join(parts[: depth + 1]))}")
        if not dataclasses.is_dataclass(getattr(owner, part)):
            if depth + 1 < len(parts):
                raise UserError(f"--config.{name}: {'.'.join(parts[: depth + 1])} is not a section")
            return owner, part, types[part]
        owner = getattr(owner, part)
    raise UserError(
        f"--config.{name}: a section cannot be replaced; set its fields (--config.{name}."
        f"{next(iter(field_types(type(owner))))}=...), or choose another config or variant: "
        + ", ".join(variants)
    )


def _no_section(owner: Any, path: str) -> str:
    """Says that an optional section is none, and which ones are not."""
    there = [
        name for name in field_types(type(owner)) if dataclasses.is_dataclass(vars(owner)[name])
    ]
    return f"this config has no {path}; it has {' and '.join(there)}"


def _describe(owner: Any, path: str) -> str:
    if not path:
        return "the config has no such section"
    kind = f" (kind {owner.kind})" if "kind" in vars(type(owner)) else ""
    return f"{path}{kind} has no such field"


def _suggest(config: ExperimentConfig, name: str, owner: Any) -> str:
    """The nearest field: the same name elsewhere, then a similar one here, then anywhere."""
    every = [path for path, _, _ in leaves(config)]
    last = name.rpartition(".")[2]
    same = [path for path in every if path.rpartition(".")[2] == last]
    if same:
        return f"; did you mean {same[0]!r}?"
    if owner is not config:
        return suggest(last, field_types(type(owner)))
    near = suggest(name, every)
    if "did you mean" in near:
        return near
    return suggest(name.partition(".")[0], field_types(type(owner)))
