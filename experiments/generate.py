"""`launch.py generate`: generates text with a run."""

from __future__ import annotations

import dataclasses
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import program, spread
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.training import MAX_SEED
from seqmodels.runs.opening import parse_step

if TYPE_CHECKING:
    from seqmodels.config.experiment import ExperimentConfig
    from seqmodels.runs.run import Run
    from seqmodels.runs.state_file import StateFile

DOC = """Continues a prompt or a file; needs only the work directory.

The text appears on stdout while it is generated, everything else on stderr. It is also written,
with its settings, to samples/ in the work directory. A text of an imported model ends at the
model's own end-of-text token, which is not written. With --beam_size it searches for the most
probable texts up to --end, or to that token; the best appears as soon as it is certain, the others
when the search is done.

--state_out=FILE keeps the state after the text, and --state_in=FILE resumes there, with or without
a further --prompt. The text is the same as without the interruption; with another --seed, or with
several --num_samples, it continues differently.
"""
_OF_TEXTS = ("num_samples", "max_tokens", "min_tokens", "ignore_eos", "strict_length")
_OF_DRAWS = ("temperature", "top_k", "top_p", "seed")


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    string, integer = flags.DEFINE_string, flags.DEFINE_integer
    number, switch = flags.DEFINE_float, flags.DEFINE_bool
    string("prompt", "", "beginning of the text", flag_values=values)
    string("prompt_file", None, "UTF-8 file with the beginning of the text", flag_values=values)
    one = {"lower_bound": 1, "flag_values": values}
    zero = {"lower_bound": 0, "flag_values": values}
    integer("num_samples", 1, "number of texts", **one)
    integer("max_tokens", 500, "maximum number of new tokens per text", **one)
    integer("min_tokens", 0, "minimum number of new tokens of a text that has an end", **zero)
    resumed = "file of --state_out whose text is resumed; the prompt comes after it"
    string("state_in", None, resumed, flag_values=values)
    string("state_out", None, "file for the state after the text", flag_values=values)
    string("end", "", r"a text ends once it contains this; \n is a line feed", flag_values=values)
    past = "continue past the end-of-text token of an imported model, and write it"
    switch("ignore_eos", False, past, flag_values=values)
    number("temperature", 1.0, "divides the logits; 0 is greedy", **zero)
    integer("top_k", None, "sample only from the k most probable tokens", **one)
    nucleus = "sample only from the fewest tokens with at least this total probability"
    number("top_p", None, nucleus, upper_bound=1, **zero)
    integer("seed", 0, "random seed of the samples", upper_bound=MAX_SEED, **zero)
    size = "number of hypotheses of a search for the most probable texts, instead of sampling"
    integer("beam_size", None, size, **one)
    number("length_penalty", 0.0, "exponent of the length penalty of a beam search", **zero)
    program.define_step(values)
    spread.define(values)
    strict = "refuse texts that are longer than the model's positions"
    switch("strict_length", False, strict, flag_values=values)


def run(arguments: Arguments) -> int:
    asked, workdir, step = arguments.flags, arguments.workdir, parse_step(arguments.flags.step)
    config = arguments.experiment
    if not config.task.continues_text:
        raise UserError(
            f"--workdir={workdir}: model.kind={config.model.kind} with task.kind="
            f"{config.task.kind} cannot generate text; generate needs task.kind=language_model"
        )
    eos_ids = () if asked.ignore_eos else read_eos_ids(workdir)
    if asked.min_tokens and not asked.end and not eos_ids:
        raise UserError(f"--min_tokens={asked.min_tokens}: needs --end=TEXT")
    beam, prompt = read_beam(asked, eos_ids), read_prompt(asked)
    states = read_states(asked, config)
    spread.check(arguments)
    program.set_up_jax(config)
    from seqmodels.runs.run import load_run

    make = functools.partial(sample, states) if beam is None else functools.partial(search, beam)
    with spread.over_mesh(arguments) as mesh:
        opened = load_run(workdir, step, mesh)
        settings, made = make(arguments, opened, prompt, asked.end.replace(r"\n", "\n"))
    values = {"step": opened.step, "prompt": prompt, **settings}
    if asked.json:
        program.answer(arguments, {**values, **made}, "")
    # Printed first, so that a text that cannot be written is not lost.
    path = write_samples(workdir, values, made)
    if not asked.json:
        speed = f"{made['tokens_per_second']:,.0f} tokens/s; " if beam is None else ""
        program.say(f"{speed}written to {path}")
    return program.DONE


