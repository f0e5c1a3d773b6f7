"""Comparison of two results of `benchmark --json`. Imports no jax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SAME = ("device", "versions", "cores", "environment", "allocator")


def differing_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    """Lines about facts of the machines that differ, which may explain a difference of times."""
    for name in _SAME:
        one, other = first["machine"].get(name), second["machine"].get(name)
        if one != other:
            yield f"{name}: {one} and {other}"
    if first.get("size") != second.get("size"):
        yield f"size: {first.get('size')} and {second.get('size')}"


def compare_rows(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Compares rows of the same suite, case and peer.

    A ratio to a peer that was measured in turn is compared where there is one, because it does not
    depend on the load of the machine; else the time. Two values differ where their intervals do not
    overlap.

    Returns:
      Rows {"suite", "case", "peer", "by" ("ratio" or "ms"), "first", "second", "change" (how many
      times as fast the second is), "verdict" ("faster", "slower" or "same")}, and the names of
      cases that only one of them has.
    """
    ours, theirs = _by_key(first), _by_key(second)
    rows = [_compare(ours[key], theirs[key]) for key in ours if key in theirs]
    unpaired = [key for key in {**ours, **theirs} if (key in ours) != (key in theirs)]
    alone = [" ".join(filter(None, key)) for key in unpaired]
    return [row for row in rows if row is not None], alone


def _by_key(result: Mapping[str, Any]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    return {(row["suite"], row["case"], row["peer"]): row for row in result["rows"]}


def _compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any] | None:
    names = {name: first[name] for name in ("suite", "case", "peer")}
    if first["ratio"] and second["ratio"]:
        bounds = ("ratio_low", "ratio_high")
        change, by = second["ratio"] / first["ratio"], "ratio"
        lower, higher = _apart(first, second, bounds)
        faster, slower = higher, lower
    elif first["ms"] and second["ms"]:
        change, by = first["ms"] / second["ms"], "ms"
        faster, slower = _apart(first, second, ("ms_low", "ms_high"))
    else:
        return None
    verdict = "faster" if faster else "slower" if slower else "same"
    values = {"first": first[by], "second": second[by], "change": change}
    return {**names, "by": by, **values, "verdict": verdict}


def _apart(
    first: Mapping[str, Any], second: Mapping[str, Any], bounds: tuple[str, str]
) -> tuple[bool, bool]:
    """Whether the interval of the second is below, or above, that of the first."""
    low, high = bounds
    return second[high] < first[low], second[low] > first[high]
