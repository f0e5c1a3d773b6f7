"""`launch.py export`: writes the weights of a run in formats of Hugging Face and PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError
from seqmodels.runs.opening import parse_step, read_config

DOC = """Writes the weights of a run for Hugging Face or PyTorch.

A gpt (as a GPT-2) and a bert become a Hugging Face folder: config.json, model.safetensors and, if
the run's tokenizer is from Hugging Face, tokenizer.json. A recurrent model with LSTM cells becomes
a .safetensors file: a state dict with the names of torch.nn.LSTM, its embedding and its head. The
output is written completely or not at all.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    flags.DEFINE_string("to", None, "new folder or file", flag_values=values)
    program.define_step(values)
    flags.DEFINE_enum(
        "format",
        None,
        ["huggingface", "torch"],
        "huggingface for a gpt or bert, torch for an LSTM; none = chosen by the model",
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
