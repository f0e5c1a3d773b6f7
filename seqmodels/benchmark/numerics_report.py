"""Rows of the suite `numerics`, and the switches that help. Imports no jax."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from seqmodels.benchmark.measure import make_row
from seqmodels.benchmark.processes import Failed, Missing, Pool, Process
from seqmodels.benchmark.suites import OURS

GROUPS = (
    *("products", "cotangents", "reductions", "softmax"),
    *("bfloat16", "tensor_float32", "scans", "models"),
)
"""Of `benchmark.numerics`; each is asked for separately, because a wrong program may also abort."""
SWITCHES = (
    {"JAX_DEFAULT_MATMUL_PRECISION": "float32"},
    {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type="},
    {"XLA_FLAGS": "--xla_cpu_enable_fast_math=false"},
    {"XLA_FLAGS": "--xla_backend_optimization_level=0"},
)
"""Settings that are tried, one at a time, where something is off."""


def numerics_rows(pool: Pool, quick: bool, seed: int) -> Iterator[dict[str, Any]]:
    """Yields {"case", "error", "allowed", "right", "advice", ..} of every probe.

    Args:
      quick: check few models.
    """
    for group in GROUPS:
        place = f"{pool.folder.name}/numerics.npz"
        try:
            probes = _ask(pool.get(("numerics", 0)), group, quick, seed, place)
        except Missing as missing:
            yield make_row("numerics", group, OURS, right=None, problem=f"needs {missing}")
            continue
        except Failed as problem:
            probes = [(f"{group} ({problem})", float("inf"), 0.0)]
        wrong = any(error > allowed for _, error, allowed in probes)
        advice = find_switch(group, quick, seed, place) if wrong else ""
        for name, error, allowed in probes:
            right = error <= allowed
            values = {"error": error, "allowed": allowed, "right": right}
            yield make_row("numerics", name, OURS, **values, advice="" if right else advice)


def find_switch(group: str, quick: bool, seed: int, place: str) -> str:
    """Says which of `SWITCHES` makes every probe of a group right, if one does."""
    for switch in SWITCHES:
        (name, value), *_ = switch.items()
        before = os.environ.get(name, "") if name == "XLA_FLAGS" else ""
        process = Process({name: f"{before} {value}".strip()})
        try:
            probes = _ask(process, group, quick, seed, place)
        except (Failed, Missing):  # a version that does not know the flag ends at once
            continue
        finally:
            process.close()
        if all(error <= allowed for _, error, allowed in probes):
            return f"off; right with {name}={before} {value}".replace("= ", "=")
    return "off; none of the known switches helps"


def _ask(
    process: Process, group: str, quick: bool, seed: int, place: str
) -> list[tuple[str, float, float]]:
    params = {"group": group, "quick": quick}
    answer = process.ask(
        "prepare", library=OURS, suite="numerics", params=params, seed=seed, to=place
    )
    return [(name, error, allowed) for name, error, allowed in answer["probes"]]
