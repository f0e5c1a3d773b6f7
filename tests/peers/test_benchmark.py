"""PyTorch's programs of the benchmark compute what ours do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seqmodels.benchmark.processes import difference
from seqmodels.benchmark.suites import TOLERANCE
from seqmodels.benchmark.worker import Worker

pytest.importorskip("torch", reason="make test-peers installs it")

GPT = {"model": "gpt", "layers": 2, "dim": 32, "heads": 2, "vocab": 17, "length": 24, "batch": 3}
LSTM = {"model": "lstm_lm", "layers": 1, "dim": 16, "vocab": 17, "length": 12, "batch": 3}
LAYER = {"shape": (3, 7, 5, 4), "gradient": True}
HEADS = {"shape": (2, 8, 3, 4), "gradient": True}
CASES: list[tuple[str, dict[str, Any]]] = [
    *(("recurrent", {"cell": cell, **LAYER}) for cell in ("rnn", "lstm", "gru")),
    ("attention", HEADS),
    ("attention", {**HEADS, "window": 3}),
    ("attention", {**HEADS, "documents": 2}),
    ("train", GPT),
    ("train", LSTM),
    ("decode", {**GPT, "prompt": 5, "new_tokens": 19}),
]


@pytest.mark.parametrize("suite, params", CASES, ids=[f"{s} {n}" for n, (s, _) in enumerate(CASES)])
def test_outputs_agree(suite: str, params: dict[str, Any], tmp_path: Path) -> None:
    worker = Worker()
    for library in ("seqmodels", "torch"):
        worker.prepare(library, suite, params, 5, str(tmp_path / f"{library}.npz"))
    worker.release()
    assert difference(tmp_path / "seqmodels.npz", tmp_path / "torch.npz") < TOLERANCE
