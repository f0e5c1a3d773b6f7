"""Flags of the commands that train: by this process or on this machine, or by Slurm."""

from __future__ import annotations

from typing import Any

from absl import flags

from experiments.arguments import Arguments
from seqmodels.config.errors import UserError
from seqmodels.sweeps.jobs import LOCAL, SLURM
from seqmodels.sweeps.slurm import parse_options

PREFIX = "slurm"


def define(values: flags.FlagValues) -> None:
    """Defines `--executor`."""
    flags.DEFINE_enum(
        "executor",
        LOCAL,
        [LOCAL, SLURM],
        "train on this machine, or submit to Slurm and return; --slurm.NAME=VALUE sets an option "
        "of the job: time (minutes), partition, gpus_per_node, cpus_per_task, mem, nodes, ..",
        flag_values=values,
    )


def check(arguments: Arguments) -> dict[str, Any] | None:
    """The options of a job of Slurm; None where this machine trains.

    Raises:
      UserError: see `parse_options`; or options are given without Slurm.
    """
    given = arguments.prefixed[PREFIX]
    if arguments.flags.executor == SLURM:
        return parse_options(given)
    for name, text in given.items():
        raise UserError(f"--{PREFIX}.{name}={text}: needs --executor={SLURM}")
    return None
