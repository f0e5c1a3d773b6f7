"""Where the processes of a run meet, told by flags or found by jax."""

from __future__ import annotations

import dataclasses
import os
import socket

from seqmodels.config.errors import RunFailure, UserError


@dataclasses.dataclass(frozen=True)
class Meeting:
    """Where the processes of a run meet, and when.

    Attributes:
      coordinator: HOST:PORT where process 0 listens.
      num_processes, process_id: how many there are, and which of them this is.
      start_timeout: seconds that a process waits for the others to come.
      heartbeat_timeout: seconds of silence after which a process counts as dead.
      local_device_ids: accelerators of this process; None: those that it sees.
    """

    coordinator: str
    num_processes: int
    process_id: int
    start_timeout: int
    heartbeat_timeout: int
    local_device_ids: tuple[int, ...] | None = None

    def check_port(self) -> None:
        """Sees that process 0 can listen; jax may crash where it cannot.

        Raises:
          RunFailure: it cannot.
        """
        if self.process_id:
            return
        port = int(self.coordinator.rpartition(":")[2])
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
        except OSError as error:
            raise RunFailure(
                f"process 0 cannot listen at port {port} (of {self.coordinator}): "
                f"{os.strerror(error.errno or 0)}"
            ) from None


def find_meeting(start_timeout: int, heartbeat_timeout: int) -> Meeting:
    """The meeting that Slurm, Open MPI, Kubernetes or a TPU pod arranges, by jax's detection.

    Raises:
      UserError: none of them is found.
    """
    from jax._src.clusters import ClusterEnv

    try:
        coordinator, count, index, local = ClusterEnv.auto_detect_unset_distributed_params(
            os.environ.get("JAX_COORDINATOR_ADDRESS"), None, None, None, None, start_timeout
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"--distributed=auto: {error}") from None
    if coordinator is None or count is None or index is None:
        raise UserError(f"--distributed=auto: {_nothing_found()}")
    if not coordinator.rpartition(":")[2].isdecimal():
        raise UserError(
            f"--distributed=auto: the coordinator {coordinator!r} (of $JAX_COORDINATOR_ADDRESS) "
            "must be HOST:PORT"
        )
    if local is not None and "JAX_LOCAL_DEVICE_IDS" not in os.environ:  # which jax reads by itself
        local = tuple(local)
    else:
        local = None
    return Meeting(coordinator, count, index, start_timeout, heartbeat_timeout, local)


def _nothing_found() -> str:
    if "SLURM_JOB_ID" in os.environ:
        return "this is a Slurm job but none of its steps: start the processes by srun"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "in Kubernetes jax needs the package kubernetes (pip install 'jax[k8s]')"
    return (
        "there is no Slurm step, Open MPI, Kubernetes job or TPU pod here; --distributed=manual "
        "takes --coordinator, --num_processes and --process_id"
    )