Made = tuple[dict[str, Any], dict[str, Any]]
"""The settings; and `texts` with details about them."""


@dataclasses.dataclass(frozen=True)
class States:
    """The files of --state_in, with its content, and of --state_out."""

    given: tuple[Path, StateFile] | None = None
    output: Path | None = None


def read_states(asked: Any, config: ExperimentConfig) -> States:
    """Reads the file of --state_in and checks the place of --state_out; imports no jax.

    Raises:
      UserError: flags contradict each other, or the file is damaged or of another model.
    """
    from seqmodels.files import find_file
    from seqmodels.runs.state_file import check_owner, check_place, model_of, read_state

    for name in ("state_in", "state_out"):
        if asked[name].value is not None and asked.beam_size is not None:
            raise UserError(f"--{name}={asked[name].value}: has no effect with --beam_size")
    if asked.state_out is not None and asked.num_samples > 1:
        raise UserError(
            f"--num_samples={asked.num_samples}: must be 1 with --state_out, which keeps one text"
        )
    output = None if asked.state_out is None else check_place(asked.state_out)
    if asked.state_in is None:
        return States(output=output)
    path = find_file("--state_in", asked.state_in)
    found = read_state(path)
    check_owner(path, found.owner, model=model_of(config), dtype=config.training.dtype.value)
    return States((path, found), output)


def sample(states: States, arguments: Arguments, opened: Run, prompt: str, end: str) -> Made:
    """Draws texts; without --json they are printed while they come."""
    from seqmodels.runs.generate import generate_text
    from seqmodels.runs.resume_text import restore_text_state, save_text_state

    asked = arguments.flags
    settings: dict[str, Any] = {name: getattr(asked, name) for name in (*_OF_TEXTS, *_OF_DRAWS)}
    settings["end"] = end
    state = None
    if states.given is not None:
        path, found = states.given
        state = restore_text_state(path, opened, found)
        if not asked["seed"].present:
            settings["seed"] = state.seed
    printer = None if asked.json else Printer(prompt, asked.num_samples)
    made = generate_text(
        opened,
        [prompt],
        **settings,
        state=state,
        keep_state=states.output is not None,
        on_text=printer,
        on_notice=program.say,
    )
    if printer is not None:
        printer.finish()
    if states.output is not None:
        assert made.state is not None
        save_text_state(states.output, opened, made.state)
    files = {name: asked[name].value for name in ("state_in", "state_out") if asked[name].present}
    found = {"texts": made.texts, "tokens_per_second": made.tokens_per_second}
    return {**settings, **files}, found


def search(beam: Beam, arguments: Arguments, opened: Run, prompt: str, end: str) -> Made:
    """Finds the most probable texts; without --json prints each with its probability.

    A token of the best text is printed once all candidates for the best agree on it.
    """
    from seqmodels.decoding.likely_text import find_likely_texts
    from seqmodels.runs.generate import writing_tokenizer

    printer = None if arguments.flags.json else Printer(prompt, 1)
    tell = None if printer is None else functools.partial(printer, 0)
    tokenizer = writing_tokenizer(opened)
    found = find_likely_texts(opened.model, opened.params, tokenizer, prompt, end, beam, tell)
    if printer is not None:
        printer.finish()
        for number, one in enumerate(found, 1):
            if number > 1:
                print(one.text, flush=True)
            program.say(f"--- {number}: log p {one.log_probability:.4f}")
    names = ("texts", "log_probabilities", "scores")
    rows = zip(*((one.text, one.log_probability, one.score) for one in found), strict=True)
    made = {name: list(row) for name, row in zip(names, rows, strict=True)}
    return {"end": end, "beam": dataclasses.asdict(beam)}, made


