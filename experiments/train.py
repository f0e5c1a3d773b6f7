"""`launch.py train`: trains a model, or resumes a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from experiments import distributed, executors, program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.runs.event_files import require_tensorboard
from seqmodels.training.profile import TRACED, WARM_UP, refuse_profile

DOC = """Trains the model of a config, or resumes the run that the work directory holds.

Without --config it uses the config of the work directory. SIGTERM and Ctrl-C save a checkpoint and
end the command; the same command resumes from it. With --init_from a new run starts with the
parameters of another run that fit. --dry_run trains nothing and does not touch the work directory:
it validates everything, counts parameters and memory, and makes one batch. --profile does not
change the results of the run. --cpu_devices=N splits each batch over N devices of one CPU, whose
sums have other last digits. --executor=slurm submits the run and returns.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    flags.DEFINE_bool(
        "dry_run", False, "validate, count parameters, make one batch, stop", flag_values=values
    )
    flags.DEFINE_bool(
        "profile",
        False,
        f"trace {TRACED} steps after the first {WARM_UP}, in WORKDIR/profile/, for "
        "https://ui.perfetto.dev",
        flag_values=values,
    )
    distributed.define(values)
    executors.define(values)
    flags.DEFINE_integer(
        "cpu_devices",
        1,
        "parts of a CPU that each have an equal share of the batch",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_string(
        "init_from",
        None,
        "DIR, DIR@best, DIR@latest or DIR@N: run whose parameters a new run starts with; short "
        "for --config.training.init_from",
        flag_values=values,
    )


def run(arguments: Arguments) -> int:
    from seqmodels.runs.workdir import find_start, refuse_other_run

    config = arguments.experiment
    require_tensorboard(config.training)
    if config.task.metric(config.training.best_metric).further:
        config.task.check_evaluation(config)
    distributed.check(arguments)
    options = executors.check(arguments)
    named = None if arguments.flags.workdir is None else arguments.workdir
    if arguments.flags.profile:
        refuse_profile(config, named)
    if arguments.flags.dry_run:
        find_start(config, named)
        if named is not None:
            refuse_other_run(named, config)
        program.set_up_jax(config, arguments.flags.cpu_devices)
        distributed.start(arguments)
        from experiments.dry_run import dry_run

        return dry_run(config, named)
    workdir = arguments.workdir
    # Before importing jax.
    find_start(config, workdir)
    refuse_other_run(workdir, config)
    if options is not None:
        return submit_run(arguments, workdir, options)
    program.set_up_jax(config, arguments.flags.cpu_devices)
    distributed.start(arguments)
    return start(config, workdir, profile=arguments.flags.profile)


def submit_run(arguments: Arguments, workdir: Path, options: dict[str, Any]) -> int:
    """Submits the run to Slurm; returns the exit status."""
    from seqmodels.sweeps import manifest, slurm
    from seqmodels.sweeps.jobs import read_job
    from seqmodels.sweeps.local import Task
    from seqmodels.sweeps.states import read_status

    asked, workdir = arguments.flags, workdir.absolute()
    if asked.distributed != "off":
        raise UserError(
            f"--distributed={asked.distributed}: leave it out: a job with --slurm.nodes or "
            "--slurm.ntasks_per_node above 1 is one run over its tasks"
        )
    manifest.claim_run(workdir, arguments.experiment)
    slurm.adopt_jobs({workdir: read_job(workdir)})
    if read_status(workdir, slurm.read_queue()).state.in_flight:
        raise UserError(f"--workdir={workdir}: a job of this run is in flight")
    words = manifest.change_words(workdir, arguments.experiment)
    words += ("--profile",) if asked.profile else ()
    words += (f"--cpu_devices={asked.cpu_devices}",) if asked.cpu_devices > 1 else ()
    job = slurm.submit(Task((workdir,), words), options)
    program.say(f"submitted as job {job}; python launch.py inspect --follow --workdir={workdir}")
    return program.DONE


def start(config: ExperimentConfig, workdir: Path, *, profile: bool = False) -> int:
    """Trains or resumes a run whose directory has been checked.

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
    "train",
    DOC,
    run,
    define,
    ConfigSource.EITHER,
    short={"init_from": "training.init_from"},
    prefixes=(executors.PREFIX,),
)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
