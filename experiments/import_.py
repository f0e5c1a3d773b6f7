"""`launch.py import`: makes a work directory from weights that were trained elsewhere."""

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

DOC = """Makes a work directory from weights of Hugging Face or PyTorch.

--from names a Hugging Face folder (config.json with model.safetensors or its shards and index;
GPT-2, Llama, Mistral, Qwen2, Gemma, BERT or ViT), nanoGPT's ckpt.pt, or a PyTorch state dict of
nn.RNN, nn.LSTM, nn.GRU or nn.Transformer, alone or in a module with embeddings and a linear head. A
state dict is a .safetensors file or a file of torch.save, which is loaded with weights_only. The
tokenizer of a folder is imported too. evaluate, generate, train and inspect work on the result,
which is written completely or not at all. Parameters that the file lacks are initialised and
listed, as are tensors that are not used. Until the first step, train --config.FIELD=VALUE may still
change the config.
"""


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("from", None, "folder or file with the weights", flag_values=values)
    program.define_workdir(values, "new work directory; must not exist")
    program.define_json(values)


def run(arguments: Arguments) -> int:
    named, workdir = getattr(arguments.flags, "from"), arguments.workdir
    if not named:
        raise UserError("--from=PATH is required: a Hugging Face folder or a state dict")
    from seqmodels.interop.directories import refuse_existing
    from seqmodels.interop.plan import choose_tokenizer, choose_windows, plan_import

    refuse_existing(workdir, "--workdir")
    signal.signal(signal.SIGTERM, _leave)
    with plan_import(Path(named).expanduser()) as plan:
        override(plan.config, arguments.overrides)
        choose_tokenizer(plan)
        choose_windows(plan, {name for name, _ in arguments.overrides})
        if plan.has_task:
            validate(plan.config)
        plan.match()
        program.set_up_jax(plan.config)
        from seqmodels.interop.importing import import_run

        description = import_run(plan, workdir)
    program.answer(arguments, description, _report(description, workdir))
    return program.DONE


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends the process with an exception, so that cleanup code runs."""
    sys.exit(128 + number)


def _report(description: dict[str, Any], workdir: Path) -> str:
    lines = [
        f"{workdir}: {description['model']} of {description['architecture']}, "
        f"{description['num_parameters']:,} parameters"
    ]
    named = {
        "initialised, because the file lacks it": description["fresh"],
        "not used": description["unused"],
        "note": description["notes"],
    }
    lines += [f"{what}: {name}" for what, names in named.items() for name in names]
    return "\n".join(lines)


COMMAND = Command("import", DOC, run, define, ConfigSource.OWN)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
