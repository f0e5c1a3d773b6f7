"""Address and timeouts of the coordination service, from flags or detected by jax."""

from __future__ import annotations

import dataclasses
import os
import socket

from seqmodels.config.errors import RunFailure, UserError


@dataclasses.dataclass(frozen=True)
class Rendezvous:
    """How the processes of a run find each other.

    Attributes:
      coordinator: HOST:PORT where process 0 listens.
      num_processes: number of processes.
      process_id: index of this process.
      start_timeout: seconds to wait for all processes to connect.
      heartbeat_timeout: seconds without a heartbeat after which a process counts as dead.
      local_device_ids: accelerators of this process; None for all that it can see.
    """

    coordinator: str
    num_processes: int
    process_id: int
    start_timeout: int
    heartbeat_timeout: int
    local_device_ids: tuple[int, ...] | None = None

    def check_port(self) -> None:
        """Checks that process 0 can listen on its port, because jax may crash if it cannot.

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
                f"process 0 cannot listen on port {port} (of {self.coordinator}): "
                f"{os.strerror(error.errno or 0)}"
            ) from None


def detect_rendezvous(start_timeout: int, heartbeat_timeout: int) -> Rendezvous:
    """Detects the processes of Slurm, Open MPI, Kubernetes or a TPU pod by means of jax.

    Raises:
      UserError: none of them was detected.
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
            f"--distributed=auto: the coordinator {coordinator!r} (from $JAX_COORDINATOR_ADDRESS) "
            "must be HOST:PORT"
        )
    if local is not None and "JAX_LOCAL_DEVICE_IDS" not in os.environ:  # jax reads that itself
        local = tuple(local)
    else:
        local = None
    return Rendezvous(coordinator, count, index, start_timeout, heartbeat_timeout, local)


def _nothing_found() -> str:
    if "SLURM_JOB_ID" in os.environ:
        return "this is a Slurm job but not one of its steps: start the processes with srun"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "jax needs the package kubernetes to detect it (pip install 'jax[k8s]')"
    return (
        "found no Slurm step, Open MPI, Kubernetes job or TPU pod; use --distributed=manual with "
        "--coordinator, --num_processes and --process_id"
    )
