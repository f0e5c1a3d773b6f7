"""`launch.py inspect`: what a work directory holds."""

from __future__ import annotations

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource

DOC = """Shows the checkpoints of a run, their seals, the best metric, parameters, data position."""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)


def run(arguments: Arguments) -> int:
    from seqmodels.evaluation.inspect import describe, render

    values = describe(arguments.workdir)
    program.answer(arguments, values, render(values))
    return program.DONE


COMMAND = Command("inspect", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
