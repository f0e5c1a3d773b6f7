"""`evaluate` and `generate` with their parameters spread over several devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import spread
from experiments.arguments import parse
from experiments.generate import COMMAND
from tests.devices import run_on_devices
from tests.experiments.conftest import FrontDoor, Small
from tests.tolerances import TOLERANCE

MESH = "--mesh=fsdp:2,tensor:2,data:2"
GREEDY = ("--temperature=0", "--max_tokens=12", "--prompt=a", "--json")


@pytest.fixture(scope="module")
def gpt(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import launch

    workdir = tmp_path_factory.mktemp("gpt") / "run"
    words = [word for word in small.words() if "hidden_dim" not in word]
    words = ["--config=demo_gpt", *words[1:], "--config.model.max_length=32"]
    assert launch.main(["train", *words, f"--workdir={workdir}"]) == 0
    return workdir


def test_an_evaluation_may_be_spread(door: FrontDoor, gpt: Path) -> None:
    alone = door("evaluate", f"--workdir={gpt}", "--json").json
    found, errors = run_on_devices("launch", "evaluate", f"--workdir={gpt}", "--json", MESH)
    np.testing.assert_allclose(found["loss"], alone["loss"], **TOLERANCE["mesh"])
    assert "rematerialization" not in errors


@pytest.mark.grid
@pytest.mark.parametrize("mesh", ["--mesh=tensor:4", MESH])
def test_a_generation_may_be_spread(door: FrontDoor, gpt: Path, mesh: str) -> None:
    alone = door("generate", f"--workdir={gpt}", *GREEDY).json
    found, _ = run_on_devices("launch", "generate", f"--workdir={gpt}", *GREEDY, mesh)
    assert found["texts"] == alone["texts"]


def test_more_devices_than_there_are(door: FrontDoor, gpt: Path) -> None:
    line = door("generate", f"--workdir={gpt}", "--mesh=tensor:2").line
    assert "--mesh=tensor:2: needs 2 devices; there are 1" in line
    line = door("evaluate", f"--workdir={gpt}", "--mesh=tensr:2").line
    assert "did you mean 'tensor'?" in line
    several = ("--distributed=manual", "--coordinator=a:1", "--num_processes=2", "--process_id=0")
    line = door("evaluate", f"--workdir={gpt}", "--mesh=fsdp:2", *several).line
    assert "--mesh=fsdp:2: is for one process" in line


def test_without_the_flag_the_axes_are_those_of_the_run(gpt: Path) -> None:
    arguments = parse(COMMAND, [f"--workdir={gpt}"])
    assert not isinstance(arguments, str)
    with spread.over_mesh(arguments) as mesh:
        assert mesh is None
    arguments.experiment.training.mesh_fsdp = 8  # of which one device is left here
    with spread.over_mesh(arguments) as mesh:
        assert mesh is None
