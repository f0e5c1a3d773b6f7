"""The flags that make several processes one run."""

from __future__ import annotations

import re

from absl import flags

from experiments.arguments import Arguments
from seqmodels.config.errors import UserError
from seqmodels.distributed.rendezvous import Meeting, find_meeting

_MANUAL = ("coordinator", "num_processes", "process_id")
_TIMEOUTS = ("start_timeout", "heartbeat_timeout")


def define(values: flags.FlagValues) -> None:
    """Defines them."""
    flags.DEFINE_enum(
        "distributed",
        "off",
        ["off", "manual", "auto"],
        "several processes work as one: manual, as the three flags below tell; auto, as Slurm "
        "(srun), Open MPI, Kubernetes or a TPU pod tells",
        flag_values=values,
    )
    flags.DEFINE_string(
        "coordinator", None, "HOST:PORT where process 0 listens", flag_values=values
    )
    integer = flags.DEFINE_integer
    integer("num_processes", None, "how many there are", lower_bound=1, flag_values=values)
    integer("process_id", None, "which this is, from 0", lower_bound=0, flag_values=values)
    integer(
        "start_timeout",
        300,
        "seconds to wait for the other processes to come",
        lower_bound=1,
        flag_values=values,
    )
    integer(
        "heartbeat_timeout",
        100,
        "seconds of silence after which another process counts as dead, and this one ends too",
        lower_bound=1,
        flag_values=values,
    )


def check(arguments: Arguments) -> None:
    """Finds mistakes; needs no jax.

    Raises:
      UserError: a flag is missing, wrong, or for nothing.
    """
    asked = arguments.flags
    how, given = asked.distributed, {n: getattr(asked, n) for n in _MANUAL}
    if how != "manual":
        for name, value in given.items():
            if value is not None:
                raise UserError(
                    f"--{name}={value}: goes with --distributed=manual; --distributed is {how}"
                )
    else:
        missing = [f"--{name}" for name, value in given.items() if value is None]
        if missing:
            raise UserError(f"--distributed=manual: {', '.join(missing)} must be given too")
        _check(asked.coordinator, asked.num_processes, asked.process_id)
    if how == "off":
        for name in _TIMEOUTS:
            if getattr(asked, name) != asked[name].default:
                raise UserError(f"--{name}: goes with --distributed=manual or auto")
    elif arguments.experiment.model.fitted:
        raise UserError(
            f"--distributed={how}: a {arguments.experiment.model.kind} is fitted and evaluated by "
            "one process; leave it off"
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


def join(arguments: Arguments) -> None:
    """Meets the other processes, if any; to be called before jax touches a device.

    Raises:
      UserError: no cluster tells where.
      RunFailure: process 0 cannot listen.
    """
    asked = arguments.flags
    if asked.distributed == "off":
        return
    from seqmodels.distributed import lifecycle as membership

    timeouts = (asked.start_timeout, asked.heartbeat_timeout)
    if asked.distributed == "auto":
        meeting = find_meeting(*timeouts)
    else:
        meeting = Meeting(asked.coordinator, asked.num_processes, asked.process_id, *timeouts)
    membership.join(meeting, arguments.command.name)
