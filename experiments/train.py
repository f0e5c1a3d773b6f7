"""`launch.py train`: trains, or resumes what was interrupted."""

from __future__ import annotations

import sys

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource

DOC = """Trains the model of a config, or resumes the run that the work directory holds.

Without --config the config of the work directory is used. SIGTERM and Ctrl-C save and leave; the
same command goes on from there. With --dry_run nothing is trained and the work directory is not
touched: everything is validated, parameters and memory are counted, and one batch is made.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    flags.DEFINE_bool(
        "dry_run", False, "validate, count, make one batch and stop", flag_values=values
    )


def run(arguments: Arguments) -> int:
    config = arguments.experiment
    if arguments.flags.dry_run:
        program.set_up_jax(config)
        from experiments.dry_run import dry_run

        return dry_run(config)
    workdir = arguments.workdir
    from seqmodels.training.workdir import refuse_other_run

    refuse_other_run(workdir, config)  # before jax is imported
    program.set_up_jax(config)
    from seqmodels.data.pipeline import load_data
    from seqmodels.training.loop import NonFiniteError, train
    from seqmodels.training.mesh import make_mesh

    # What may be wrong with the data or the devices is found before the directory is claimed.
    data = load_data(config)
    if not config.model.fitted:
        data.batches(config)
        make_mesh(config.training, config.data.batch_size)
    program.show_devices()
    try:
        return train(config, workdir, data)
    except NonFiniteError as error:
        program.say(f"train: {error}")
        return program.FAILED


COMMAND = Command("train", DOC, run, define, ConfigSource.EITHER)

if __name__ == "__main__":
    sys.exit(program.main(COMMAND))
