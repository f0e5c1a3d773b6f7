"""`launch.py import`: a work directory of weights that were trained elsewhere."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource, override
from seqmodels.config.errors import UserError
from seqmodels.config.validate import validate

DOC = """Makes a work directory of weights of Hugging Face or PyTorch.

--from names a Hugging Face folder (config.json with model.safetensors, or with shards of it and
their index; GPT-2, Llama, Mistral, BERT, ViT), or a state dict of PyTorch, alone or in a module
with one embedding and one linear head (nn.RNN, nn.LSTM, nn.GRU, nn.Transformer): a .safetensors
file, or one of torch.save, which is loaded with weights_only. The tokenizer of a folder comes
along. evaluate, generate, train and inspect work on the result, which is written whole or not at
all. Parameters that the file does not hold are initialised and named, as are tensors that are not
used. Until its first step a run may still get another config by train --config.FIELD=VALUE.
"""


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("from", None, "folder or file of the weights", flag_values=values)
    program.define_workdir(values, "work directory to be made; must not be there")
    program.define_json(values)


def run(arguments: Arguments) -> int:
    named, workdir = getattr(arguments.flags, "from"), arguments.workdir
    if not named:
        raise UserError("--from=PATH is required: a folder of Hugging Face, or a state dict")
    from seqmodels.interop.directories import refuse_existing
    from seqmodels.interop.plan import choose_tokenizer, plan_import

    refuse_existing(workdir, "--workdir")
    signal.signal(signal.SIGTERM, _leave)
    with plan_import(Path(named).expanduser()) as plan:
        override(plan.config, arguments.overrides)
        choose_tokenizer(plan)
        if plan.has_task:
            validate(plan.config)
        plan.match()
        program.set_up_jax(plan.config)
        from seqmodels.interop.importing import import_run

        description = import_run(plan, workdir)
    program.answer(arguments, description, _report(description, workdir))
    return program.DONE


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends the process by way of what cleans up."""
    sys.exit(128 + number)


def _report(description: dict[str, Any], workdir: Path) -> str:
    lines = [
        f"{workdir}: {description['model']} of {description['architecture']}, "
        f"{description['num_parameters']:,} parameters"
    ]
    named = {
        "initialised, for the file does not hold it": description["fresh"],
        "not used": description["unused"],
        "note": description["notes"],
    }
    lines += [f"{what}: {name}" for what, names in named.items() for name in names]
    return "\n".join(lines)


COMMAND = Command("import", DOC, run, define, ConfigSource.OWN)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
