"""Parser of the command line: a command's flags, and the config of `--config` or `--workdir`.

Works in two phases: first it sorts the words into flags of the command and overrides of the config,
then it builds the config and applies the overrides. Imports no jax, so that mistakes are reported
at once.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from seqmodels.config.descriptions import describe_meaning
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import config_names, config_summary, load_config
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.serialization import describe_field, leaves, show_value
from seqmodels.config.validate import validate
from seqmodels.runs.opening import read_config

HELP = ("help", "h", "helpshort", "helpfull")
_FLAG = re.compile(r"--?([A-Za-z_][\w.]*)(?:=(.*))?", re.DOTALL)
_WIDTH, _INDENT = 100, 6 * " "
_TYPES = {"string": "text", "bool": "true or false"}


class ConfigSource(enum.Enum):
    """Origin of a command's config."""

    NONE = "none"
    FILE = "--config"
    WORKDIR = "--workdir"
    EITHER = "--config, else --workdir"
    OPTIONAL = "--config, if one is given"
    OWN = "made by the command, which also applies the overrides"


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the front door.

    Attributes:
      name: name on the command line.
      doc: description; its first line appears in the list of commands.
      run: executes the command; returns the exit status.
      define: defines the command's own flags.
      source: origin of its config.
      overridable: sections that `--config.SECTION.field=value` may change; None for all.
      short: own flags that are short for fields of the config, flag -> field.
      positionals: own flags that take the words without a flag, in this order.
      prefixes: families of flags `--PREFIX.NAME=VALUE` whose names the command checks itself.
    """

    name: str
    doc: str
    run: Callable[[Arguments], int]
    define: Callable[[flags.FlagValues], None]
    source: ConfigSource = ConfigSource.NONE
    overridable: tuple[str, ...] | None = None
    short: dict[str, str] = dataclasses.field(default_factory=dict)
    positionals: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def takes_overrides(self) -> bool:
        return self.source is not ConfigSource.NONE and self.overridable != ()

    @property
    def takes_config(self) -> bool:
        return self.source in (ConfigSource.FILE, ConfigSource.EITHER, ConfigSource.OPTIONAL)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Parsed arguments.

    Attributes:
      command: the command.
      flags: its own flags, including `--workdir`.
      config: the validated config with all overrides; None if the command has no config.
      config_name: the value of `--config`, if given.
      overrides: fields that were set, with their values as text.
      prefixed: prefix -> name -> value of the flags `--PREFIX.NAME=VALUE`.
    """

    command: Command
    flags: Any
    config: ExperimentConfig | None
    config_name: str | None
    overrides: tuple[tuple[str, str | None], ...]
    prefixed: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def experiment(self) -> ExperimentConfig:
        """The config of a command that always has one."""
        assert self.config is not None
        return self.config

    @property
    def overrides_data(self) -> bool:
        """Whether the overrides may select data other than those of the work directory."""
        return any(name.startswith("data.") for name, _ in self.overrides)

    @property
    def workdir(self) -> Path:
        """The work directory.

        Raises:
          UserError: none was given.
        """
        if self.flags.workdir is None:
            raise UserError("--workdir=DIR is required")
        return Path(self.flags.workdir).expanduser()


@dataclasses.dataclass
class _Sorted:
    """The words of a command line, sorted by purpose."""

    own: dict[str, str]
    overrides: list[tuple[str, str | None]]
    config: str | None = None
    wants_help: bool = False
    prefixed: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)


def parse(command: Command, argv: Sequence[str]) -> Arguments | str:
    """Parses the words after the command's name.

    Returns:
      The arguments, or the help text if `--help` was given.

    Raises:
      UserError: a word, flag or value is not allowed.
    """
    values = flags.FlagValues()
    command.define(values)
    words = _sort(command, values, argv)
    if words.wants_help:
        return _help(command, values, words)
    for name, text in words.own.items():
        try:
            values(["", f"--{name}={text}"])
        except flags.Error:
            raise UserError(f"--{name}={text}: must be {_flag_type(values[name])}") from None
    values.mark_as_parsed()
    config = _build_config(command, values, words)
    return Arguments(command, values, config, words.config, tuple(words.overrides), words.prefixed)


