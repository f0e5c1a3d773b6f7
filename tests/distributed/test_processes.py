"""Exchange between the processes of a run, with threads in place of processes."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import absl.logging
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.errors import RunFailure, UserError
from seqmodels.config.files import load_config
from seqmodels.config.training import TrainingConfig
from seqmodels.distributed import processes
from seqmodels.distributed.mesh import make_mesh
from seqmodels.distributed.processes import Group
from seqmodels.distributed.rendezvous import detect_rendezvous
from seqmodels.distributed.stop import SharedStopRequest
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.commit_errors import CommitErrors
from seqmodels.runs.hold import hold
from seqmodels.runs.rows import MetricsWriter
from seqmodels.runs.seals import SEAL
from seqmodels.training import feed as feed_module
from seqmodels.training.feed import Feed
from tests.distributed.mesh_kinds import Rows
from tests.distributed.together import FakeStore, as_process, in_threads
from tests.runs.test_checkpoints import abstract, save_steps


@pytest.fixture(autouse=True)
def orbax_log() -> Iterator[logging.Logger]:
    """The logger that orbax writes to, restored afterwards."""
    logger = logging.getLogger("absl")
    level, propagate, handlers = logger.level, logger.propagate, [*logger.handlers]
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate


def test_exchange_returns_every_value_to_every_process() -> None:
    def act(group: Group) -> list[list[int]]:
        return [group.exchange(10 * turn + group.index) for turn in range(3)]

    assert in_threads(3, act) == [[[0, 1, 2], [10, 11, 12], [20, 21, 22]]] * 3


def test_process_0_alone_decides_for_all() -> None:
    asked = []

    def act(group: Group) -> list[int]:
        def make() -> list[int]:
            asked.append(group.index)
            return [group.index, 7]

        return group.decide(make)

    assert in_threads(3, act) == [[0, 7]] * 3
    assert asked == [0]


@pytest.mark.parametrize("kind", [UserError, RunFailure])
def test_an_error_in_process_0_is_raised_in_all(kind: type[Exception]) -> None:
    def act(group: Group) -> None:
        def make() -> None:
            raise kind("the one line")

        group.decide(make)

    errors = in_threads(2, act)
    assert [(type(e), str(e)) for e in errors] == [(kind, "the one line")] * 2


def test_a_single_process_needs_no_store() -> None:
    alone = Group(None, 0, 1)
    assert alone.exchange((1, 2)) == [(1, 2)]
    assert alone.decide(lambda: {3}) == {3}


class Silent(Group):
    """A process that receives a stop when the test says so."""

    def listen(self, key: str, act: Callable[[str], None]) -> None:
        self.hear = act


def test_a_process_one_call_behind_stops_at_the_same_step() -> None:
    """When both receive the stop, the second has passed step 10 and the first only step 5."""
    store = FakeStore()
    groups = [Silent(store, index, 2) for index in range(2)]
    first, second = (SharedStopRequest(group, 0, 5) for group in groups)
    assert not any((first.due(5), second.due(5), second.due(10)))
    for group in groups:
        group.hear("15")
    assert [first.due(10), second.due(15), first.due(15)] == [False, True, True]
    assert first.exit_status == second.exit_status == 143


@pytest.mark.parametrize("seed", range(5))
def test_all_stop_after_the_same_step_whoever_gets_the_signal(seed: int) -> None:
    """A call ends once all have begun it, so no process is more than one call ahead."""
    rng = random.Random(seed)
    count, stride = rng.randint(2, 4), rng.randint(1, 3)
    who, when, pauses = rng.randrange(count), rng.randint(2, 9), rng.choices([0, 0.002], k=401)
    calls = [threading.Barrier(count, timeout=20) for _ in range(100)]

    def act(group: Group) -> tuple[int, int]:
        request = SharedStopRequest(group, 0, stride)
        for call in range(1, 100):
            time.sleep(pauses[4 * call + group.index])
            if group.index == who and call == when:
                request.signal = 2
            if call > 1:
                calls[call - 1].wait()
            if request.due(call * stride):
                request.finish()
                return call * stride, request.exit_status
        raise AssertionError("never stopped")

    (stopped,) = set(in_threads(count, act))
    assert stopped[1] == 130
    assert stopped[0] >= when * stride


def test_a_signal_after_the_last_step_counts_for_all() -> None:
    def act(group: Group) -> int:
        request = SharedStopRequest(group, 0, 1)
        request.signal = 15 if group.index == 1 else None
        request.finish()
        return request.exit_status

    assert in_threads(2, act) == [143, 143]


class FakeData:
    """The part of a data set that a run stores."""

    features_file = "tokenizer.json"

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def description(self) -> dict[str, Any]:
        return {"fingerprint": self.fingerprint}

    def save_features(self, path: Path) -> None:
        path.write_text("{}")


def hold_with(folder: Path, **second: Any) -> list[Any]:
    """Two processes lock a run; `second` holds the differences of the second."""

    def act(group: Group) -> str:
        mine = second if group.index else {}
        config = load_config("demo_lstm")
        config.training.seed = mine.get("seed", 0)
        config.data.path = mine.get("path")
        with hold(folder / mine.get("name", "run"), config, FakeData(mine.get("data", "a"))):
            group.exchange("inside")
        return "done"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqmodels.runs.hold._LOOKS", 2)
        return in_threads(2, act)


def test_processes_of_one_run_lock_its_directory(tmp_path: Path) -> None:
    assert hold_with(tmp_path, path="elsewhere") == ["done", "done"]
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        *("config.json", "data.json", "tokenizer.json", ".lock")
    }


@pytest.mark.parametrize(
    ("second", "line"),
    [
        ({"seed": 1}, "process 1 has another config than process 0.*training.seed: 0 -> 1"),
        ({"data": "b"}, "process 1 has other data than process 0: fingerprint a -> b"),
        ({"name": "other"}, "process 1 does not see the files of process 0 in --workdir="),
    ],
    ids=str,
)
def test_processes_of_two_runs_are_refused(
    tmp_path: Path, second: dict[str, Any], line: str
) -> None:
    for error in hold_with(tmp_path, **second):
        assert isinstance(error, UserError)
        with pytest.raises(UserError, match=line):
            raise error


def test_process_1_writes_no_rows_but_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": s, "split": "train", "loss": 1.0, "seconds": 1.0} for s in (1, 2, 3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = path.read_bytes()
    with as_process(1, 2):
        writer = MetricsWriter(path, last_step=1, tensorboard=True)
        writer.write(rows[1])
        writer.sync()
        writer.close()
    assert writer.rows == rows[:2]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_process_1_resumes_where_process_0_says(tmp_path: Path) -> None:
    """It would choose another step by itself."""
    save_steps(tmp_path / "checkpoints", {4: 1.0, 5: 2.0})

    def act(group: Group) -> int:
        with Checkpoints(tmp_path / "checkpoints") as checkpoints:
            return checkpoints.restore(abstract(), "best" if group.index else "latest")[0]

    assert in_threads(2, act) == [5, 5]


def test_process_1_seals_nothing(tmp_path: Path) -> None:
    with as_process(1, 2, **{"turn/0": '{"value": null}'}):  # process 0 has cleaned up
        save_steps(tmp_path / "checkpoints", {4: None})
    assert (tmp_path / "checkpoints" / "4").is_dir()
    assert not (tmp_path / "checkpoints" / "4" / SEAL).exists()


class FakeSharding:
    """Sharding of a process whose devices hold blocks of the rows."""

    def __init__(self, *blocks: slice) -> None:
        self.blocks = blocks

    def addressable_devices_indices_map(self, shape: tuple[int, ...]) -> dict[int, Any]:
        return {device: (block,) for device, block in enumerate(self.blocks)}


def test_a_process_makes_only_the_rows_of_its_devices() -> None:
    """Its third and fourth of four devices hold rows 8 to 15 of 16, in either order."""
    asked = []

    class Counting(Rows):
        def batch(self, step: int, rows: slice = slice(None)) -> Any:
            asked.append(rows)
            return super().batch(step, rows)

    def blocks(shape: Any, sharding: FakeSharding, block: Any) -> Any:
        rest = (slice(None),) * (len(shape) - 1)
        return jnp.concatenate([block((rows, *rest)) for rows in sharding.blocks])

    sharding = FakeSharding(slice(12, 16), slice(8, 12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed_module, "batch_sharding", lambda mesh, stacked: sharding)
        patch.setattr(feed_module.jax, "make_array_from_callback", blocks)
        feed = Feed(Counting("lstm"), make_mesh(TrainingConfig(), 16), 1)
        batch = feed(3)
        feed.close()
    assert asked == [slice(8, 16)]
    whole = Rows("lstm").batch(3).inputs
    np.testing.assert_array_equal(batch.inputs, [*whole[12:16], *whole[8:12]])


class Troubled(FakeStore):
    """A service that does not answer the first two times."""

    asked = 0

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        self.asked += 1
        if self.asked <= 2:
            raise ValueError("UNAVAILABLE: failed to connect to all addresses")
        return super().blocking_key_value_get(key, timeout_in_ms)


@pytest.mark.parametrize("left", [False, True])
def test_a_listener_retries_while_the_service_fails_until_the_process_disconnects(
    monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    monkeypatch.setattr(processes, "_RETRY_S", 0)
    store, heard = Troubled(stop="15"), []
    group = Group(store, 1, 2)
    monkeypatch.setattr(processes, "_current", processes.ALONE if left else group)
    before = set(threading.enumerate())
    group.listen("stop", heard.append)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
    assert (heard, store.asked) == (([], 1) if left else (["15"], 3))


def test_a_write_of_orbax_during_shutdown_is_not_reported(
    orbax_log: logging.Logger, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    orbax_log.setLevel(logging.CRITICAL)
    errors = CommitErrors()
    assert orbax_log.isEnabledFor(logging.ERROR)
    errors.close()
    assert not orbax_log.isEnabledFor(logging.ERROR)
    orbax_log.handle(logging.makeLogRecord({"levelno": logging.ERROR, "msg": "late"}))
    assert (caplog.records, capsys.readouterr().err) == ([], "")


def test_a_failed_save_is_reported_before_waiting_for_the_others(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints._commit_errors = CommitErrors()
    checkpoints._sealing = Future()  # the processes wait for each other after the save
    checkpoints.check()
    try:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        absl.logging.exception("Failed to run 3 Handler Commit operations")
    with pytest.raises(RunFailure, match="No space left on device"):
        checkpoints.check()
    checkpoints.close()


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "KUBERNETES_", "TPU_", "JAX_COORDINATOR")):
            monkeypatch.delenv(name)
    return monkeypatch


def test_a_missing_cluster_is_reported_at_once(no_cluster: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no Slurm step.*use --distributed=manual"):
        detect_rendezvous(300, 100)
    no_cluster.setenv("SLURM_JOB_ID", "12")
    with pytest.raises(UserError, match=r"not one of its steps: start the processes with srun"):
        detect_rendezvous(300, 100)


def test_a_slurm_step_is_detected(no_cluster: pytest.MonkeyPatch) -> None:
    step = {"JOB_ID": 12, "STEP_NODELIST": "node[3-4]", "NTASKS": 4, "PROCID": 2, "LOCALID": 1}
    for name, value in step.items():
        no_cluster.setenv(f"SLURM_{name}", str(value))
    rendezvous = detect_rendezvous(300, 100)
    host, _, port = rendezvous.coordinator.rpartition(":")
    assert (host, rendezvous.num_processes, rendezvous.process_id) == ("node3", 4, 2)
    assert int(port) > 1024
    assert rendezvous.local_device_ids == (1,)
    no_cluster.setenv("JAX_COORDINATOR_ADDRESS", "node3")
    with pytest.raises(UserError, match=r"'node3' .from .JAX_COORDINATOR_ADDRESS. must be"):
        detect_rendezvous(300, 100)
