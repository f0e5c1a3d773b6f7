"""What the fault tests count, kept where somebody asks for it.

FAULTS_FIGURES=DIR python -m pytest tests/faults -m hard
python -m tests.faults.figures DIR          # refreshes the tables of docs/reliability.md
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def record(name: str, figures: dict[str, Any]) -> None:
    """Writes `$FAULTS_FIGURES/<name>.json`, where that is set."""
    if directory := os.environ.get("FAULTS_FIGURES"):
        path = Path(directory) / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n")
