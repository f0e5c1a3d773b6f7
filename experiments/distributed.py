"""Flags of a run over several processes."""

from __future__ import annotations

import re

from absl import flags

from experiments.arguments import Arguments
from seqmodels.config.errors import UserError
from seqmodels.distributed.rendezvous import Rendezvous, detect_rendezvous

_MANUAL = ("coordinator", "num_processes", "process_id")
_TIMEOUTS = ("start_timeout", "heartbeat_timeout")


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    flags.DEFINE_enum(
        "distributed",
        "off",
        ["off", "manual", "auto"],
        "run over several processes: manual uses the three flags below; auto detects Slurm (srun), "
        "Open MPI, Kubernetes or a TPU pod",
        flag_values=values,
    )
    flags.DEFINE_string(
        "coordinator", None, "HOST:PORT at which process 0 listens", flag_values=values
    )
    integer = flags.DEFINE_integer
    integer("num_processes", None, "number of processes", lower_bound=1, flag_values=values)
    integer("process_id", None, "index of this process, from 0", lower_bound=0, flag_values=values)
    integer(
        "start_timeout",
        300,
        "seconds to wait for the other processes to connect",
        lower_bound=1,
        flag_values=values,
    )
    integer(
        "heartbeat_timeout",
        100,
        "seconds without a sign of life after which a process counts as dead and the others end",
        lower_bound=1,
        flag_values=values,
    )


def check(arguments: Arguments) -> None:
    """Checks the flags; needs no jax.

    Raises:
      UserError: a flag is missing, wrong or without effect.
    """
    asked = arguments.flags
    how, given = asked.distributed, {n: getattr(asked, n) for n in _MANUAL}
    if how != "manual":
        for name, value in given.items():
            if value is not None:
                raise UserError(
                    f"--{name}={value}: needs --distributed=manual, but --distributed={how}"
                )
    else:
        missing = [f"--{name}" for name, value in given.items() if value is None]
        if missing:
            raise UserError(f"--distributed=manual: also needs {', '.join(missing)}")
        _check(asked.coordinator, asked.num_processes, asked.process_id)
    if how == "off":
        for name in _TIMEOUTS:
            if getattr(asked, name) != asked[name].default:
                raise UserError(f"--{name}: needs --distributed=manual or auto")
    elif arguments.experiment.model.fitted:
        raise UserError(
            f"--distributed={how}: one process fits and evaluates a model of kind "
            f"{arguments.experiment.model.kind}; leave the flag out"
        )


def _check(coordinator: str, num_processes: int, process_id: int) -> None:
    match = re.fullmatch(r"(\[[\da-fA-F:]+\]|[^:\s/]+):(\d{1,5})", coordinator)
    if match is None or not 1 <= int(match.group(2)) <= 65535:
        raise UserError(f"--coordinator={coordinator}: must be HOST:PORT, the port from 1 to 65535")
    if process_id >= num_processes:
        raise UserError(
            f"--process_id={process_id}: must be from 0 to {num_processes - 1}, one less than "
            "--num_processes"
        )


def start(arguments: Arguments) -> None:
    """Connects to the other processes, if any. Must be called before jax touches a device.

    Raises:
      UserError: no cluster was detected.
      RunFailure: process 0 cannot listen on its port.
    """
    asked = arguments.flags
    if asked.distributed == "off":
        return
    from seqmodels.distributed import lifecycle

    timeouts = (asked.start_timeout, asked.heartbeat_timeout)
    if asked.distributed == "auto":
        rendezvous = detect_rendezvous(*timeouts)
    else:
        rendezvous = Rendezvous(asked.coordinator, asked.num_processes, asked.process_id, *timeouts)
    lifecycle.start(rendezvous, arguments.command.name)
