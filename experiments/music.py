"""`launch.py music`: checks tunes, compares them with the training split, and plays them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command
from seqmodels.config.errors import UserError
from seqmodels.config.training import MAX_SEED
from seqmodels.runs.opening import parse_step, read_config

DOC = """Checks tunes in ABC and renders them as MIDI, WAV and pictures.

With --input it reads an ABC file or a .json file of generate. With --workdir it samples tunes from
the run, each from "X:" after a blank line to the next "X:", and counts how many parse, fill their
bars and are copied from the training split; it does the same for the n-gram of
evaluation.baseline_order. The report goes to OUTPUT/music.json, with the first tunes that parse
next to it.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values, "work directory of a run over ABC")
    program.define_json(values)
    string, integer = flags.DEFINE_string, flags.DEFINE_integer
    string("input", None, "ABC file or .json of generate, instead of --workdir", flag_values=values)
    string("output", None, "folder for the output; none = WORKDIR/music", flag_values=values)
    integer("render", 3, "maximum number of tunes to render", lower_bound=0, flag_values=values)
    integer("num_samples", 50, "number of tunes to sample", lower_bound=1, flag_values=values)
    integer("max_tokens", 1000, "maximum tokens per tune", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "temperature", 1.0, "divides the logits; 0 is greedy", lower_bound=0, flag_values=values
    )
    integer(
        *("seed", 0, "random seed of the samples"),
        lower_bound=0,
        upper_bound=MAX_SEED,
        flag_values=values,
    )
    program.define_step(values)


def run(arguments: Arguments) -> int:
    asked = arguments.flags
    if (asked.input is None) == (asked.workdir is None):
        raise UserError("--input=FILE or --workdir=DIR: give exactly one of the two")
    if asked.output is None and asked.workdir is None:
        raise UserError("--output=DIR is required with --input")
    output = Path(asked.output or arguments.workdir / "music").expanduser()
    if asked.input is not None:
        _keep_input(Path(asked.input).expanduser(), output)
    if asked.render:
        from seqmodels.music.sound import require_symusic

        require_symusic()
    values, tunes, lines = _read(arguments) if asked.input is not None else _sample(arguments)
    from filelock import FileLock  # here, because `benchmark` runs without it

    from seqmodels.music.judge import list_unplayed, render_tunes
    from seqmodels.runs.workdir import LOCK, write_json

    values["wrong"] = [str(problem) for tune in tunes for problem in tune.problems]
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / LOCK):  # the tunes and the report are of one command
            values["rendered"] = render_tunes(tunes, output, asked.render)
            values["unplayed"] = list_unplayed(tunes)
            write_json(output / "music.json", values)
    except OSError as error:
        raise UserError(f"--output={output}: cannot be written: {error.strerror}") from None
    shown = values["wrong"][:5]
    if len(values["wrong"]) > len(shown):
        shown.append(f"... and {len(values['wrong']) - len(shown)} more in music.json")
    lines += [*shown, *values["unplayed"]]
    lines.append(f"{len(values['rendered'])} tunes rendered; written to {output}")
    program.answer(arguments, values, "\n".join(lines))
    return program.DONE


def _keep_input(path: Path, output: Path) -> None:
    """Raises UserError if the output would overwrite the input."""
    numbered = path.stem.isdecimal() and path.suffix == ".abc"  # the name of a rendered tune
    same_folder = path.resolve().parent == output.resolve()
    if same_folder and (numbered or path.name == "music.json"):
        raise UserError(f"--output={output}: {path} would be overwritten; name another folder")


def _read(arguments: Arguments) -> tuple[dict[str, Any], list[Any], list[str]]:
    from seqmodels.music.judge import judge, read_samples

    path = Path(arguments.flags.input).expanduser()
    tunes, unfinished = read_samples(path)
    values = {"input": str(path), **judge(tunes), "unfinished": unfinished}
    return values, tunes, [_line(path.name, values)]


def _sample(arguments: Arguments) -> tuple[dict[str, Any], list[Any], list[str]]:
    asked, workdir = arguments.flags, arguments.workdir
    config, step = read_config(workdir), parse_step(asked.step)
    if not config.data.streams():
        raise UserError(f"--workdir={workdir}: data.kind={config.data.kind} is not text")
    program.set_up_jax(config)
    from seqmodels.evaluation.tunes import judge_run
    from seqmodels.runs.run import load_run, open_data

    opened = load_run(workdir, step)
    settings = {
        name: getattr(asked, name) for name in ("num_samples", "max_tokens", "temperature", "seed")
    }
    found, base, tunes = judge_run(opened, open_data(workdir, config, opened.task), **settings)
    values = {"step": opened.step, **settings, **found, "baseline": base}
    return values, tunes, [_line(f"{base['model']} baseline", base), _line("this run", found)]


def _line(name: str, row: dict[str, Any]) -> str:
    line = (
        f"{name}: {row['num_tunes']} tunes; {row['parsed']:.0%} parse, {row['full']:.0%} also "
        "with full bars"
    )
    if "copied_whole" in row:
        line += (
            f"; {row['copied_whole']:.0%} copied whole, {row['copied_share']:.0%} of the notes "
            f"copied, longest copy {row['longest_copy']} characters"
        )
    return line


COMMAND = Command("music", DOC, run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
