"""`launch.py predict`: predictions for the user's own lines or images."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels import registry
from seqmodels.config.errors import UserError, an
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.strict_json import to_text
from seqmodels.config.tasks import AnswerFlag
from seqmodels.runs.opening import parse_step

if TYPE_CHECKING:
    from seqmodels.protocols import Answerer

DOC = """Writes one line of JSON for each line of a file, or for each image, sound or table.

For translation: the source and its best translations. For classification: the label and the
probabilities. For language models: the log-probability of each line. For forecasting: the steps
after the last of each CSV file. Answers appear batch by batch on stdout, or go to the file
--output, which appears once it is complete. --folder=DIR also writes tables and pictures of
forecasts, named after the file. With --input=- a batch waits for --batch_size lines or the end of
the input; use 1 to get each answer at once.

With --stream the input is one endless text, for a language model that reads any length: each line
is scored after everything before it, its line feed included, in memory that does not grow.
"""

_LONGEST_PIECE = 1 << 16


def answer_flags() -> dict[str, AnswerFlag]:
    """The flags of all tasks, by name."""
    configs = [registry.resolve(entry.config) for entry in registry.TASKS.values()]
    return {flag.name: flag for config in configs for flag in config.answer_flags}


def define(values: flags.FlagValues) -> None:
    string, integer = flags.DEFINE_string, flags.DEFINE_integer
    program.define_workdir(values)
    text = "file or glob, or a folder of images; - is stdin"
    string("input", None, text, flag_values=values)
    string("output", None, "file to write; none = stdout", flag_values=values)
    string("folder", None, "folder for tables and pictures of the answers", flag_values=values)
    integer("batch_size", 32, "inputs per batch", lower_bound=1, flag_values=values)
    stream = "treat the lines as one text, and score each after all before it"
    flags.DEFINE_bool("stream", False, stream, flag_values=values)
    for flag in answer_flags().values():
        bound = {} if flag.least is None else {"lower_bound": flag.least}
        make: Any = {int: integer, float: flags.DEFINE_float, str: string}[flag.type]
        make(flag.name, flag.default, flag.text, flag_values=values, **bound)
    program.define_step(values)


def read_settings(asked: Any, config: ExperimentConfig) -> Any:
    """How the task of a run is to answer.

    Raises:
      UserError: numbers that do not go together, or flags of another task.
    """
    own = {flag.name for flag in config.task.answer_flags}
    for name in answer_flags():
        if name not in own and asked[name].present:
            kinds = [
                (kind, registry.resolve(entry.config)) for kind, entry in registry.TASKS.items()
            ]
            for_kind, owner = next(
                (kind, task)
                for kind, task in kinds
                if name in {flag.name for flag in task.answer_flags}
            )
            raise UserError(
                f"--{name}={asked[name].value}: is for {owner.noun} (task.kind={for_kind}); this "
                f"run's task.kind is {config.task.kind}"
            )
    return config.task.answer_settings(config, {name: asked[name].value for name in own})


def run(arguments: Arguments) -> int:
    asked, workdir, step = arguments.flags, arguments.workdir, parse_step(arguments.flags.step)
    config = arguments.experiment
    role = config.task.answers
    if role is None:
        tasks = [registry.resolve(entry.config) for entry in registry.TASKS.values()]
        known = ", ".join(task.kind for task in tasks if task.answers is not None)
        raise UserError(
            f"--workdir={workdir}: predict does not support task.kind={config.task.kind}; "
            f"it supports {known}"
        )
    settings = read_settings(asked, config)
    if asked.stream:
        check_stream(config)
        given = find_pieces(asked.input)
    else:
        is_file = config.data.given(role) == "file"
        given = find_images(asked.input) if is_file else find_lines(asked.input)
    output = check_output(asked.output, asked.input)
    folder = check_folder(asked.folder, config)
    program.set_up_jax(config)
    from seqmodels.runs.run import load_run

    run = load_run(workdir, step)
    assert run.features is not None
    opened, size = (run.model, run.params, run.features), asked.batch_size
    if asked.stream:
        answerer = run.task.stream_answerer(*opened, size)
    else:
        answerer = run.task.answerer(*opened, config, settings, size)
    inputs = encode(answerer, given)
    if asked.input != "-" and not asked.stream:
        # Checks all inputs before the first answer, so that mistakes are found at once.
        inputs = iter(list(inputs))
    with open_output(output) as file:
        number, written = 0, []
        while batch := list(itertools.islice(inputs, asked.batch_size)):
            for (name, encoded), answer in zip(
                batch, answerer(*zip(*batch, strict=True)), strict=True
            ):
                file.write(to_text(answer, ensure_ascii=False) + "\n")
                if folder is not None:
                    written += run.task.save_answer(encoded, answer, folder / Path(name).stem)
            file.flush()
            number += len(batch)
    if output is not None:
        program.say(f"{number:,} answers written to {output}")
    if written:
        program.say(f"written: {', '.join(map(str, written))}")
    return program.DONE


Given = Iterator[tuple[str, str]]
"""Place of an input, for messages, and the input: a line or the path of an image."""


def encode(answerer: Answerer, given: Given) -> Iterator[tuple[str, object]]:
    """Yields inputs with what the model reads of them; errors say where an input came from."""
    for where, text in given:
        try:
            yield text, answerer.read(text)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None


def find_lines(pattern: str | None) -> Given:
    """The lines of files, which are all read first, or of stdin as they arrive.

    Raises:
      UserError: no input is named, it does not exist, or a line is empty or not UTF-8.
    """
    from seqmodels.files import find_files, read_filled_lines

    if pattern is None:
        raise UserError("--input=FILE is required, or - for stdin")
    if pattern == "-":
        return _lines_of_stdin()
    found = [(file, read_filled_lines(file)) for file in find_files("--input", pattern)]
    return (
        (f"{file}, line {number}", line)
        for file, lines in found
        for number, line in enumerate(lines, 1)
    )


def _lines_of_stdin() -> Given:
    from seqmodels.files import drop_mark, split_lines

    for number, content in enumerate(sys.stdin.buffer, 1):
        where = f"stdin, line {number}"
        text = _decode(_utf8(), content, where, final=True)
        (line,) = split_lines(drop_mark(text) if number == 1 else text) or [""]
        if not line.strip():
            raise UserError(f"{where}: is empty")
        if "\0" in line:
            raise UserError(f"{where}: binary, not text: a NUL byte")
        yield where, line


def check_stream(config: ExperimentConfig) -> None:
    """Raises UserError where a run cannot read a text without end."""
    if not config.task.answers_streams:
        tasks = [registry.resolve(entry.config) for entry in registry.TASKS.values()]
        known = ", ".join(task.kind for task in tasks if task.answers_streams)
        raise UserError(f"--stream: is for task.kind={known}; this run's is {config.task.kind}")
    if not config.model.unbounded:
        raise UserError(
            f"--stream: {an(config.model.kind)} keeps every token that it reads and has "
            f"model.max_length={vars(config.model)['max_length']} positions; an endless text "
            "needs a model with a state of fixed size, such as recurrent, aaren or ngram"
        )


def find_pieces(pattern: str | None) -> Given:
    """The lines of one file or of stdin, read as they are needed, with their line feeds.

    A line that is longer than 64 KiB comes in pieces, so that it may have any length.

    Raises:
      UserError: no input is named, it does not exist, or it is not UTF-8 text.
    """
    from seqmodels.files import find_file, open_or_explain

    if pattern is None:
        raise UserError("--input=FILE is required, or - for stdin")
    if pattern == "-":
        return _pieces("stdin", lambda: contextlib.nullcontext(sys.stdin.buffer))
    path = find_file("--input", pattern)
    return _pieces(str(path), lambda: open_or_explain(path))


def _pieces(
    source: str, open_source: Callable[[], contextlib.AbstractContextManager[BinaryIO]]
) -> Given:
    from seqmodels.files import drop_mark

    decoder, number, begins = _utf8(), 1, True
    with open_source() as file:
        while content := file.readline(_LONGEST_PIECE):
            where = f"{source}, line {number}"
            if b"\0" in content:
                raise UserError(f"{where}: binary, not text: a NUL byte")
            text = _decode(decoder, content, where)
            text, begins = drop_mark(text) if begins else text, False
            number += content.endswith(b"\n")
            if text:
                yield where, text
        _decode(decoder, b"", f"{source}, line {number}", final=True)


_utf8 = codecs.getincrementaldecoder("utf-8")


def _decode(decoder: codecs.IncrementalDecoder, content: bytes, where: str, **how: bool) -> str:
    try:
        return decoder.decode(content, **how)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UserError(f"{where}: not UTF-8: byte 0x{byte:02x} ({error.reason})") from None


def find_images(pattern: str | None) -> Given:
    """The name and path of each image; see `input_files`.

    Raises:
      UserError: none is named, or none exists.
    """
    if pattern is None or pattern == "-":
        raise UserError(
            f"--input={pattern or ''}: must be a file, a folder of images or sounds, or a glob"
        )
    return ((str(file), str(file)) for file in input_files(pattern))


def input_files(pattern: str) -> list[Path]:
    """The images and sounds in a folder and its subfolders, or the files of a glob; UserError if
    none."""
    from seqmodels.data import image_file, sound_file
    from seqmodels.files import find_files

    folder = Path(pattern).expanduser()
    if not folder.is_dir():
        return find_files("--input", pattern)
    endings = (*image_file.SUFFIXES, *sound_file.SUFFIXES)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings)
    if not files:
        raise UserError(f"--input={pattern}: no image and no sound in it: {', '.join(endings)}")
    return files


def check_output(name: str | None, pattern: str) -> Path | None:
    """The output file; raises UserError if it cannot be written or is one of the inputs."""
    if name is None:
        return None
    path = Path(name).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        what = "is a directory" if path.is_dir() else f"{path.parent} is not a directory"
        raise UserError(f"--output={name}: {what}")
    if path.exists() and pattern != "-" and any(map(path.samefile, input_files(pattern))):
        raise UserError(f"--output={name}: is one of the inputs")
    return path


def check_folder(name: str | None, config: ExperimentConfig) -> Path | None:
    """The folder of tables and pictures; raises UserError where the task has none, or it cannot be
    one."""
    if name is None:
        return None
    if not config.task.saves_answers:
        tasks = [registry.resolve(entry.config) for entry in registry.TASKS.values()]
        known = ", ".join(task.kind for task in tasks if task.saves_answers)
        raise UserError(
            f"--folder={name}: is for task.kind={known}; this run's is {config.task.kind}"
        )
    path = Path(name).expanduser()
    if path.exists() and not path.is_dir():
        raise UserError(f"--folder={name}: is a file")
    return path


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[IO[str]]:
    """Yields stdout, or a file that gets its name once it is complete."""
    if path is None:
        yield sys.stdout
        return
    from seqmodels.files import replacing

    with replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
        yield file


COMMAND = Command("predict", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