def _sort(command: Command, values: flags.FlagValues, argv: Sequence[str]) -> _Sorted:
    words, left = _Sorted({}, [], prefixed={p: {} for p in command.prefixes}), list(argv)
    while left:
        word = left.pop(0)
        match = _FLAG.fullmatch(word)
        free = [name for name in command.positionals if name not in words.own]
        if match is None and free:
            words.own[free[0]] = word
            continue
        if match is None:
            raise UserError(f"{word!r} is not a flag; flags are {_flag_names(command, values)}")
        name, text = match.groups()
        if name in HELP:
            words.wants_help = True
            continue
        if text is None and _is_negated(name, values):
            name, text = name.removeprefix("no"), "false"
        is_switch = name in values and values[name].boolean
        if text is None and not is_switch and left and not _FLAG.fullmatch(left[0]):
            text = left.pop(0)  # the form '--flag value'
        _place(command, values, words, name, text)
    return words


def _is_negated(name: str, values: flags.FlagValues) -> bool:
    """Whether the flag is `--noNAME` of a switch or `--noconfig.FIELD`."""
    rest = name.removeprefix("no")
    switch = rest in values and values[rest].boolean
    return rest != name and (switch or rest.startswith("config."))


def _place(
    command: Command, values: flags.FlagValues, words: _Sorted, name: str, text: str | None
) -> None:
    if name.startswith("config.") and command.takes_overrides:
        words.overrides.append((name.removeprefix("config."), text))
    elif name == "config" and command.takes_config:
        if not text:
            raise UserError(f"--config: needs a name; one of: {', '.join(config_names())}")
        words.config = text
    elif (family := words.prefixed.get(name.partition(".")[0])) is not None and "." in name:
        if not text:
            raise UserError(f"--{name}: needs a value")
        if family.setdefault(name.partition(".")[2], text) != text:
            raise UserError(f"--{name}={text}: is given twice")
    elif name in values:
        if text is None and not values[name].boolean:
            raise UserError(f"--{name}: needs a value, {_flag_type(values[name])}")
        words.own[name] = "true" if text is None else text
        if name in command.short:
            words.overrides.append((command.short[name], text))
    elif name.partition(".")[0] == "config" and command.source is ConfigSource.WORKDIR:
        sections = " and ".join(command.overridable or ())
        only = f", except --config.FIELD=VALUE in the sections {sections}" if sections else ""
        raise UserError(f"--{name}: {command.name} takes the config from --workdir{only}")
    else:
        known = [*values, *(["config"] if command.takes_config else []), *command.prefixes]
        near = suggest(name.partition(".")[0], known)
        raise UserError(f"--{name}: {command.name} has no such flag{near}")


def _flag_names(command: Command, values: flags.FlagValues) -> str:
    names = (["--config"] if command.takes_config else []) + [f"--{name}" for name in values]
    if command.takes_overrides:
        names += ["--config.SECTION.FIELD"]
    names += [f"--{prefix}.NAME" for prefix in command.prefixes]
    return ", ".join(names)


def _flag_type(flag: flags.Flag) -> str:
    if flag.flag_type() == "string enum":
        return "one of: " + ", ".join(flag.parser.enum_values)  # type: ignore[attr-defined]
    if flag.flag_type() in ("int", "float"):
        return flag.parser.syntactic_help  # includes the bounds
    return _TYPES[flag.flag_type()]


def _build_config(
    command: Command, values: flags.FlagValues, words: _Sorted
) -> ExperimentConfig | None:
    config = _first_config(command, values, words)
    for name, text in words.overrides:
        section = name.partition(".")[0]
        if command.overridable is not None and section not in command.overridable:
            raise UserError(
                f"--config.{name}{'' if text is None else f'={text}'}: {command.name} overrides "
                f"only {' and '.join(command.overridable)}; all else is fixed by the run"
            )
    if config is not None:
        override(config, words.overrides)
        validate(config)
    return config


