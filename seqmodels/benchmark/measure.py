"""Rows of cases: outputs compared, then implementations timed in turn. Imports no jax."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels.benchmark import timing
from seqmodels.benchmark.processes import (
    Effort,
    Failed,
    Missing,
    Pool,
    Process,
    difference,
    take_turns,
)
from seqmodels.benchmark.suites import OURS, PEER_LIBRARIES, TOLERANCE, Case, Peer

COLUMNS = (
    *("suite", "case", "implementation", "ms", "peer", "peer_ms"),
    *("ratio", "ratio_low", "ratio_high", "bytes", "flops", "mfu"),
)
"""Keys that every row has; others follow."""
Say = Callable[[str], None]


@dataclasses.dataclass
class _Entry:
    """An implementation that is ready to be timed."""

    name: str
    process: Process
    facts: dict[str, Any]
    path: Path
    compares: bool


def make_row(suite: str, case: str, implementation: str, **values: Any) -> dict[str, Any]:
    """A row with all of `COLUMNS`, None where nothing is known."""
    row = dict.fromkeys(COLUMNS)
    return {**row, "suite": suite, "case": case, "implementation": implementation, **values}


def measure_case(
    pool: Pool,
    case: Case,
    effort: Effort,
    libraries: Sequence[str],
    peak: Mapping[str, float],
    say: Say,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yields a row for each peer, or one without a peer.

    Implementations whose outputs differ from ours are not timed: their row has a `problem`.

    Args:
      libraries: of the peers that are asked for.
      peak: operations per second of products, by dtype.
      say: prints a line for the user.
    """
    row = lambda **values: make_row(case.suite, case.name, OURS, **values)
    try:
        ours = _prepare(pool, case, OURS, Peer(OURS, program=case.program), seed, 0)
    except Missing as problem:
        say(f"{case.suite}, {case.name}: skipped, because {problem} is not installed")
        return
    except Failed as problem:
        yield row(problem=str(problem))
        return
    ready = [ours]
    for number, (name, peer) in enumerate(case.peers.items(), 1):
        if peer.library in PEER_LIBRARIES and peer.library not in libraries:
            continue
        try:
            entry = _prepare(pool, case, name, peer, seed, number)
        except Missing as problem:
            say(f"{case.suite}, {case.name}: no peer {name}, because {problem} is not installed")
            continue
        except Failed as problem:
            yield row(peer=name, problem=str(problem))
            continue
        far = difference(ours.path, entry.path) if entry.compares else 0.0
        if far > TOLERANCE:
            yield row(peer=name, problem=f"outputs differ by {far:.1e} of the largest")
        else:
            ready.append(entry)
    rounds = min(effort.max_rounds, case.max_rounds or effort.max_rounds)
    try:
        series = take_turns(
            [entry.process for entry in ready], dataclasses.replace(effort, max_rounds=rounds)
        )
    except Failed as problem:
        yield row(problem=str(problem))
        return
    figures = _figures(case, ours, series[0], peak)
    for entry, taken in zip(ready[1:], series[1:], strict=True):
        yield row(**figures, **_against(entry, taken, series[0]))
    if len(ready) == 1:
        yield row(**figures)


def _prepare(pool: Pool, case: Case, name: str, peer: Peer, seed: int, number: int) -> _Entry:
    """Prepares an implementation in a process of its own."""
    process, path = pool.get((peer.library, number)), Path(pool.folder.name) / f"{number}.npz"
    facts = process.ask(
        "prepare",
        library=peer.library,
        suite=peer.program or case.program or case.suite,
        params={**case.params, **peer.overrides},
        seed=seed,
        to=str(path),
    )
    return _Entry(name, process, facts, path, peer.compares)


def _figures(
    case: Case, ours: _Entry, taken: list[float], peak: Mapping[str, float]
) -> dict[str, Any]:
    """Our own figures in a row."""
    found, facts = timing.interval_of(taken), ours.facts
    figures = {
        **{name: value for name, value in facts.items() if name != "items"},
        "ms": 1e3 * found.median,
        "ms_low": 1e3 * found.low,
        "ms_high": 1e3 * found.high,
        "rounds": len(taken),
        "noisy": found.is_noisy,
    }
    if items := facts.get("items"):
        figures["per_second"] = items / found.median
    if (flops := facts.get("flops")) and (best := peak.get(case.params.get("dtype", "float32"))):
        figures["mfu"] = flops / found.median / best
    if case.line is not None:
        figures["line"], figures["length"] = case.line
    return figures


def _against(entry: _Entry, taken: list[float], own: list[float]) -> dict[str, Any]:
    """The figures of a peer in a row."""
    ratio = timing.ratio_of(taken, own)
    return {
        "peer": entry.name,
        "peer_ms": 1e3 * timing.interval_of(taken).median,
        "peer_peak_bytes": entry.facts.get("peak_bytes"),
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "ratio_noisy": ratio.is_noisy,
    }
