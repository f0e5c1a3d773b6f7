"""Reader of the program that XLA compiled for one device of a mesh."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

MESSAGES = ("all-gather", "all-to-all", "collective-permute", "all-reduce", "reduce-scatter")

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\(")
_CALLED = re.compile(r"(?:body|condition|calls|to_apply)=%?([\w.\-]+)")
_OPERANDS = re.compile(r"\((%?[\w.\-]+), %?[\w.\-]+\)")
_ADDED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")
_SHAPE = re.compile(r"\b(?:pred|bf16|f32|f64|s32|u32|c64)\[([\d,]+)\]")


def computations(text: str) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Name -> name -> (operation, result, line) of each instruction."""
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    name = ""
    for line in text.splitlines():
        if start := _COMPUTATION.match(line):
            name = start[1]
        elif instruction := _INSTRUCTION.match(line):
            own, result, operation = instruction.groups()
            found.setdefault(name, {})[own] = (operation, result, line)
    return found


def messages_in_loops(text: str) -> list[str]:
    """Operation and shape of each collective inside a loop."""
    parts = computations(text)
    every = [instruction for part in parts.values() for instruction in part.values()]
    todo = [name for op, _, line in every if op == "while" for name in _CALLED.findall(line)]
    inside: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in inside:
            inside.add(name)
            lines = [line for *_, line in parts.get(name, {}).values()]
            todo += [called for line in lines for called in _CALLED.findall(line)]
    within = [instruction for name in inside for instruction in parts.get(name, {}).values()]
    return sorted(f"{op} {result}" for op, result, _ in within if op in MESSAGES)


def shapes(text: str) -> Iterator[tuple[int, ...]]:
    """The shape of every array."""
    for sizes in sorted(set(_SHAPE.findall(text))):
        yield _sizes(sizes)


def multiplications(text: str) -> int:
    """Number of multiplications in all matrix products; one in a loop counts once."""
    total = 0
    for part in computations(text).values():
        for operation, result, line in part.values():
            if operation == "dot":
                first = _OPERANDS.search(line)[1].lstrip("%")
                size = _sizes(_SHAPE.search(part[first][1])[1])
                added = _sizes(_ADDED.search(line)[1])
                made = _SHAPE.search(result)
                total += math.prod(_sizes(made[1])) * math.prod(size[axis] for axis in added)
    return total


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)
