"""Reader of a program that XLA has partitioned: what one device computes and exchanges.

It reads the text of the program as the partitioner leaves it. Later passes depend on the platform:
that of a CPU, for one, turns bfloat16 into float32.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

KINDS = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all", "collective-permute")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2}
_BYTES |= {"f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8, "c64": 8, "c128": 16}

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_OPERAND = re.compile(r"%([\w.\-]+)")
_ELEMENT = re.compile(r"%([\w.\-]+)(?:#(\d+))?")
_CALLED = re.compile(r"(?:body|calls|to_apply)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"(?:branch_computations=\{(.*?)\}|(?:true|false)_computation=(%[\w.\-]+))")
_CONDITION = re.compile(r"condition=%?([\w.\-]+)")
_LISTED = re.compile(r"replica_groups=\{\{([\d,]*)\}")
_COUNTED = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_NAMED = re.compile(
    r"replica_groups=mesh\[(.*?)\](?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))? ?\{(.*?)\}"
)
_AXIS = re.compile(r"'([\w.]+)'=(\d+)")
_PART = re.compile(r"'([\w.]+)'(?::\((\d+)\)(\d+))?")
_PAIR = re.compile(r"source_target_pairs=\{\{(\d+),(\d+)\}")
_MOVES = ("bitcast", "convert", "copy", "reshape", "transpose")
"""Instructions that change neither the number of elements nor a value but for rounding."""


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction: the text of its result's type, its operation, and the rest of the line."""

    result: str
    operation: str
    rest: str

    @property
    def arguments(self) -> list[str]:
        return _OPERAND.findall(self.rest.partition(")")[0])

    @property
    def size(self) -> int:
        """Bytes of the result."""
        return sum(_BYTES.get(kind, 4) * math.prod(sizes) for kind, sizes in arrays(self.result))


@dataclasses.dataclass(frozen=True)
class Collective:
    """A collective operation in which a device takes part.

    Attributes:
      operation: one of `KINDS`. An all-reduce of which every device keeps its own part only is a
        reduce-scatter: the compilers for GPUs and TPUs make one of it.
      size: bytes of the whole array: the result of a gather, the operand of a reduction.
      members: the devices of the first group, by number.
      times: how often it runs in a call of the program.
    """

    operation: str
    size: int
    members: tuple[int, ...]
    times: int

    @property
    def sent(self) -> float:
        """Bytes that a device sends at least each time, as in a ring."""
        n = len(self.members)
        if self.operation == "collective-permute":
            return self.size
        return self.size * (n - 1) / n * (2 if self.operation == "all-reduce" else 1)


@dataclasses.dataclass(frozen=True)
class Partitioned:
    """The work of one device in a call of a program.

    Attributes:
      flops: operations of its matrix products and convolutions.
      collectives: those with more than one member.
      uncounted: loops whose number of rounds the text does not say; each counts as one.
    """

    flops: int
    collectives: tuple[Collective, ...]
    uncounted: int


