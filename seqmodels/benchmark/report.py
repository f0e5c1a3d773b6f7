"""Reports of measured rows: a table, figures, and a comparison of two files. Imports no jax."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.files import save_figure

_HEAD = ("case", "ms", "per s", "GFLOP/s", "MFU", "MB")
_PEER_HEAD = ("peer", "peer ms", "peer MB", "ratio (interval)")
_FURTHER = {
    "decode": {"first_token_ms": "first token ms", "state_bytes": "state bytes"},
    "compile": {"trace_ms": "trace ms", "lower_ms": "lower ms", "compile_ms": "compile ms"},
}
"""Suite -> further columns."""


def table_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Cells of the table for people, one row per measured row."""
    for row in rows:
        further = [number(row.get(name)) for name in _FURTHER.get(row["suite"], {})]
        if row.get("problem"):
            blanks = [""] * (len(_HEAD) - 2 + len(further))
            yield row["case"], "-", *blanks, row["peer"] or "", "-", "", "failed"
            continue
        noisy = "~" if row.get("noisy") else ""
        yield (
            row["case"],
            f"{noisy}{number(row['ms'])}",
            number(row.get("per_second")),
            number(row["flops"] / row["ms"] / 1e6) if row["flops"] and row["ms"] else "",
            f"{row['mfu']:.0%}" if row["mfu"] else "",
            megabytes(row.get("peak_bytes")),
            *further,
            row["peer"] or "",
            number(row["peer_ms"]),
            megabytes(row.get("peer_peak_bytes")),
            ratio_text(row),
        )


def ratio_text(row: Mapping[str, Any]) -> str:
    """A ratio with its interval, marked with ~ where that is wide."""
    if row["ratio"] is None:
        return ""
    mark = "~" if row.get("ratio_noisy") else ""
    low, high = number(row["ratio_low"]), number(row["ratio_high"])
    return f"{mark}{number(row['ratio'])} ({low} to {high})"


def number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def megabytes(size: int | None) -> str:
    """A size in 10^6 bytes."""
    return "" if size is None else number(size / 1e6)


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of ratios as lines of Markdown, by suite."""
    lines = ["| suite | case | peer | ratio | interval |", "|---|---|---|---|---|"]
    for row in rows:
        if row["ratio"] is not None:
            low, high = number(row["ratio_low"]), number(row["ratio_high"])
            cells = (row["suite"], row["case"], row["peer"], number(row["ratio"]))
            lines.append(f"| {' | '.join(cells)} | {low} to {high} |")
    return lines


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))


def tables(rows: Sequence[Mapping[str, Any]]) -> Any:
    """All rows, to be printed by rich: a table per suite, and the mean ratio to each peer."""
    from rich.console import Group
    from rich.table import Table

    shown: list[Any] = []
    for suite in dict.fromkeys(row["suite"] for row in rows):
        own = [row for row in rows if row["suite"] == suite]
        if suite == "numerics":
            shown.append(_numerics(own))
            continue
        table = Table(*_HEAD, *_FURTHER.get(suite, {}).values(), *_PEER_HEAD, title=suite)
        for cells in table_rows(own):
            table.add_row(*cells)
        shown.append(table)
        for peer in dict.fromkeys(row["peer"] for row in own if row["ratio"]):
            ratios = [row["ratio"] for row in own if row["peer"] == peer and row["ratio"]]
            mean, worst = number(geometric_mean(ratios)), number(min(ratios))
            shown.append(f"{suite}, {peer}: geometric mean of the ratios {mean}, lowest {worst}")
    legend = (
        "ratio: time of the peer / ours; ~: the interval is wide; per s: tokens, rows, programs; "
        "MFU: share of the measured peak; MB: growth of the memory"
    )
    return Group(*shown, legend)


def _numerics(rows: Sequence[Mapping[str, Any]]) -> Any:
    from rich.table import Table

    table = Table("case", "error", "allowed", "", title="numerics")
    for row in rows:
        verdict = "right" if row["right"] else row["advice"]
        table.add_row(row["case"], number(row["error"]), number(row["allowed"]), verdict)
    return table


def write_figures(result: Mapping[str, Any], stem: Path) -> list[Path]:
    """Draws a roofline and, of cases of several lengths, their scaling.

    Args:
      stem: path without its ending; `-roofline.png` and `-scaling.png` are added.
    """
    written = []
    points = [row for row in result["rows"] if row["ms"] and row["flops"] and row["bytes"]]
    if points:
        path = stem.with_name(f"{stem.name}-roofline.png")
        written.append(save_figure(_roofline(points, result["machine"]), path))
    lines = [row for row in result["rows"] if row["ms"] and row.get("line")]
    if lines:
        path = stem.with_name(f"{stem.name}-scaling.png")
        written.append(save_figure(_scaling(lines), path))
    return written


def _roofline(rows: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> Any:
    """Operations per second over operations per byte, under the measured bounds (Williams et al.,
    2009)."""
    from matplotlib.figure import Figure

    peak, bandwidth = machine["matrix_flops_per_second"]["float32"], machine["bytes_per_second"]
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.add_subplot()
    intensities = [row["flops"] / row["bytes"] for row in rows]
    ends = [min([*intensities, peak / bandwidth]) / 2, max([*intensities, peak / bandwidth]) * 2]
    xs = [ends[0], peak / bandwidth, ends[1]]
    axes.plot(
        xs, [min(peak, bandwidth * x) / 1e9 for x in xs], color="black", label="measured bounds"
    )
    for suite in dict.fromkeys(row["suite"] for row in rows):
        own = {row["case"]: row for row in rows if row["suite"] == suite}.values()
        x = [row["flops"] / row["bytes"] for row in own]
        axes.scatter(x, [row["flops"] / row["ms"] / 1e6 for row in own], s=18, label=suite)
    axes.set(xscale="log", yscale="log", ylabel="GFLOP/s")
    axes.set_xlabel("operations per byte of arguments and results")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _scaling(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Time over length, of ours and of every peer."""
    from matplotlib.figure import Figure

    curves: dict[str, dict[int, float]] = {}
    for row in rows:
        curves.setdefault(f"{row['line']}", {})[row["length"]] = row["ms"]
        if row["peer_ms"]:
            name = f"{row['line']}: {row['peer']}"
            curves.setdefault(name, {})[row["length"]] = row["peer_ms"]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        style = ":" if ": " in name else "-"
        axes.plot(*zip(*sorted(points.items()), strict=True), style, marker="o", ms=3, label=name)
    axes.set(xscale="log", yscale="log", xlabel="length", ylabel="ms")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def read_result(flag: str, path: Path) -> dict[str, Any]:
    """Reads a file that `benchmark --json` wrote.

    Raises:
      UserError: it cannot be read, or is another file.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{flag} {path}: not JSON: {error}") from None
    if not isinstance(result, dict) or not {"rows", "machine"} <= result.keys():
        raise UserError(f"{flag} {path}: not written by benchmark --json=FILE")
    return result
