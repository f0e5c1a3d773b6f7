"""`evaluate` and `generate` with their parameters spread over several devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import spread
from experiments.arguments import parse
from experiments.evaluate import COMMAND as EVALUATE
from experiments.generate import COMMAND
from seqmodels.config.errors import UserError
from seqmodels.config.tasks import TranslationConfig
from seqmodels.data.datasets import dates
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


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import launch

    workdir = tmp_path_factory.mktemp("pairs") / "run"
    sizes = {"training.num_steps": 1, "optimizer.warmup_steps": 0, "model.num_layers": 1}
    sizes |= {"model.hidden_dim": 16, "model.model_dim": 16, "data.batch_size": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dates, "NUM_PAIRS", {"train": 8, "validation": 4, "test": 4})
        words = ["--config=dates", *(f"--config.{name}={value}" for name, value in sizes.items())]
        assert launch.main(["train", *words, f"--workdir={workdir}"]) == 0
    return workdir


@pytest.mark.grid
def test_a_translation_may_be_spread(door: FrontDoor, pairs: Path) -> None:
    file = pairs.with_name("pairs.tsv")
    file.write_text("source\ttarget\n4 may 1990\t1990-05-04\nmarch 1, 2001\t2001-03-01\n")
    words = ("evaluate", f"--workdir={pairs}", f"--input={file}", "--json")
    alone = door(*words).json
    found, _ = run_on_devices("launch", *words, "--mesh=fsdp:2,tensor:2")
    for name in ("loss", "bleu", "chrf"):
        np.testing.assert_allclose(found[name], alone[name], **TOLERANCE["mesh"])


def test_several_processes_keep_all_parameters_for_translations(gpt: Path) -> None:
    several = ("--distributed=manual", "--coordinator=a:1", "--num_processes=2", "--process_id=0")
    arguments = parse(EVALUATE, [f"--workdir={gpt}", "--mesh=fsdp:2", *several])
    assert not isinstance(arguments, str)
    spread.check(arguments)
    arguments.experiment.task = TranslationConfig()
    with pytest.raises(UserError, match="one process needs all parameters for the translation"):
        spread.check(arguments)


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


def test_without_the_flag_the_axes_are_those_of_the_run(gpt: Path) -> None:
    arguments = parse(COMMAND, [f"--workdir={gpt}"])
    assert not isinstance(arguments, str)
    with spread.over_mesh(arguments) as mesh:
        assert mesh is None
    arguments.experiment.training.mesh_fsdp = 8  # of which one device is left here
    with spread.over_mesh(arguments) as mesh:
        assert mesh is None