def arrays(text: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields dtype and shape of each array of a type."""
    for kind, sizes in _ARRAY.findall(text):
        yield kind, _sizes(sizes)


def read_program(text: str) -> Partitioned:
    """Reads the text of a module.

    The body of a loop counts as often as it runs, and each branch of a condition once.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._parts: dict[str, dict[str, Instruction]] = {}
        self._entry, self._uncounted = "", 0
        name = ""
        for line in text.split("\n"):
            if start := _COMPUTATION.match(line):
                name = start[2]
                self._parts[name] = {}
                self._entry = name if start[1] else self._entry
            elif found := _INSTRUCTION.match(line):
                self._parts[name][found[1]] = Instruction(*found.groups()[1:])

    def read(self) -> Partitioned:
        flops, collectives = self._of(self._entry)
        return Partitioned(flops, tuple(collectives), self._uncounted)

    @functools.cache  # noqa: B019  # a reader lives as long as one call
    def _of(self, name: str) -> tuple[int, list[Collective]]:
        """Operations and collectives of a computation, with what it calls."""
        part, flops, collectives = self._parts.get(name, {}), 0, []
        for own, one in part.items():
            if one.operation == "dot":
                flops += _product(one, part)
            elif one.operation == "convolution":
                flops += _convolution(one, part)
            elif (kind := one.operation.removesuffix("-start")) in KINDS:
                collectives += [x for x in [_collective(kind, own, part)] if len(x.members) > 1]
            elif one.operation not in ("reduce", "scatter", "sort"):  # those call scalar functions
                times = self._rounds(one) if one.operation == "while" else 1
                for called in _called(one):
                    more, inside = self._of(called)
                    flops += times * more
                    collectives += [dataclasses.replace(x, times=times * x.times) for x in inside]
        return flops, collectives

    def _rounds(self, loop: Instruction) -> int:
        """Number of rounds of a loop that counts from 0 up to a constant, as those of jax do."""
        found = _CONDITION.search(loop.rest)
        part = self._parts.get(found[1], {}) if found else {}
        for one in part.values():
            if one.operation == "compare" and "direction=LT" in one.rest:
                bounds = [part[name] for name in one.arguments if name in part]
                for bound in bounds:
                    if bound.operation == "constant":
                        return int(bound.rest.partition(")")[0])
        self._uncounted += 1
        return 1


def _called(one: Instruction) -> Iterator[str]:
    yield from _CALLED.findall(one.rest)
    for listed, single in _BRANCHES.findall(one.rest):
        yield from _OPERAND.findall(listed or single)


def _product(one: Instruction, part: dict[str, Instruction]) -> int:
    """2 B M N K."""
    (_, made), (_, left) = next(arrays(one.result)), _operand(one, part, 0)
    summed = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", one.rest)
    return 2 * math.prod(made) * math.prod(left[n] for n in _sizes(summed[1] if summed else ""))


def _convolution(one: Instruction, part: dict[str, Instruction]) -> int:
    """2 per output and tap."""
    (_, made), (_, kernel) = next(arrays(one.result)), _operand(one, part, 1)
    labels = re.search(r"dim_labels=\w+_(\w+)->", one.rest)
    assert labels
    return 2 * math.prod(made) * math.prod(kernel) // kernel[labels[1].index("o")]


def _operand(one: Instruction, part: dict[str, Instruction], n: int) -> tuple[str, tuple[int, ...]]:
    """Dtype and shape of an operand, which newer versions also write as an element: `%pair#1`."""
    name, element = _ELEMENT.findall(one.rest.partition(")")[0])[n]
    return list(arrays(part[name].result))[int(element or 0)]


def _collective(kind: str, name: str, part: dict[str, Instruction]) -> Collective:
    one = part[name]
    members = _members(one.rest)
    size = one.size
    if kind == "reduce-scatter":
        size *= len(members)
    elif kind == "all-reduce" and _is_scattered(name, part, len(members)):
        kind = "reduce-scatter"
    return Collective(kind, size, members, 1)


def _is_scattered(name: str, part: dict[str, Instruction], count: int) -> bool:
    """Whether all that a device uses of an all-reduce is one of `count` parts."""
    users = [(own, one) for own, one in part.items() if name in one.arguments]
    if not users:
        return False
    whole = math.prod(next(arrays(part[name].result))[1])
    for own, one in users:
        if one.operation == "dynamic-slice":
            if math.prod(next(arrays(one.result))[1]) * count != whole:
                return False
        elif one.operation not in _MOVES or not _is_scattered(own, part, count):
            return False
    return True


def _members(rest: str) -> tuple[int, ...]:
    """The devices of the first group, in any of the forms in which XLA writes groups.

    Raises:
      RuntimeError: it is written in another form.
    """
    if listed := _LISTED.search(rest):
        return _sizes(listed[1])
    if pair := _PAIR.search(rest):
        return tuple(sorted({int(pair[1]), int(pair[2])}))
    if counted := _COUNTED.search(rest):
        shape, grid, order = (_sizes(text or "") for text in counted.groups())
        devices = np.arange(math.prod(grid)).reshape(grid)
        devices = devices.transpose(order) if order else devices
        return tuple(devices.reshape(shape)[0].tolist())
    if named := _NAMED.search(rest):
        axes, grid, order, used = named.groups()
        return _along(axes, _sizes(grid or ""), _sizes(order or ""), used)
    raise RuntimeError(f"the devices of a collective are not understood: {rest:.300}")


def _along(axes: str, grid: tuple[int, ...], order: tuple[int, ...], used: str) -> tuple[int, ...]:
    """The first devices along some axes of a mesh.

    Args:
      axes: `'a'=2,'b'=4`.
      grid, order: the devices in the order of the mesh are those of the grid, transposed.
      used: `'a'`, or `'a':(2)4` for the part of size 4 after one of size 2.
    """
    parts = {name: (before, size) for name, before, size in _PART.findall(used)}
    shape: list[int] = []
    first: list[Any] = []
    for name, size in _AXIS.findall(axes):
        before, own = (int(number or 0) for number in parts.get(name, (1, 1)))
        before, own = (1, int(size)) if own == 0 else (before, own)
        shape += [before, own, int(size) // (before * own)]
        first += [0, slice(None), 0]
    devices = np.arange(math.prod(shape)).reshape(grid or -1)
    devices = devices.transpose(order) if order else devices
    return tuple(devices.reshape(shape)[tuple(first)].reshape(-1).tolist())


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)
