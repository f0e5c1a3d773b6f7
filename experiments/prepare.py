"""`launch.py prepare`: tokenises the data of a config before training."""

from __future__ import annotations

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource

DOC = """Downloads (if possible), tokenises and caches the data of a config."""


def run(arguments: Arguments) -> int:
    from seqmodels.data.pipeline import prepare
    from seqmodels.tasks.build import build_task

    config = arguments.experiment
    values = prepare(config, build_task(config))
    lines = [
        f"{values['dataset']}: {values['encoding']}",
        *program.split_lines(values),
        f"in {values['where']}",
    ]
    program.answer(arguments, values, "\n".join(lines))
    return program.DONE


COMMAND = Command("prepare", DOC, run, program.define_json, ConfigSource.FILE)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
