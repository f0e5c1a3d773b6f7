"""The tables of docs/reliability.md are generated from the counts of the fault tests."""

from __future__ import annotations

from tests.faults.figures import DOCUMENT, PARTS, refresh

MADE = {"made": {"date": "2000-01-01", "python": "3", "jax": "0"}}
FIGURES = {
    "kills": {"kills": 7, "fell": {"saving": 7}, "left": {"rows": 5}, "steps": 9},
    "signals": {"cases": [["steps", "SIGTERM", 143, "step 3"], ["start-up", "SIGTERM", -15, "-"]]},
    "disk": {"runs": [[24, "no room"]]},
    "damage": {"files": 2, "sealed": {"removed": {"used the previous one": 2}}},
    "damage_unsealed": {"unsealed": {"removed": {"not needed": 1}}},
    "nan": {"told": "step 4 is not finite"},
    "reads": {"reads": 11, "steps": 4},
    "hostile": {
        "runs": 2,
        "steps": 50,
        "kills": 6,
        "lost": 3,
        "commands": 4,
        "signals": {"SIGKILL": 2, "SIGTERM": 4},
    },
}


def test_every_table_is_generated() -> None:
    figures = {name: {**MADE, **part} for name, part in FIGURES.items()}
    made = refresh(DOCUMENT.read_text(), figures)
    for line in (
        *("Measured 2000-01-01: python 3, jax 0.", "| saving | 7 |", "| rows | 5 times |"),
        *("| steps | SIGTERM | 143 | step 3 |", "| 24 kB | 1 | no room |"),
        "| start-up | SIGTERM | 143 (ended by the signal) | - |",
        "| sealed: removed | used the previous one | 2 |",
        *("| without its seal: removed | not needed | 1 |", "    train: step 4 is not finite"),
        "11 reads of a run that saved every 6 steps and kept one checkpoint, of 4 different steps; "
        "none failed.",
        "Measured 2000-01-01: 2 runs of 50 steps, killed 6 times",
        "(2 by SIGKILL, 4 by SIGTERM) and continued by 4 commands: equal bits. 3 of 100 steps",
        "were taken again (3.0%), besides 6 more starts.",
    ):
        assert line in made.splitlines()
    assert refresh(made, figures) == made
    assert all(f"<!-- figures: {name} -->" in made for name in PARTS)
