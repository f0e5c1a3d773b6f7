"""`launch.py report`: one HTML page about a run, a sweep or a diagnosis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from experiments import goals, program
from experiments.arguments import Arguments, Command
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.evaluation.goals import read_results

DOC = """Writes one HTML page about a run, which needs no network and can be mailed.

It has the results next to baselines, other runs and published numbers, curves, the best and worst
rows, samples, pictures of the work directory (of `evaluate`, `look`, ..), the config and how it
differs from its defaults, the data, versions and commands. --against=DIR2,DIR3 adds other runs;
--root=DIR instead takes all runs below a folder. A folder of `diagnose` gives a page of its cells.
"""
RESULTS = Path(__file__).with_name("results")


def define(values: flags.FlagValues) -> None:
    string = flags.DEFINE_string
    program.define_workdir(values)
    program.define_json(values)
    string("against", None, "work directories to compare with, with commas", flag_values=values)
    string("root", None, "folder of runs, instead of --workdir", flag_values=values)
    string("output", None, "file to write; none = report.html in the folder", flag_values=values)
    flags.DEFINE_integer(
        "examples", 5, "best and worst rows to show; 0 loads no model", 0, flag_values=values
    )


def run(arguments: Arguments) -> int:
    asked = arguments.flags
    place, against = find_runs(arguments)
    from seqmodels.files import replacing
    from seqmodels.look.diagnosis import diagnosis_sections, is_diagnosis
    from seqmodels.look.drawing import draw
    from seqmodels.look.page import check_templates, render

    check_templates()
    output = Path(asked.output or (Path(asked.root or place) / "report.html")).expanduser()
    if not output.parent.is_dir():
        raise UserError(f"--output={output}: {output.parent} is not a directory")
    if is_diagnosis(place):
        sections, given = diagnosis_sections(place)
        title, lead = f"Diagnosis: {place.name}", []
    else:
        sections, given, title, lead = sections_of(place, against, asked.examples)
    pictures = {name: {**drawn, **given.get(name, {})} for name, drawn in draw(sections).items()}
    page = render(title, lead, sections, pictures)
    try:
        with replacing(output) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}") from None
    answer = {"page": str(output), "sections": [s.name for s in sections], "bytes": len(page)}
    program.answer(arguments, answer, f"written to {output}")
    return program.DONE


def find_runs(arguments: Arguments) -> tuple[Path, list[Path]]:
    """The run of a report and those that it is compared with.

    Raises:
      UserError: neither or both of --workdir and --root are given, or there is no run.
    """
    from seqmodels.look.diagnosis import is_diagnosis

    asked = arguments.flags
    if (asked.root is None) == (asked.workdir is None):
        raise UserError("--workdir=DIR or --root=DIR: give one of the two")
    if asked.root is None:
        others = [
            Path(x.strip()).expanduser() for x in (asked.against or "").split(",") if x.strip()
        ]
        if not arguments.workdir.is_dir():
            raise UserError(f"--workdir={asked.workdir}: no such directory")
        if others and is_diagnosis(arguments.workdir):
            raise UserError(f"--against={asked.against}: has no effect for a folder of diagnose")
        return arguments.workdir, others
    if asked.against is not None:
        raise UserError(f"--against={asked.against}: has no effect with --root")
    root = Path(asked.root).expanduser()
    if not root.is_dir():
        raise UserError(f"--root={asked.root}: no such directory")
    if is_diagnosis(root):
        return root, []
    found = [path.parent for path in sorted(root.rglob("config.json"))]
    if not found:
        raise UserError(f"--root={asked.root}: no run below it")
    return found[0], found[1:]


def sections_of(place: Path, against: list[Path], examples: int) -> Any:
    """The sections, pictures, title and first lines of a page about runs."""
    from seqmodels.look.report import make_sections, open_workdir

    opened = open_workdir(place)
    others = [open_workdir(path, "--against") for path in against]
    known = known_figures(opened.config)
    shown = None if not examples or opened.config.model.fitted else best_and_worst(place, examples)
    sections, given = make_sections(opened, others, known, shown)
    config = opened.config
    steps = max((row["step"] for row in opened.rows), default=0)
    lead = [
        f"{config.model.kind} for {config.task.kind} on {config.data.dataset}, {steps:,} steps."
    ]
    if others:
        lead.append(f"Compared with {', '.join(other.name for other in others)}.")
    return sections, given, f"{opened.name}", lead


def known_figures(config: ExperimentConfig) -> list[Any]:
    """Recorded and published figures of the goals with the same data and the same kind of task."""
    from seqmodels.look.report import Known

    results, found = read_results(RESULTS), []
    for goal in goals.GOALS.values():
        other = load_config(goal.config)
        if other.data.dataset != config.data.dataset or type(other.task) is not type(config.task):
            continue
        value = results.get(goal.name, {}).get("value")
        found.append(Known(goal.name, goal.metric, goal.split, value, goal.published, goal.source))
    return found


def best_and_worst(place: Path, count: int) -> Any:
    """A section of the rows of the validation split with the largest and the least loss per
    target; None where the data are not there or have no such split."""
    from seqmodels.look.examples import look_at_rows
    from seqmodels.runs.opening import read_config

    program.set_up_jax(read_config(place))
    return look_at_rows(place, count)


COMMAND = Command("report", DOC, run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
