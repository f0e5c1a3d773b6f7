"""`launch.py prepare`: tokenises the data of a config ahead of training."""

from __future__ import annotations

import sys

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource

DOC = """Downloads (where the data set can) and tokenises the data of a config into the cache."""


def run(arguments: Arguments) -> int:
    from seqmodels.data.pipeline import prepare

    values = prepare(arguments.experiment)
    sizes = [
        f"  {name:<12}{split['tokens']:>12,} tokens {split['characters']:>12,} characters "
        f"{split['documents']:>8,} documents"
        for name, split in values["splits"].items()
    ]
    lines = [
        f"{values['dataset']}: {values['tokenizer']} tokenizer, {values['vocab_size']} symbols",
        *sizes,
        f"in {values['where']}",
    ]
    program.answer(arguments, values, "\n".join(lines))
    return program.DONE


COMMAND = Command("prepare", DOC, run, program.define_json, ConfigSource.FILE)

if __name__ == "__main__":
    sys.exit(program.main(COMMAND))
