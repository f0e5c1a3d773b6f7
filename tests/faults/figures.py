"""Recording of the counts of the fault tests, and the tables made from them.

FAULTS_FIGURES=DIR python -m pytest tests/faults -m hard
python -m tests.faults.figures DIR     # refreshes the tables of docs/reliability.md
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
_PART = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PACKAGES = ("jax", "flax", "orbax-checkpoint", "tensorstore")


def record(name: str, figures: dict[str, Any]) -> None:
    """Writes `$FAULTS_FIGURES/<name>.json` if the variable is set."""
    if directory := os.environ.get("FAULTS_FIGURES"):
        made = {
            "date": datetime.date.today().isoformat(),
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        }
        path = Path(directory) / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"made": made, **figures}, indent=1) + "\n")


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """Makes a Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _made(figures: dict[str, Any]) -> str:
    found = {json.dumps(part["made"]) for name, part in figures.items() if name != "hostile"}
    if len(found) > 1:
        raise SystemExit(f"figures of different days or versions: {', '.join(sorted(found))}")
    made = json.loads(found.pop())
    date = made.pop("date")
    return f"Measured {date}: {', '.join(f'{name} {number}' for name, number in made.items())}.\n"


def _kills(figures: dict[str, Any]) -> str:
    kills = figures["kills"]
    fell = sorted(kills["fell"].items(), key=lambda item: -item[1])
    rows = [*fell, (f"all of them, in a run of {kills['steps']} steps", kills["kills"])]
    left = ((what, f"{count} times") for what, count in kills["left"].items())
    return (
        table(("where the kill fell", "kills"), rows) + "\n" + table(("what a kill left", ""), left)
    )


def _signals(figures: dict[str, Any]) -> str:
    shown = (
        (phase, name, "143 (ended by the signal)" if status == -15 else status, saved)
        for phase, name, status, saved in figures["signals"]["cases"]
    )
    return table(("phase", "signal", "exit status", "saved"), shown)


def _disk(figures: dict[str, Any]) -> str:
    runs = ((f"{size} kB", 1, told) for size, told in figures["disk"]["runs"])
    return table(("disk", "exit status", "message"), runs)


def _damage(figures: dict[str, Any]) -> str:
    sealed, unsealed = figures["damage"]["sealed"], figures["damage_unsealed"]["unsealed"]
    rows = [
        (f"{'sealed' if counts is sealed else 'without its seal'}: {damage}", out, count)
        for counts in (sealed, unsealed)
        for damage, outcomes in counts.items()
        for out, count in outcomes.items()
    ]
    return table(("newest checkpoint", "what came out", "files"), rows)


def _nan(figures: dict[str, Any]) -> str:
    return f"    train: {figures['nan']['told']}\n"


def _reads(figures: dict[str, Any]) -> str:
    reads = figures["reads"]
    return (
        f"{reads['reads']} reads of a run that saved every 6 steps and kept one checkpoint, of "
        f"{reads['steps']} different steps; none failed.\n"
    )


def _hostile(figures: dict[str, Any]) -> str:
    one = figures["hostile"]
    total, signals = one["runs"] * one["steps"], one["signals"].items()
    how = ", ".join(f"{count} by {name}" for name, count in signals)
    return (
        f"Measured {one['made']['date']}: {one['runs']} runs of {one['steps']:,} steps, killed "
        f"{one['kills']} times\n({how}) and continued by {one['commands']} commands: equal bits. "
        f"{one['lost']:,} of {total:,} steps\nwere taken again ({one['lost'] / total:.1%}), "
        f"besides {one['kills']} more starts.\n"
    )


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "made": _made,
    "kills": _kills,
    "signals": _signals,
    "disk": _disk,
    "damage": _damage,
    "nan": _nan,
    "reads": _reads,
    "hostile": _hostile,
}


def refresh(document: str, figures: dict[str, Any]) -> str:
    """Replaces the tables between their marks."""
    parts = [name for _, name, _ in _PART.findall(document)]
    if sorted(parts) != sorted(PARTS):
        raise SystemExit(f"the document has the parts {parts}, not {list(PARTS)}")
    return _PART.sub(lambda m: f"{m[1]}\n{PARTS[m[2]](figures)}\n{m[3]}", document)


def main(directory: Path) -> None:
    figures = {path.stem: json.loads(path.read_text()) for path in directory.glob("*.json")}
    DOCUMENT.write_text(refresh(DOCUMENT.read_text(), figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
