"""One page about a run: settings, curves, figures, examples, pictures. Imports no jax."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels import registry
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import config_names, config_summary, load_config
from seqmodels.config.serialization import flat_values, leaves, show_value
from seqmodels.files import read_json
from seqmodels.look.figures import draw_lines
from seqmodels.look.sections import Section, Table
from seqmodels.runs.changes import read_changes
from seqmodels.runs.figures import make_length_figure
from seqmodels.runs.opening import read_config
from seqmodels.runs.rows import METRICS, read_rows

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")
MOST_TEXTS, LONGEST = 3, 2000
"""Samples that are shown, and characters of each."""
PICTURES = (
    "evaluations/*.png",
    "evaluations/*.gif",
    "figures/*.png",
    "music/*.png",
    "look/*/*.png",
)
_LENGTHS = ("by_source_length", "by_length")
_SHAPE = {"step", "split", "shortest", "longest"}


@dataclasses.dataclass(frozen=True)
class Known:
    """A published or recorded figure, to be shown next to a run's.

    Attributes:
      name: of the goal or its config.
      metric, split: what was measured.
      value: what this project recorded; None if not run.
      published, source: the published value, if one is known.
    """

    name: str
    metric: str
    split: str
    value: float | None
    published: float | None
    source: str


@dataclasses.dataclass(frozen=True)
class Opened:
    """A work directory as a report reads it.

    Attributes:
      place: the directory.
      config: of the run.
      rows: of its metrics.
      results: name of the evaluation -> its figures.
    """

    place: Path
    config: ExperimentConfig
    rows: list[dict[str, Any]]
    results: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """The last part of the directory's name."""
        return self.place.resolve().name


def open_workdir(place: Path, flag: str = "--workdir") -> Opened:
    """Reads all that needs no arrays.

    Raises:
      UserError: not a work directory, or a file of it is damaged.
    """
    config, rows = read_config(place, flag), read_rows(place / METRICS)
    results = {p.stem: read_json(p) for p in sorted((place / "evaluations").glob("*.json"))}
    return Opened(place, config, rows, results)


def make_sections(
    run: Opened, others: Sequence[Opened], known: Sequence[Known], examples: Section | None
) -> tuple[list[Section], dict[str, dict[str, bytes]]]:
    """The sections of a report, and the pictures that lie in the work directory.

    Args:
      others: runs to compare with.
      known: figures of goals on the same data.
      examples: a section of examples, where they were looked for.
    """
    sections = [
        figures_section(run, others, known),
        curves_section(run, others),
        lengths_section(run, others),
        examples,
        samples_section(run),
        config_section(run, others),
        data_section(run),
        environment_section(run),
    ]
    found = pictures_of(run.place)
    if found:
        sections.insert(
            5, Section("pictures", "Pictures", "As `evaluate`, `look` and others drew.")
        )
    kept = [section for section in sections if section is not None]
    return kept, {"pictures": found}


def figures_section(run: Opened, others: Sequence[Opened], known: Sequence[Known]) -> Section:
    """Final figures next to the baselines, to other runs, and to recorded and published ones."""
    metrics = run.config.task.metrics
    section = Section("results", "Results", "Metrics by split; in brackets: better if lower.")
    rows_by_split = _figures_by_split(run, others)
    for split, rows in rows_by_split.items():
        names = [m.name for m in metrics if any(m.name in row for _, row in rows)]
        lower = {m.name: m.lower_is_better for m in metrics}
        heads = [f"{n.replace('_', ' ')}{' (lower)' if lower[n] else ''}" for n in names]
        table = [[who, *(row.get(n) for n in names)] for who, row in rows]
        section.tables.append(Table(split, ["", *heads], table))
        section.numbers[split] = {who: {n: row.get(n) for n in names} for who, row in rows}
    compared = [r for r in run.results.values() if "verdict" in r and "interval" in r]
    for one in compared:
        heads = ["metric", "this", "other", "difference", "from", "to", "verdict"]
        names = ("metric", "this", "other", "difference")
        row = [*(one[name] for name in names), *one["interval"], one["verdict"]]
        section.tables.append(Table(f"Against {one['compare']} ({one['split']})", heads, [row]))
    if known:
        heads = ["goal", "metric", "split", "recorded", "published", "source"]
        rows = [[k.name, k.metric, k.split, k.value, k.published, k.source] for k in known]
        section.tables.append(Table("Recorded and published on the same data", heads, rows))
    return section


