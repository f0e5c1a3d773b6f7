"""The runs of a sweep: fields with their values, checked against the config. Imports no jax.

    --sweep.FIELD=a,b,c           the values listed; separated by ";" where one contains a comma
    --sweep.FIELD=0..4            the integers from 0 to 4
    --sweep.FIELD=log:1e-4..1e-2  with --random=N: N numbers, uniform in their logarithm
    --sweep.FIELD=linear:0..0.5   with --random=N: N numbers, uniform

The runs are all combinations of the listed values, once for each of the N points. Point i depends
on i, the field and its bounds alone, so that a larger N adds points and keeps the others.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import hashlib
import itertools
import math
import operator
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.serialization import flat_values, leaves, optional_of, show_value
from seqmodels.config.validate import validate

MAX_RUNS = 10_000
_MAX_NAME = 120
_SCALES = ("log", "linear")
_INTEGERS = re.compile(r"(-?\d+)\.\.(-?\d+)")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SPAN = re.compile(rf"(\w+):({_NUMBER})\.\.({_NUMBER})")


@dataclasses.dataclass(frozen=True)
class Planned:
    """A run of a sweep.

    Attributes:
      name: of its directory: the swept fields with their values.
      values: swept field -> JSON value.
      config: the whole config.
    """

    name: str
    values: dict[str, Any]
    config: ExperimentConfig


@dataclasses.dataclass(frozen=True)
class _Span:
    """An interval that numbers are drawn from."""

    scale: str
    low: float
    high: float
    whole: bool

    def draw(self, field: str, point: int) -> str:
        """The text of a number, to three digits, which its name then has exactly."""
        share = random.Random(f"{field} {self.scale} {self.low} {self.high} {point}").random()
        if self.scale == "log":
            drawn = math.exp(
                math.log(self.low) + share * (math.log(self.high) - math.log(self.low))
            )
        else:
            drawn = self.low + share * (self.high - self.low)
        if self.whole:
            return str(min(max(round(drawn), math.ceil(self.low)), math.floor(self.high)))
        return repr(min(max(float(f"{drawn:.3g}"), self.low), self.high))


def plan(
    config: ExperimentConfig,
    sweeps: Mapping[str, str],
    num_random: int | None,
    variants: Iterable[str] = (),
) -> list[Planned]:
    """Plans the runs of a sweep.

    Args:
      config: of all runs, except for the swept fields.
      sweeps: field -> values as written.
      num_random: the number of points that are drawn; None where none is.
      variants: see `apply_overrides`.

    Raises:
      UserError: a field, a value or a combination is not allowed, or --random does not fit.
    """
    variants = list(variants)
    listed: dict[str, list[str]] = {}
    spans: dict[str, _Span] = {}
    for field, text in sweeps.items():
        found = _parse(config, field, text, variants)
        if isinstance(found, _Span):
            spans[field] = found
        else:
            listed[field] = found
    if spans and num_random is None:
        field = next(iter(spans))
        raise UserError(f"--sweep.{field}={sweeps[field]}: needs --random=N, the number of points")
    if num_random is not None and not spans:
        raise UserError(
            f"--random={num_random}: draws from --sweep.FIELD=log:LOW..HIGH or linear:LOW..HIGH, "
            "and none is given"
        )
    count = (num_random or 1) * math.prod(map(len, listed.values()))
    if count > MAX_RUNS:
        raise UserError(f"--sweep: {count:,} runs; at most {MAX_RUNS:,} are allowed")
    typed = {
        field: {text: _typed(config, field, text, sweeps[field], variants) for text in texts}
        for field, texts in listed.items()
    }
    _refuse_duplicates(typed, sweeps)
    runs = []
    for point in range(num_random or 1):
        drawn = {f: _typed(config, f, s.draw(f, point), "", variants) for f, s in spans.items()}
        for chosen in itertools.product(*(values.values() for values in typed.values())):
            values = {**drawn, **dict(zip(typed, chosen, strict=True))}
            runs.append(_make(config, {field: values[field] for field in sweeps}))
    return list(_named_once(runs))


def _parse(
    config: ExperimentConfig, field: str, text: str, variants: Sequence[str]
) -> list[str] | _Span:
    """The values of a field as texts, or where they are drawn from."""
    flag = f"--sweep.{field}={text}"
    kinds = {name: kind for name, kind, _ in leaves(config)}
    if field not in kinds:
        _typed(config, field, text, text, variants)  # says what is wrong with the name
    number = optional_of(kinds[field]) or kinds[field]
    if match := _SPAN.fullmatch(text):
        scale, low, high = match[1], float(match[2]), float(match[3])
        if scale not in _SCALES:
            raise UserError(f"{flag}: {scale!r} is not a scale{suggest(scale, _SCALES)}")
        if number not in (int, float):
            raise UserError(f"{flag}: numbers are drawn, and {field} does not hold one")
        if not (low < high and (scale == "linear" or low > 0)):
            above = "0 < " if scale == "log" else ""
            raise UserError(f"{flag}: must be {scale}:LOW..HIGH with {above}LOW < HIGH")
        return _Span(scale, low, high, number is int)
    if match := _INTEGERS.fullmatch(text):
        first, last = int(match[1]), int(match[2])
        if first > last:
            raise UserError(f"{flag}: must be FIRST..LAST with FIRST <= LAST")
        if last - first >= MAX_RUNS:
            raise UserError(f"{flag}: at most {MAX_RUNS:,} values are allowed")
        return [str(value) for value in range(first, last + 1)]
    texts = [part.strip() for part in text.split(";" if ";" in text else ",")]
    if not all(texts):
        raise UserError(f"{flag}: a value is empty")
    return texts


def _typed(
    config: ExperimentConfig, field: str, text: str, given: str, variants: Iterable[str]
) -> Any:
    """The value of a field that a text is, by the rules of `--config.FIELD=VALUE`."""
    trial = copy.deepcopy(config)
    try:
        apply_overrides(trial, [(field, text)], variants)
    except UserError as error:
        message = str(error).replace(f"--config.{field}", f"--sweep.{field}")
        among = "" if given == text else f" (in --sweep.{field}={given})"
        raise UserError(message + among) from None
    return operator.attrgetter(field)(trial)


def _refuse_duplicates(typed: Mapping[str, Mapping[str, Any]], sweeps: Mapping[str, str]) -> None:
    for field, values in typed.items():
        shown = [show_value(value) for value in values.values()]
        for value in shown:
            if shown.count(value) > 1:
                raise UserError(f"--sweep.{field}={sweeps[field]}: {value} is listed twice")


def _make(config: ExperimentConfig, values: Mapping[str, Any]) -> Planned:
    made = copy.deepcopy(config)
    for field, value in values.items():
        path, _, name = field.rpartition(".")
        setattr(operator.attrgetter(path)(made), name, value)
    name = name_of(values)
    try:
        validate(made)
    except UserError as error:
        message = str(error)
        for field in values:
            message = message.replace(f"--config.{field}=", f"--sweep.{field}=")
        raise UserError(f"the run {name}: {message}") from None
    flat = flat_values(made)
    return Planned(name, {field: flat[field] for field in values}, made)


def short_names(fields: Iterable[str]) -> dict[str, str]:
    """Field -> its last part, or all of it where another field ends the same way."""
    fields = list(fields)
    last = [field.rpartition(".")[2] for field in fields]
    return {
        f: short if last.count(short) == 1 else f for f, short in zip(fields, last, strict=True)
    }


def name_of(values: Mapping[str, Any]) -> str:
    """The name of a run's directory: peak_lr=0.001,seed=0."""
    short = short_names(values)
    parts = (f"{short[field]}={_plain(show_value(value))}" for field, value in values.items())
    return ",".join(parts)


def _plain(text: str) -> str:
    """A value without the characters that a name of a directory should not have."""
    return re.sub(r"[^\w.+-]+", "_", text)


def _named_once(runs: Sequence[Planned]) -> Iterator[Planned]:
    """Adds a hash of the values to names that are too long, or that two runs would have."""
    names = collections.Counter(run.name for run in runs)
    seen: set[str] = set()
    for run in runs:
        if len(run.name) > _MAX_NAME or names[run.name] > 1:
            text = repr(sorted(run.values.items()))
            if text in seen:  # a point that was drawn twice
                continue
            seen.add(text)
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            run = dataclasses.replace(run, name=f"{run.name[:_MAX_NAME]}-{digest}")
        yield run
