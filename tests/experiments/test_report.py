"""`launch.py report`: its page has what the work directory has; its mistakes."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest

from experiments import diagnose
from seqmodels.config.files import load_config
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.serialization import flat_values
from seqmodels.look import report
from seqmodels.runs.opening import read_config
from tests.experiments.conftest import FrontDoor
from tests.experiments.test_look import Links


def test_a_report_has_figures_rows_config_and_commands(
    door: FrontDoor, copy_of_trained: Path, trained: Path, tmp_path: Path
) -> None:
    found = door("evaluate", f"--workdir={copy_of_trained}", "--json").json
    other = shutil.copytree(trained, tmp_path / "second")
    output = tmp_path / "page.html"
    words = ("report", f"--workdir={copy_of_trained}", f"--against={other}", f"--output={output}")
    answer = door(*words, "--examples=2", "--json").json
    page = output.read_text()
    assert answer["sections"] == ["results", "curves", "examples", "config", "data", "environment"]
    links = Links(page)
    local = {link.removeprefix("#") for link in links.links if not link.startswith("data:")}
    assert local == set(answer["sections"]) <= links.ids
    assert not re.search(r"https?:", page)
    for value in (found["loss"], found["baseline"]["loss"]):
        assert f"{value:.4g}" in page
    default = RecurrentConfig().hidden_dim
    assert f"<td>model.hidden_dim</td><td>12</td><td>{default}</td>" in page
    fingerprint = json.loads((copy_of_trained / "data.json").read_text())["fingerprint"]
    assert fingerprint in page
    assert "--config=demo_lstm" in html.unescape(page)


def test_best_and_worst_rows_are_those_of_the_split(trained: Path) -> None:
    from seqmodels.look.examples import look_at_rows

    section = look_at_rows(trained, 2)
    assert section is not None
    best, worst = section.tables
    losses = section.numbers["losses"]
    assert [row[1] for row in best.rows] == sorted(losses)[:2]
    assert [row[1] for row in worst.rows] == sorted(losses)[::-1][:2]


def test_the_command_of_a_report_makes_the_config(trained: Path) -> None:
    config = read_config(trained)
    name, *words = report.command_of(config)
    made = load_config(name.removeprefix("--config="))
    pairs = [word.removeprefix("--config.").partition("=")[::2] for word in words]
    apply_overrides(made, [(field, text.strip("'")) for field, text in pairs], [])
    assert flat_values(made) == flat_values(config)


@pytest.mark.grid
def test_a_folder_of_runs_is_one_report(door: FrontDoor, trained: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(trained, tmp_path / "root" / name)
    found = door("report", f"--root={tmp_path / 'root'}", "--examples=0", "--json").json
    page = Path(found["page"]).read_text()
    assert Path(found["page"]) == tmp_path / "root" / "report.html"
    assert "Compared with b." in page
    assert "b, step 6" in page


def diagnosed(folder: Path) -> Path:
    """A folder of `diagnose` as if two models had been trained on two problems."""
    folder.mkdir(exist_ok=True)
    settings = {"num_steps": 4, "num_params": 300, "rates": [0.01], "num_seeds": 1}
    facts = {"width": 8, "num_params": 301, "settings": settings, "seconds": 1.5}
    result = lambda accuracy: {"loss": 0.25, "accuracy": accuracy, "num_targets": 20}
    chance = {"model": "chance", "loss": 0.69, "accuracy": 0.5}
    cells = {
        task: {
            "rnn": {"best": "lr0.01_seed0", "test": result(1.0), "longer": result(0.875)},
            "lstm": {"best": None, "test": None, "longer": None},
        }
        for task in ("parity", "recall")
    }
    for task, models in cells.items():
        for model, cell in models.items():
            lost = [] if cell["best"] else ["lr0.01_seed0: <not finite>"]
            cell |= {**facts, "task": task, "model": model, "chance": chance, "diverged": lost}
    diagnose.write(folder, {"settings": settings, "cells": cells})
    return folder


@pytest.mark.parametrize("flag", ["root", pytest.param("workdir", marks=pytest.mark.grid)])
def test_a_diagnosis_is_one_report(door: FrontDoor, tmp_path: Path, flag: str) -> None:
    place = diagnosed(tmp_path)
    found = door("report", f"--{flag}={place}", "--json").json
    assert found["sections"] == ["verdicts", "cells", "commands"]
    page = (tmp_path / "report.html").read_text()
    links = Links(page)
    assert {x.removeprefix("#") for x in links.links if x[0] == "#"} == set(found["sections"])
    assert sum(link.startswith("data:image/png") for link in links.links) == 1
    assert not re.search(r"https?:", page)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    verdict = ["rnn", "1", "0.875", "1", "0.75", "yes (longer)", "no"]
    assert any(cells[n : n + 7] == verdict for n in range(len(cells)))
    assert "diverged" in cells and "lr0.01_seed0: &lt;not finite&gt;" in cells
    assert "--models=rnn,lstm" in page and "--rates=0.01" in page


def test_a_damaged_diagnosis(door: FrontDoor, tmp_path: Path) -> None:
    words = ("report", f"--root={diagnosed(tmp_path)}")
    (tmp_path / "diagnose.png").unlink()
    assert "diagnose.png: cannot be read: No such file" in door(*words).line
    (tmp_path / "diagnose.json").write_text('{"cells": {}}')
    assert "diagnose.json: damaged" in door(*words).line
    line = door("report", f"--workdir={tmp_path}", "--against=/a").line
    assert "--against=/a: has no effect for a folder of diagnose" in line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "--workdir=DIR or --root=DIR: give one of the two"),
        ("--workdir=/a --root=/b", "--workdir=DIR or --root=DIR: give one of the two"),
        ("--workdir=/nowhere", "--workdir=/nowhere: no such directory"),
        ("--root=/nowhere", "--root=/nowhere: no such directory"),
        ("--root={empty}", "--root={empty}: no run below it"),
        ("--root={empty} --against=/a", "--against=/a: has no effect with --root"),
        ("--workdir={run} --against=/nowhere", "--against=/nowhere: no such directory"),
        (
            "--workdir={run} --output=/nowhere/x --examples=0",
            "--output=/nowhere/x: /nowhere is not a directory",
        ),
    ],
)
def test_mistakes(door: FrontDoor, trained: Path, tmp_path: Path, words: str, line: str) -> None:
    places = {"run": trained, "empty": tmp_path}
    assert line.format(**places) in door("report", *words.format(**places).split()).line
