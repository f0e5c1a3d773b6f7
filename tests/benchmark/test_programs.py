"""Programs of the benchmark, in this process: what they compute, and what they say of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.benchmark import suites
from seqmodels.benchmark.layer_inputs import packed_weights, recurrent_inputs, visible
from seqmodels.benchmark.memory import PeakMemory
from seqmodels.benchmark.processes import ROOT, Effort, difference, take_turns
from seqmodels.benchmark.suites import CASES, Size
from seqmodels.benchmark.worker import PROGRAMS, Worker
from seqmodels.training import loop

SHAPE = (2, 5, 3, 4)


def outputs_of(library: str, suite: str, params: dict[str, Any], to: Path) -> dict[str, Any]:
    worker = Worker()
    facts = worker.prepare(library, suite, params, 3, str(to))
    assert all(seconds > 0 for seconds in worker.run(0.0))
    worker.release()
    return facts


def test_our_layer_is_the_equation(tmp_path: Path) -> None:
    """An Elman network in float64."""
    params = {"cell": "rnn", "shape": SHAPE, "gradient": False}
    facts = outputs_of("seqmodels", "recurrent", params, tmp_path / "y.npz")
    weights = packed_weights("rnn", 3, 4, 3)
    h, expected = np.zeros((2, 4)), []
    for x in np.swapaxes(recurrent_inputs(params, 3)[0][1], 0, 1).astype(np.float64):
        h = np.tanh(x @ weights["kernel"] + h @ weights["recurrent_kernel"] + weights["bias"])
        expected.append(h)
    found = np.load(tmp_path / "y.npz")["arr_0"]
    np.testing.assert_allclose(found, np.stack(expected, 1), atol=1e-6)
    assert facts["flops"] == facts["hardware_flops"] == 2 * 2 * 5 * (3 + 4) * 4


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_flax_computes_the_same_gradients(cell: str, tmp_path: Path) -> None:
    params = {"cell": cell, "shape": SHAPE, "gradient": True}
    for library in ("seqmodels", "flax"):
        outputs_of(library, "recurrent", params, tmp_path / f"{library}.npz")
    assert difference(tmp_path / "seqmodels.npz", tmp_path / "flax.npz") < 1e-5


@pytest.mark.parametrize("mask", [{}, {"window": 3}, {"documents": 2}])
def test_jax_computes_the_same_attention(mask: dict[str, int], tmp_path: Path) -> None:
    params = {"shape": (2, 8, 3, 4), "gradient": False, **mask}
    for library in ("seqmodels", "jax"):
        outputs_of(library, "attention", params, tmp_path / f"{library}.npz")
    assert difference(tmp_path / "seqmodels.npz", tmp_path / "jax.npz") < 1e-5
    sees = visible(params)
    assert sees[5].nonzero()[0].tolist() == {
        "window": [3, 4, 5],
        "documents": [4, 5],
    }.get(next(iter(mask), ""), list(range(6)))


def test_a_difference_is_found(tmp_path: Path) -> None:
    one, other, third = (tmp_path / f"{name}.npz" for name in "abc")
    np.savez(one, np.array([1.0, 2.0]), np.zeros(2))
    np.savez(other, np.array([1.0, 2.2]), np.zeros(2))
    np.savez(third, np.array([1.0, np.nan]), np.zeros(2))
    assert difference(one, one) == 0
    assert difference(one, other) == pytest.approx(0.2 / 2.2)
    assert difference(third, one) == difference(one, third) == float("inf")


@pytest.mark.parametrize("size", Size)
def test_every_case_has_a_program(size: Size) -> None:
    assert set(suites.SUITES) == {*CASES, "startup", "numerics"}
    for suite, make in CASES.items():
        cases = list(make(size))
        assert len({case.name for case in cases}) == len(cases) > 0
        for case in cases:
            assert case.suite == suite
            program = case.program or suite
            assert (suites.OURS, program) in PROGRAMS
            for peer in case.peers.values():
                assert (peer.library, peer.program or program) in PROGRAMS


class Recorder:
    """A stand-in for a process."""

    def __init__(self, name: str, order: list[str]) -> None:
        self._name, self._order = name, order

    def ask(self, do: str, seconds: float) -> list[float]:
        assert do == "run"
        self._order.append(self._name)
        return [seconds, 3 * seconds, 2 * seconds]


def test_processes_take_turns_and_each_begins_once() -> None:
    order: list[str] = []
    processes: Any = [Recorder(name, order) for name in "abc"]
    series = take_turns(processes, Effort(0.5, 4, 60.0))
    assert "".join(order) == "abcbcacababc"
    assert series == [[1.0] * 4] * 3


MISSING = (
    *(
        "filelock",
        "importlib_resources",
        "matplotlib",
        "ml_collections",
        "sacrebleu",
        "safetensors",
    ),
    *("sklearn", "symusic", "tensorflow_datasets", "tokenizers", "torch"),
)
"""Libraries that a bare accelerator machine does not have."""


@pytest.mark.grid
def test_a_bare_machine_runs_it(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules |= dict.fromkeys({MISSING})
import launch
from experiments import benchmark
assert launch.main(["--help"]) == 0
from seqmodels.benchmark.worker import PROGRAMS, Worker
from seqmodels.training import loop
params = {{"model": "lstm_lm", "layers": 1, "dim": 4, "vocab": 5, "length": 8, "batch": 2}}
Worker().prepare("seqmodels", "train", params, 0, "{tmp_path}/a.npz")
params |= {{"prompt": 3, "new_tokens": 2}}
Worker().prepare("seqmodels", "decode", params, 0, "{tmp_path}/a.npz")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_the_peak_of_memory_is_that_of_the_work_alone() -> None:
    size = 64_000_000
    for _ in range(2):  # the second is not hidden by what the first has freed
        memory = PeakMemory()
        np.ones(size, np.uint8)
        assert 0.95 * size < (memory.read() or 0) < 1.5 * size
    assert (PeakMemory().read() or 0) < size / 4


@pytest.mark.grid
def test_the_loop_takes_the_steps_of_the_bare_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither evaluates nor saves, and nothing is printed."""
    made: list[str] = []
    monkeypatch.setattr(loop.Trainer, "_evaluate_now", lambda self: made.append("evaluation"))
    monkeypatch.setattr(loop.Trainer, "_save", lambda self, metrics: made.append("checkpoint"))
    params = {"model": "lstm_lm", "layers": 1, "dim": 4, "batch": 2, "length": 8, "steps": 3}
    for what in ("loop", "bare step"):
        worker = Worker()
        facts = worker.prepare(
            "seqmodels", "data", {"what": what, **params}, 0, f"{tmp_path}/a.npz"
        )
        assert facts["items"] == 3 * 2 * 8
        worker.run(0.0)
        worker.release()
    assert not made and capfd.readouterr().err == ""
