"""Fixtures: a cluster for all tests, in whose environment commands run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, find_problem


@pytest.fixture(scope="session")
def daemons() -> Iterator[Cluster]:
    if (problem := find_problem()) is not None:
        pytest.skip(problem)
    pytest.importorskip("submitit")
    # munged wants a folder that nobody else can write to, all the way up.
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/run" if os.access("/run", 2) else None))
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(daemons: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, which commands of this process find too."""
    monkeypatch.setenv("SLURM_CONF", daemons.environment["SLURM_CONF"])
    return daemons
