"""Results of `diagnose` as the sections of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.files import read_json
from seqmodels.look.report import library_versions
from seqmodels.look.sections import Section, Table

RESULT, PICTURE = "diagnose.json", "diagnose.png"
_SPLITS = {"test": "lengths of training", "longer": "longer"}


def is_diagnosis(place: Path) -> bool:
    """Whether a folder holds the results of `diagnose`."""
    return (place / RESULT).is_file()


def diagnosis_sections(place: Path) -> tuple[list[Section], dict[str, dict[str, bytes]]]:
    """The verdicts, the runs and the commands; and the picture, by section and name.

    Raises:
      UserError: a file cannot be read, or is not of `diagnose`.
    """
    found = read_json(place / RESULT)
    try:
        sections = [_verdicts(found), _cells(found["cells"]), _commands(place, found)]
        picture = (place / PICTURE).read_bytes()
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise UserError(f"{place / RESULT}: damaged: {error!r}") from None
    except OSError as error:
        raise UserError(f"{place / PICTURE}: cannot be read: {error.strerror}") from None
    return sections, {"verdicts": {"scores": picture}}


def _verdicts(found: Mapping[str, Any]) -> Section:
    section = Section(
        "verdicts",
        "Which model can do what",
        "A score is 0 for the exact guess of chance and 1 for perfect; solved is an accuracy of 99 "
        "%, or a loss of 0.01. Expected is what the literature says of the lengths named after it.",
    )
    for task, cells in found["cells"].items():
        chance = next(iter(cells.values()))["chance"]
        metric = "accuracy" if "accuracy" in chance else "loss"
        rows = [_row(m, cell, found["judged"][task][m], metric) for m, cell in cells.items()]
        heads = ["model", *(f"{metric}, {title}" for title in _SPLITS.values())]
        heads += [*(f"score, {title}" for title in _SPLITS.values()), "expected", "as expected"]
        title = f"{task}: {chance['model']} has {metric} {chance[metric]:.3f}"
        section.tables.append(Table(title, heads, rows))
    section.numbers = {"judged": found["judged"]}
    return section


def _row(model: str, cell: Mapping[str, Any], judged: Mapping[str, Any], metric: str) -> list[Any]:
    values = [cell[split][metric] if cell[split] else "diverged" for split in _SPLITS]
    scores = [judged["scores"][split] for split in _SPLITS]
    expected = judged["expected"]
    if expected:
        expected = f"{expected} ({_SPLITS[judged['where']]})"
    return [model, *values, *scores, expected, judged["as"]]


def _cells(found: Mapping[str, Any]) -> Section:
    section = Section("cells", "Cells", "The best run of a cell is that of its best validation.")
    heads = ["problem", "model", "width", "parameters", "best run", "diverged", "seconds"]
    rows = [
        [
            *(task, model, cell["width"], cell["num_params"], cell["best"]),
            *("; ".join(cell["diverged"]), cell["seconds"]),
        ]
        for task, cells in found.items()
        for model, cell in cells.items()
    ]
    section.tables.append(Table("", heads, rows))
    return section


def _commands(place: Path, found: Mapping[str, Any]) -> Section:
    """The command that makes all of it, and versions."""
    settings, cells = found["settings"], found["cells"]
    flags = {
        "tasks": ",".join(cells),
        "models": ",".join(next(iter(cells.values()))),
        "rates": ",".join(f"{rate:g}" for rate in settings["rates"]),
        **{name: settings[name] for name in ("num_seeds", "num_steps", "num_params")},
        "workdir": place,
    }
    words = " \\\n    ".join(f"--{name}={value}" for name, value in flags.items())
    section = Section("commands", "Environment and commands", "")
    section.tables.append(Table("Environment of this page", ["", ""], library_versions()))
    section.texts.append(f"python launch.py diagnose \\\n    {words}")
    return section
