"""`launch.py train`: trains, or resumes what was interrupted."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from experiments import distributed, program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.runs.event_files import require_tensorboard
from seqmodels.training.profile import TRACED, WARM_UP, refuse_profile

DOC = """Trains the model of a config, or resumes the run that the work directory holds.

Without --config the config of the work directory is used. SIGTERM and Ctrl-C save and leave; the
same command goes on from there. With --init_from a new run starts with the parameters of another
one, as far as they fit. With --dry_run nothing is trained and the work directory is not
touched: everything is validated, parameters and memory are counted, and one batch is made.
--profile changes no bit of the run.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    flags.DEFINE_bool(
        "dry_run", False, "validate, count, make one batch and stop", flag_values=values
    )
    flags.DEFINE_bool(
        "profile",
        False,
        f"trace {TRACED} steps, once {WARM_UP} are done, to WORKDIR/profile/, for "
        "https://ui.perfetto.dev",
        flag_values=values,
    )
    distributed.define(values)
    flags.DEFINE_string(
        "init_from",
        None,
        "DIR or DIR@best, DIR@latest, DIR@N: the run whose parameters a new run starts with; short "
        "for --config.training.init_from",
        flag_values=values,
    )


def run(arguments: Arguments) -> int:
    from seqmodels.runs.workdir import find_start, refuse_other_run

    config = arguments.experiment
    require_tensorboard(config.training)
    distributed.check(arguments)
    named = None if arguments.flags.workdir is None else arguments.workdir
    if arguments.flags.profile:
        refuse_profile(config, named)
    if arguments.flags.dry_run:
        find_start(config, named)
        program.set_up_jax(config)
        distributed.start(arguments)
        from experiments.dry_run import dry_run

        return dry_run(config, named)
    workdir = arguments.workdir
    # Before jax is imported.
    find_start(config, workdir)
    refuse_other_run(workdir, config)
    program.set_up_jax(config)
    distributed.start(arguments)
    return start(config, workdir, profile=arguments.flags.profile)


def start(config: ExperimentConfig, workdir: Path, *, profile: bool = False) -> int:
    """Trains, or goes on with, a run, once its directory is looked at and jax set up.

    Returns:
      The exit status.
    """
    from seqmodels.data.pipeline import load_data
    from seqmodels.runs.workdir import kept_features
    from seqmodels.tasks.build import build_task
    from seqmodels.training.loop import prepare, train

    # What may be wrong with the data or the devices is found before the directory is claimed.
    task = build_task(config)
    data = load_data(config, task, kept_features(workdir, config))
    prepared = None if config.model.fitted else prepare(config, workdir, task, data)
    program.show_devices()
    return train(config, workdir, task, data, prepared, profile=profile)


COMMAND = Command(
    "train", DOC, run, define, ConfigSource.EITHER, short={"init_from": "training.init_from"}
)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
