"""A Slurm cluster of one node on this machine, for as long as the tests need it.

munged and the two daemons of Slurm run in the foreground as children of this process, with all
their files in one folder, on free ports, and without systemd and cgroups.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
_PLACES = "/usr/sbin:/usr/local/sbin:/sbin"
_CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=20
MinJobAge=600
ReturnToService=2
InactiveLimit=0
SlurmctldTimeout=60
SlurmdTimeout=60
BatchStartTimeout=60
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP OverSubscribe=NO
"""


def find_problem() -> str | None:
    """Why there can be no cluster here; None if there can."""
    missing = [name for name in PROGRAMS if _find(name) is None]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)} missing): slurm-wlm and munge"
    if os.geteuid() != 0:
        return "Slurm's daemons start jobs as root alone"
    return None


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_PLACES}")


def wait_for(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Waits for something that must come; fails if it does not."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


class Cluster:
    """The daemons and the environment in which commands find them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        with socket.socket() as one, socket.socket() as two:
            for each in (one, two):
                each.bind(("127.0.0.1", 0))
            ports = [each.getsockname()[1] for each in (one, two)]
        values = {"host": socket.gethostname().partition(".")[0], "user": "root"}
        text = _CONFIG.format(ports=ports, folder=folder, cpus=os.cpu_count(), **values)
        (folder / "slurm.conf").write_text(text)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        folder.chmod(0o755)
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Starts the daemons, and waits until the node is idle."""
        place = self.folder
        files = ("key", "socket", "pid", "log", "seed")
        names = {"log": "log-file", "key": "key-file", "pid": "pid-file", "seed": "seed-file"}
        words = [f"--{names.get(n, n)}={place / f'munge.{n}'}" for n in files]
        self._start("munged", "--foreground", "--force", *words)
        wait_for((place / "munge.socket").exists, "munged")
        self.start_controller()
        self._start("slurmd", "-D")
        wait_for(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%t"), self._logs())

    def start_controller(self) -> None:
        self._start("slurmctld", "-D")
        wait_for(lambda: self.ask("scontrol", "ping").count(" is UP"), self._logs())

    def stop_controller(self) -> None:
        self._stop("slurmctld")

    def stop(self) -> None:
        """Cancels every job and stops the daemons."""
        if "slurmctld" in self._running:
            self.ask("scancel", "--user=root")
            self.ask("scancel", "--signal=KILL", "--full", "--user=root")
            until = time.monotonic() + 30
            while self.ask("squeue", "--noheader", "--states=R,CG") and time.monotonic() < until:
                time.sleep(0.2)
        for name in ("slurmctld", "slurmd", "munged"):
            self._stop(name)

    def _start(self, name: str, *words: str) -> None:
        program = _find(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("ab") as out:
            self._running[name] = subprocess.Popen(
                [program, *words],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def _stop(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is not None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _logs(self) -> str:
        return f"the daemons, see {self.folder}/*.log"

    def ask(self, *words: str) -> str:
        """What a command of Slurm prints; it may fail."""
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()
