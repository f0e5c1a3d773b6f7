"""`launch.py look`: attention, gates, gradients and predictions of a run on one example."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError, suggest
from seqmodels.runs.opening import parse_step

DOC = """Shows what a run computes for one text, image or series.

Writes look.html, which needs no network and has tokens to point at, look.json, look.npz (arrays of
more than 4,096 numbers) and pictures into --folder. --what selects among attention (maps, heads by
rule, rollout), recurrence (gates, saturation, memory, eigenvalues, probes), gradient_flow,
predictions (next to an n-gram; logit lens), attribution, embeddings and parameters; without it all
that the model has. For translation --target=TEXT shows a target other than the model's own.
"""
WHAT = (
    "attention",
    "recurrence",
    "gradient_flow",
    "predictions",
    "attribution",
    "embeddings",
    "parameters",
)
_SOURCES = ("text", "input", "image")


def define(values: flags.FlagValues) -> None:
    string = flags.DEFINE_string
    program.define_workdir(values)
    program.define_json(values)
    program.define_step(values)
    string("text", None, "a text to look at", flag_values=values)
    string("input", None, "a file to look at", flag_values=values)
    string("image", None, "an image to look at", flag_values=values)
    string("target", None, "the target of a translation; none = the model's", flag_values=values)
    string("what", None, f"some of {', '.join(WHAT)}; none = all", flag_values=values)
    string("folder", None, "folder to write to; none = WORKDIR/look/STEP", flag_values=values)
    flags.DEFINE_integer("limit", 256, "most tokens of a text", 2, flag_values=values)
    flags.DEFINE_bool("compare", True, "show an n-gram's predictions too", flag_values=values)


def run(arguments: Arguments) -> int:
    asked, config = arguments.flags, arguments.experiment
    what = choose(asked.what)
    step = parse_step(asked.step)
    text = read_given(arguments)
    if asked.target is not None and "source" not in config.task.roles:
        raise UserError(f"--target={asked.target}: is for tasks with a source and a target")
    from seqmodels.look.drawing import Painter
    from seqmodels.look.page import check_templates
    from seqmodels.look.sections import plain

    check_templates()
    with Painter() as painter:
        program.set_up_jax(config)
        from seqmodels.look.look import look_at_run, write_look
        from seqmodels.protocols import Given
        from seqmodels.runs.run import load_run

        loaded = load_run(arguments.workdir, step)
        given = Given(text, asked.target, asked.limit)
        inside, sections = look_at_run(
            loaded,
            given,
            what,
            required=asked.what is not None,
            compare=asked.compare,
            found=painter.add,
        )
        pictures = painter.pictures()
    folder = Path(asked.folder or arguments.workdir / "look" / str(loaded.step)).expanduser()
    title = f"{config.model.kind}, step {loaded.step}"
    size = len(inside.example.steps)
    lead = [f"{arguments.workdir}: {size:,} steps of the input."]
    paths = write_look(folder, title, lead, sections, pictures)
    answer = {
        "step": loaded.step,
        "num_steps": size,
        "what": [section.name for section in sections],
        "files": [str(path) for path in paths],
    }
    lines = [f"{s.title}: {len(s.figures)} pictures" for s in sections]
    program.answer(arguments, plain(answer), "\n".join([*lines, f"written to {paths[0]}"]))
    return program.DONE


def choose(text: str | None) -> list[str]:
    """The names of --what; all of them where it is not given.

    Raises:
      UserError: a name that is not known, or none.
    """
    if text is None:
        return list(WHAT)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in WHAT:
            raise UserError(
                f"--what={text}: {name!r} is not one of {', '.join(WHAT)}{suggest(name, WHAT)}"
            )
    if not names:
        raise UserError(f"--what={text}: names none of {', '.join(WHAT)}")
    return list(dict.fromkeys(names))


def read_given(arguments: Arguments) -> str:
    """The text, or the path of the file, that a run reads.

    Raises:
      UserError: none or several are given, or they are not what the run reads.
    """
    from seqmodels.files import find_file, read_filled

    asked, config = arguments.flags, arguments.experiment
    given = [name for name in _SOURCES if asked[name].value is not None]
    if len(given) != 1:
        known = " or ".join(f"--{name}" for name in _SOURCES)
        raise UserError(f"{known}: one of them is required, {len(given)} are given")
    name, value = given[0], asked[given[0]].value
    is_file = config.data.given(config.task.answers or "inputs") == "file"
    if is_file and name == "text":
        raise UserError(f"--text={value}: this run reads files; use --input=FILE or --image=FILE")
    if not is_file and name == "image":
        raise UserError(f"--image={value}: this run reads texts; use --text or --input=FILE")
    if name == "text":
        if not value:
            raise UserError("--text=: is empty")
        return value
    path = find_file(f"--{name}", value)
    return str(path) if is_file else read_filled(path)


COMMAND = Command("look", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
