"""Fields of fine-tuning: parts of a model, and a checkpoint to start from. Imports no jax.

A part is named by a path of parameters, such as `stack/blocks/attention`, and contains all
parameters below it; a `*` matches any characters, / included: `*/bias`, `layers/cells_*`.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import math
import os
import re
from collections.abc import Iterable, Iterator

from seqmodels.config.errors import UserError, suggest

_PART = re.compile(r"[A-Za-z0-9_*]+(/[A-Za-z0-9_*]+)*")
_SYNTAX = "a path of parameters such as embedding or stack/blocks/*/kernel"


def ancestors(path: str) -> list[str]:
    """`a/b/c` -> `a`, `a/b`, `a/b/c`."""
    names = path.split("/")
    return ["/".join(names[: n + 1]) for n in range(len(names))]


def holds(part: str, path: str) -> bool:
    """Whether a parameter belongs to a part."""
    return any(fnmatch.fnmatchcase(name, part) for name in ancestors(path))


@dataclasses.dataclass(frozen=True)
class Parts:
    """Parts of a model that are trained differently from the rest.

    Attributes:
      frozen: parts that are not trained.
      scales: part -> factor on its learning rate.
    """

    frozen: tuple[str, ...] = ()
    scales: dict[str, float] = dataclasses.field(default_factory=dict)

    def is_frozen(self, path: str) -> bool:
        """Whether the parameter at `path` is not trained."""
        return any(holds(part, path) for part in self.frozen)

    def scale(self, path: str) -> float:
        """Factor of the most specific part that contains `path`; 1 where no part does.

        The most specific part has the most characters other than `*`; of several, the last.
        """
        found = [part for part in self.scales if holds(part, path)]
        if not found:
            return 1.0
        # Reversed, because max returns the first of equal elements.
        return self.scales[max(reversed(found), key=lambda part: len(part.replace("*", "")))]

    def check(self, paths: Iterable[str]) -> None:
        """Checks the parts against the parameters of a model.

        Raises:
          UserError: a part contains none of them, or nothing is left to train.
        """
        paths = list(paths)
        for field, parts in (("frozen", self.frozen), ("lr_scales", self.scales)):
            for part in parts:
                if not any(holds(part, path) for path in paths):
                    raise UserError(
                        f"--config.optimizer.{field}: no parameter is called {part!r}"
                        + _nearest(part, paths)
                    )
        if all(self.is_frozen(path) for path in paths):
            raise UserError(
                f"--config.optimizer.frozen={','.join(self.frozen)}: leaves nothing to train"
            )


def _nearest(part: str, paths: list[str]) -> str:
    every = list(dict.fromkeys(name for path in paths for name in ancestors(path)))
    near = difflib.get_close_matches(part, every, n=3)
    if not near:  # a name from the middle, or the end, of a path
        near = [name for name in every if name.rpartition("/")[2] == part.rpartition("/")[2]][:3]
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; parts are: {', '.join(dict.fromkeys(path.partition('/')[0] for path in paths))}"


def parse_parts(frozen: str | None, lr_scales: str | None) -> Parts:
    """The parts that the two fields of the optimizer name.

    Raises:
      ValueError: see `part_problems`.
    """
    for field, line in part_problems(frozen, lr_scales):
        raise ValueError(f"optimizer.{field}: {line}")
    names = () if frozen is None else tuple(_split(frozen))
    pairs = [] if lr_scales is None else [pair.partition("=") for pair in _split(lr_scales)]
    return Parts(names, {name.strip(): float(text) for name, _, text in pairs})


def part_problems(frozen: str | None, lr_scales: str | None) -> Iterator[tuple[str, str]]:
    """Yields (field, what is wrong) for the two fields that name parts."""
    if frozen is not None:
        yield from (("frozen", line) for line in _name_problems(_split(frozen)))
    if lr_scales is not None:
        pairs = [pair.partition("=") for pair in _split(lr_scales)]
        names = [name.strip() for name, _, _ in pairs]
        yield from (("lr_scales", line) for line in _name_problems(names))
        for name, sign, text in pairs:
            if not sign:
                yield "lr_scales", f"{name!r} must be PART=FACTOR, such as embedding=0.1"
            elif not _is_factor(text):
                yield (
                    "lr_scales",
                    f"the factor {text!r} of {name} must be a number above 0; use "
                    "optimizer.frozen for parts that are not trained",
                )


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _name_problems(parts: list[str]) -> Iterator[str]:
    for part in dict.fromkeys(parts):
        if not _PART.fullmatch(part):
            yield f"{part!r} must be {_SYNTAX}; a comma separates parts"
        elif parts.count(part) > 1:
            yield f"{part!r} is given twice"


def _is_factor(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and float(text) > 0
    except ValueError:
        return False


def parse_source(init_from: str) -> tuple[str, str]:
    """Splits `DIR[@step]` into the directory and the step, which is `best` unless it is given.

    The text after the last @ is a step, unless it contains a /.

    Raises:
      UserError: there is no directory, or the step is not valid.
    """
    directory, at, step = init_from.rpartition("@")
    if not at or "/" in step:
        directory, step = init_from, "best"
    if not directory:
        raise UserError("must be DIR or DIR@step, the work directory of a run")
    if step not in ("best", "latest") and not (step.isascii() and step.isdecimal()):
        near = suggest(step, ("best", "latest"))
        raise UserError(f"the step {step!r} must be best, latest or a number{near}")
    return directory, step if step in ("best", "latest") else str(int(step))


def resolve_source(init_from: str) -> str:
    """The same source with an absolute directory and an explicit step."""
    directory, step = parse_source(init_from)
    return f"{os.path.abspath(os.path.expanduser(directory))}@{step}"