def override(
    config: ExperimentConfig, overrides: Sequence[tuple[str, str | None]]
) -> ExperimentConfig:
    """Sets fields of `config` in place.

    Raises:
      UserError: a field is unknown, or a value has the wrong type.
    """
    apply_overrides(config, overrides, alternatives())
    return config


def _first_config(
    command: Command, values: flags.FlagValues, words: _Sorted
) -> ExperimentConfig | None:
    """The config before overrides; None if the command has no config."""
    if command.source in (ConfigSource.NONE, ConfigSource.OWN):
        return None
    if words.config is not None:
        return load_config(words.config)
    if command.source is ConfigSource.OPTIONAL:
        return None
    if command.source is ConfigSource.FILE:
        raise UserError(f"--config=NAME is required; one of: {', '.join(config_names())}")
    workdir = values["workdir"].value
    if workdir is None:
        which = "--workdir=DIR is"
        if command.source is ConfigSource.EITHER:
            which = f"--config=NAME (one of: {', '.join(config_names())}) or --workdir=DIR is"
        raise UserError(f"{which} required")
    return read_config(Path(workdir).expanduser())


def alternatives() -> list[str]:
    """Every config with every variant."""
    return [
        f"{name}:{variant}" if len(variants) > 1 else name
        for name in config_names()
        for variants in (config_summary(name)[1],)
        for variant in variants
    ]


def _help(command: Command, values: flags.FlagValues, words: _Sorted) -> str:
    """The help of a command; with `--config` or `--workdir` also all fields with their values."""
    usage = f"python launch.py {command.name}"
    usage += "".join(f" [{name.upper()}]" for name in command.positionals)
    if command.takes_config:
        usage += " --config=NAME[:variant]"
    usage += "".join(f" --{prefix}.NAME=VALUE" for prefix in command.prefixes)
    lines = [f"{usage} [flags]", "", *command.doc.strip().split("\n"), "", "flags:"]
    if command.takes_config:
        lines += _flag_help("--config=NAME[:variant]", None, f"one of: {', '.join(config_names())}")
    for name in values:
        flag = values[name]
        kind = _flag_type(flag)
        shown = f"--[no]{name}" if flag.boolean else f"--{name}=({kind})"
        lines += _flag_help(shown, flag.default, flag.help)
    if command.takes_overrides:
        lines += ["", *_config_help(command, words)]
    return "\n".join(lines)


def _flag_help(flag: str, default: Any, text: str | None) -> list[str]:
    return [f"  {flag}", f"{_INDENT}{text}; default {show_value(default)}"]


def _config_help(command: Command, words: _Sorted) -> list[str]:
    sections = "" if command.overridable is None else f" ({' and '.join(command.overridable)} only)"
    how = f"fields{sections}, set by --config.FIELD=VALUE; none clears an optional field"
    named = words.config
    directory = words.own.get("workdir")
    if command.source is ConfigSource.OWN:
        return [f"config {how}"]
    if named is None and directory is None:
        return [f"config {how}: see them with --config=NAME --help"]
    config = load_config(named) if named else read_config(Path(str(directory)).expanduser())
    apply_overrides(config, words.overrides, alternatives())
    rows = [
        (f"{name}={show_value(value)}", describe_field(config, name, kind), name)
        for name, kind, value in leaves(config)
        if command.overridable is None or name.partition(".")[0] in command.overridable
    ]
    width = max(len(left) for left, *_ in rows)
    lines, fill = [f"config {how}:"], textwrap.TextWrapper(_WIDTH, _INDENT, _INDENT).wrap
    # What is said of several fields is said once, after the last of them.
    for meaning, fields in itertools.groupby(rows, lambda row: describe_meaning(config, row[2])):
        lines += [f"  {left:<{width}}  {right}" for left, right, _ in fields]
        lines += fill(meaning)
    return lines
