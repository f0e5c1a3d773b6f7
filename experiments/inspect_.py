"""`launch.py inspect`: describes a work directory."""

from __future__ import annotations

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError

DOC = """Shows a run's checkpoints, their seals, the best metric, parameters and data position.

With --follow it shows the progress of a run until the run is done or you press Ctrl-C: a live view
on a terminal, otherwise one line per row of metrics (with --json, the row itself). The run may be
stopped and resumed meanwhile. With --figure it plots the losses instead.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    flags.DEFINE_bool("follow", False, "show the progress of a run", flag_values=values)
    flags.DEFINE_bool(
        "figure", False, "plot the losses in WORKDIR/figures/loss.png", flag_values=values
    )


def run(arguments: Arguments) -> int:
    if arguments.flags.follow and arguments.flags.figure:
        raise UserError("--follow and --figure: give only one of the two")
    if arguments.flags.figure:
        from seqmodels.runs.figures import draw_loss

        unit = arguments.experiment.task.metrics[0].unit
        path = str(draw_loss(arguments.workdir, unit))
        program.answer(arguments, {"figure": path}, path)
        return program.DONE
    if arguments.flags.follow:
        from seqmodels.runs.follow_views import follow

        follow(arguments.workdir, arguments.experiment, as_json=arguments.flags.json)
        return program.DONE
    from seqmodels.runs.inspect import describe, render

    values = describe(arguments.workdir)
    program.answer(arguments, values, render(values))
    return program.DONE


COMMAND = Command("inspect", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