def _figures_by_split(
    run: Opened, others: Sequence[Opened]
) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """split -> (who, figures): baselines, the run and others, from evaluations or the last rows."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for result in run.results.values():
        if "split" not in result or "verdict" in result:
            continue
        base = result.get("baseline") or {}
        # A result of choices has the same model without prompts as its baseline.
        rows = [(b.get("model", "baseline"), b) for b in (*base.get("beside", ()), base) if b]
        rows += [(b["model"], b) for b in result.get("translation_baselines", ())]
        rows.append((f"{run.name}, step {result['step']}", result))
        for other in others:
            same = [r for r in other.results.values() if r.get("split") == result["split"]]
            rows += [(f"{other.name}, step {r['step']}", r) for r in same]
        found[f"{result['split']}, step {result['step']}"] = rows
    last = []
    for one in (run, *others):
        rows = [row for row in one.rows if row["split"] == "validation"]
        if rows:
            last.append((f"{one.name}, step {rows[-1]['step']}", rows[-1]))
    if last:
        found["last validation of the training"] = last
    return found


def curves_section(run: Opened, others: Sequence[Opened]) -> Section | None:
    """Every metric of the rows over the steps, one picture each."""
    if not run.rows:
        return None
    text = "Rows of metrics.jsonl, over the steps of the optimizer."
    section = Section("curves", "Curves", text, columns=2)
    units = {m.name: m.unit for m in run.config.task.metrics}
    names = [n for row in run.rows for n, x in row.items() if isinstance(x, int | float)]
    for name in dict.fromkeys(names):
        if name in _SHAPE or name in ("seconds", "num_targets"):
            continue
        curves = {}
        for one in (run, *others):
            for split in ("train", "validation"):
                points = [
                    (row["step"], row[name])
                    for row in one.rows
                    if row["split"] == split and isinstance(row.get(name), int | float)
                ]
                if points:
                    label = f"{one.name}, {split}" if others else split
                    curves[label] = tuple(zip(*points, strict=True))
        if any(len(x) > 1 for x, _ in curves.values()):
            unit = f" ({units[name]})" if name in units else ""
            label = name.replace("_", " ")
            section.add_figure(name, draw_lines, curves, "step", label + unit, label)
    return section if section.figures else None


def lengths_section(run: Opened, others: Sequence[Opened]) -> Section | None:
    """Scores by the length of the source or of the inputs."""
    section = Section("lengths", "By length", "Scores of the parts of a split, by length.")
    for key in _LENGTHS:
        for name, result in run.results.items():
            parts = result.get(key)
            if not parts:
                continue
            scores = [k for k, v in parts[0].items() if isinstance(v, float)]
            metric = next((k for k in scores if all(p.get(k) is not None for p in parts)), None)
            if metric is None:
                continue
            curves = {run.name: parts}
            for other in others:
                if other.results.get(name, {}).get(key):
                    curves[other.name] = other.results[name][key]
            what = "source tokens" if "source" in key else "steps"
            title = f"{metric} by length, {name}"
            section.add_figure(title, make_length_figure, curves, metric, metric, what)
    return section if section.figures else None


def samples_section(run: Opened) -> Section | None:
    """The newest texts of `generate`."""
    files = sorted((run.place / "samples").glob("*.json"), key=lambda p: p.stat().st_mtime)
    if not files:
        return None
    samples = read_json(files[-1])
    asked = {k: v for k, v in samples.items() if k != "texts" and not isinstance(v, list | dict)}
    text = ", ".join(f"{k} {v!r}" for k, v in asked.items())
    texts = [str(one)[:LONGEST] for one in samples.get("texts", ())[:MOST_TEXTS]]
    return Section("samples", "Samples", text, texts=texts)


def config_section(run: Opened, others: Sequence[Opened]) -> Section:
    """Fields that differ from their defaults, from other runs, and all of them."""
    values, defaults = flat_values(run.config), default_values(run.config)
    absent = object()
    rows = [
        [name, show_value(value), show_value(defaults[name]) if name in defaults else "none"]
        for name, value in values.items()
        if repr(value) != repr(defaults.get(name, absent))
    ]
    section = Section("config", "Configuration", "Fields of the resolved config.")
    heads = ["field", "value", "default"]
    section.tables.append(Table("Different from the default of its class", heads, rows))
    for other in others:
        theirs = flat_values(other.config)
        changed = [
            [name, _shown(values, name), _shown(theirs, name)]
            for name in {**values, **theirs}
            if repr(values.get(name, absent)) != repr(theirs.get(name, absent))
        ]
        heads = ["field", run.name, other.name]
        section.tables.append(Table(f"Different from {other.place}", heads, changed))
    for entry in read_changes(run.place, run.config):
        changed = [[n, show_value(a), show_value(b)] for n, (a, b) in entry["fields"].items()]
        title = f"Changed after step {entry['after_step']}"
        section.tables.append(Table(title, ["field", "before", "after"], changed))
    section.texts.append("\n".join(f"{n}={show_value(v)}" for n, v in values.items()))
    return section


def _shown(values: Mapping[str, Any], name: str) -> str:
    return show_value(values[name]) if name in values else "absent"


def default_values(config: ExperimentConfig) -> dict[str, Any]:
    """Defaults of the classes of a config's sections, by field; those without one are left out."""

    def walk(section: Any, prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field in dataclasses.fields(section):
            value, name = getattr(section, field.name), f"{prefix}{field.name}"
            if dataclasses.is_dataclass(value):
                found |= walk(value, f"{name}.")
            elif field.default is not dataclasses.MISSING:
                found[name] = getattr(field.default, "value", field.default)
        return found

    found = walk(config, "")
    kinds = {n: v for n, v in flat_values(config).items() if n.rpartition(".")[2] == "kind"}
    return found | kinds


def data_section(run: Opened) -> Section:
    """The origin of the data, and their sizes."""
    data = run.config.data
    name, rows = data.dataset, []
    if name in registry.DATASETS:
        rows.append(["source", registry.DATASETS[name].summary])
    for field, _, value in leaves(data):
        if value is not None and field.endswith(("name", "path", "column", "form", "fold")):
            rows.append([f"data.{field}", show_value(value)])
    path = run.place / "data.json"
    described = read_json(path) if path.is_file() else {}
    rows += [[k, v] for k, v in described.items() if isinstance(v, str | int | float)]
    section = Section("data", "Data", "", tables=[Table(name, ["", ""], rows)])
    if splits := described.get("splits"):
        what = list(dict.fromkeys(key for sizes in splits.values() for key in sizes))
        rows = [[split, *(sizes.get(key) for key in what)] for split, sizes in splits.items()]
        heads = ["split", *(key.replace("_", " ") for key in what)]
        section.tables.append(Table("Sizes", heads, rows))
    return section


def environment_section(run: Opened) -> Section:
    """The machine of the training, if it is known, versions here, and commands to repeat a run."""
    rows: list[list[Any]] = []
    for file in ("reproduce.json", "imported.json", "init_from.json"):
        if (run.place / file).is_file():
            rows += [[f"{file}: {k}", str(v)] for k, v in read_json(run.place / file).items()]
    seconds = max((row.get("seconds", 0.0) for row in run.rows), default=0.0)
    rows.append(["seconds of training", float(seconds)])
    rows += [[f"{name} of this page", version] for name, version in library_versions()]
    section = Section("environment", "Environment and commands", "")
    section.tables.append(Table("Environment", ["", ""], rows))
    words = " \\\n    ".join(["python launch.py train", *command_of(run.config)])
    place = f"--workdir={run.place}"
    lines = [f"{words} \\\n    {place}"]
    lines += [f"python launch.py evaluate {place} --split=test"]
    section.texts.append("\n".join(lines))
    return section


def library_versions() -> list[list[str]]:
    """Names and versions of Python, of the libraries and of the system, here."""
    rows = [["Python", platform.python_version()]]
    rows += [[name, importlib.metadata.version(name)] for name in LIBRARIES]
    return [*rows, ["system", platform.platform()]]


def command_of(config: ExperimentConfig) -> list[str]:
    """The flags of `train` that make a config: the nearest shipped one, and what differs."""
    wanted, best = flat_values(config), None
    for name in config_names():
        for variant in config_summary(name)[1]:
            reference = f"{name}:{variant}" if len(config_summary(name)[1]) > 1 else name
            have = flat_values(load_config(reference))
            # Kinds and feature sections cannot be set by flags.
            if set(have) != set(wanted) or any(have[k] != wanted[k] for k in have if _fixed(k)):
                continue
            changed = [k for k in wanted if repr(have[k]) != repr(wanted[k])]
            if best is None or len(changed) < len(best[1]):
                best = reference, changed
    if best is None:
        return ["--config=NAME"]
    quote = lambda text: f"'{text}'" if re.search(r"[^\w./:@,+-]", text) else text
    fields = [f"--config.{k}={quote(show_value(wanted[k]))}" for k in best[1]]
    return [f"--config={best[0]}", *fields]


def _fixed(name: str) -> bool:
    return name.rpartition(".")[2] == "kind"


def pictures_of(place: Path) -> dict[str, bytes]:
    """Pictures of a work directory by their place in it."""
    files = [path for pattern in PICTURES for path in sorted(place.glob(pattern))]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}
