"""Generates the table of docs/performance.md from docs/benchmark.json.

python -m experiments.benchmark_page
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels.benchmark.report import markdown, read_result
from seqmodels.files import replacing

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "docs" / "benchmark.json"
PAGE = ROOT / "docs" / "performance.md"
_SECTION = re.compile(r"(?<=<!-- generated -->\n).*?(?=<!-- end -->)", re.DOTALL)


def section(result: Mapping[str, Any]) -> str:
    """The lines between the marks of the page: the machine, and a row for each ratio."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = len(machine["cores"])
    load = " to ".join(f"{load:.1f}" for load in result["load"])
    facts = (
        f"{machine['device']['processor']}, {cores} {'core' if cores == 1 else 'cores'}, "
        f"load {load}, allocator {machine['allocator']}, float32; {versions}; "
        f"{result['started'][:10]}, commit {result['commit']}, seed {result['seed']}."
    )
    return "\n".join([facts, "", *markdown(result["rows"]), ""])


def with_section(page: str, result: Mapping[str, Any]) -> str:
    """The page with the section of a result."""
    return _SECTION.sub(lambda _: section(result), page)


def main() -> None:
    """Rewrites the page."""
    result = read_result("RESULT", RESULT)
    with replacing(PAGE) as partial:
        partial.write_text(with_section(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")


if __name__ == "__main__":
    main()
