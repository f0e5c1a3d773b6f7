"""`launch.py export`: the weights of a run, in the formats of Hugging Face and PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError
from seqmodels.runs.opening import parse_step, read_config

DOC = """Writes the weights of a run for Hugging Face or PyTorch.

A gpt (in GPT-2's form) and a bert become a Hugging Face folder: config.json, model.safetensors
and, where the run has a tokenizer of that kind, tokenizer.json. A recurrent model of LSTM cells
becomes a .safetensors file of a state dict with the names of torch.nn.LSTM, its embedding and its
head beside. Written whole or not at all.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    flags.DEFINE_string("to", None, "folder or file to be made", flag_values=values)
    program.define_step(values)
    flags.DEFINE_enum(
        "format",
        None,
        ["huggingface", "torch"],
        "of a gpt or bert, or of an LSTM; none = the one that the model has",
        flag_values=values,
    )
    program.define_json(values)


def run(arguments: Arguments) -> int:
    asked, workdir, step = arguments.flags, arguments.workdir, parse_step(arguments.flags.step)
    if not asked.to:
        raise UserError("--to=PATH is required: a new folder or file")
    from seqmodels.interop.directories import refuse_existing

    to = Path(asked.to).expanduser()
    refuse_existing(to, "--to")
    config = read_config(workdir)
    from seqmodels.interop.formats import find_format

    form = find_format(config.model, asked.format)
    program.set_up_jax(config)
    from seqmodels.interop.exporting import export_run
    from seqmodels.runs.run import load_run

    description = export_run(load_run(workdir, step), form, to)
    program.answer(arguments, description, _report(description))
    return program.DONE


def _report(description: dict[str, Any]) -> str:
    lines = [
        f"{description['to']}: {description['architecture']} of step {description['step']}, "
        f"{description['num_tensors']} tensors"
    ]
    return "\n".join([*lines, *description["notes"]])


COMMAND = Command("export", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