def read_eos_ids(workdir: Path) -> tuple[int, ...]:
    """The tokens at which the texts of a run end, if it was imported; imports no jax."""
    from seqmodels.data.tokenizers import TOKENIZER_FILE, load_tokenizer

    path = workdir / TOKENIZER_FILE
    return load_tokenizer(path).eos_ids if path.is_file() else ()


def read_beam(asked: Any, eos_ids: tuple[int, ...] = ()) -> Beam | None:
    """Reads the settings of a search; None if texts are sampled.

    Args:
      eos_ids: tokens that end a text without --end.

    Raises:
      UserError: flags contradict each other.
    """
    if asked.beam_size is None:
        if asked["length_penalty"].present:
            raise UserError("--length_penalty: needs --beam_size=N")
        return None
    for name in (*_OF_DRAWS, "strict_length"):
        if asked[name].present:
            raise UserError(f"--{name}={asked[name].value}: has no effect with --beam_size")
    if not asked.end and len(eos_ids) != 1:
        several = f"; the model has {len(eos_ids)} tokens that end one" if eos_ids else ""
        raise UserError(
            f"--beam_size={asked.beam_size}: needs --end=TEXT, the end of a text{several}"
        )
    if asked.num_samples > asked.beam_size:
        raise UserError(
            f"--num_samples={asked.num_samples}: must be at most --beam_size, {asked.beam_size}"
        )
    return Beam(
        asked.beam_size,
        asked.num_samples,
        asked.length_penalty,
        min_tokens=asked.min_tokens,
        max_tokens=asked.max_tokens,
    )


def read_prompt(asked: Any) -> str:
    """The text to continue: `--prompt`, or all of `--prompt_file` including its last line feed.

    Raises:
      UserError: both are given, or the file is missing, empty or not UTF-8.
    """
    if asked.prompt_file is None:
        return asked.prompt
    if asked["prompt"].present:
        raise UserError("--prompt and --prompt_file: give only one of the two")
    from seqmodels.files import find_file, read_filled

    file = find_file("--prompt_file", asked.prompt_file)
    return read_filled(file)


@dataclasses.dataclass
class Printer:
    """Streams the first text to stdout; prints the others when they are complete."""

    prompt: str
    num_samples: int

    def __post_init__(self) -> None:
        self._texts = [self.prompt] * self.num_samples
        self._started = False

    def __call__(self, number: int, text: str) -> None:
        self._texts[number] += text
        if number == 0:
            # The prompt is printed with the first token, as the request may still be refused.
            self._put(text if self._started else self._heading(0) + self.prompt + text)
            self._started = True

    def finish(self) -> None:
        """Prints what was not streamed."""
        for number in range(1, self.num_samples):
            self._put("\n" + self._heading(number) + self._texts[number])
        self._put("\n")

    def _heading(self, number: int) -> str:
        return f"--- {number + 1} of {self.num_samples}\n" if self.num_samples > 1 else ""

    def _put(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def write_samples(workdir: Path, values: dict[str, Any], made: dict[str, Any]) -> Path:
    """Writes `samples/<step>-<number>.json` and a readable `.txt`; returns the path of the latter.

    Raises:
      UserError: they cannot be written.
    """
    from seqmodels.files import claim_number, replacing
    from seqmodels.runs.workdir import write_json

    folder = workdir / "samples"
    try:
        folder.mkdir(exist_ok=True)
        path = claim_number(folder, str(values["step"]), (".txt", ".json"))
        try:
            write_json(path.with_suffix(".json"), {**values, **made})
            with replacing(path) as partial:
                partial.write_text("\n\n---\n\n".join(made["texts"]) + "\n", encoding="utf-8")
        except OSError:
            path.unlink()  # empty, and only to claim the number
            raise
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    return path


COMMAND = Command("generate", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
