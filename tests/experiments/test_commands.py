"""Each command, on a small run."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from experiments import dry_run
from seqmodels.config.errors import UserError
from seqmodels.config.files import config_names, load_config
from tests.experiments.conftest import FrontDoor, Small

ROOT = Path(__file__).parents[2]
EVALUATION = "--config.evaluation.batch_size=2"


def test_list_shows_everything_available(door: FrontDoor) -> None:
    values = door("list", "--json").json
    assert list(values) == ["configs", "models", "cells", "tasks", "datasets"]
    assert list(values["configs"]) == config_names()
    assert values["configs"]["shakespeare_gpt"]["variants"] == ["cpu", "gpu", "muon"]
    told = door("list")
    assert told.out == ""
    for table in values.values():
        for name, row in table.items():
            assert re.search(rf"^  {name}\b.*{re.escape(row['summary'])}$", told.err, re.MULTILINE)


def test_prepare_fills_the_cache(door: FrontDoor, small: Small) -> None:
    values = door("prepare", *small.words(), "--json").json
    length = len((small.folder / "text.txt").read_text())
    assert sum(split["characters"] for split in values["splits"].values()) == length
    assert Path(values["where"]).is_dir()


def test_train_writes_what_the_other_commands_need(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {"config.json", "data.json", "tokenizer.json", "metrics.jsonl", "checkpoints"} <= names
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    steps = [(row["step"], row["split"]) for row in rows]
    assert steps.count((6, "train")) == steps.count((6, "validation")) == 1


def test_train_again_resumes_or_does_nothing(door: FrontDoor, copy_of_trained: Path) -> None:
    before = (copy_of_trained / "metrics.jsonl").read_bytes()
    answer = door("train", f"--workdir={copy_of_trained}")
    assert answer.status == 0
    assert "resumed from step 6 of 6" in answer.err
    assert (copy_of_trained / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("batching", ["crops", "streams"])
def test_dry_run_counts_and_writes_nothing(
    door: FrontDoor, small: Small, tmp_path: Path, batching: str
) -> None:
    workdir = tmp_path / "run"
    more = [f"--config.data.batching={batching}", f"--workdir={workdir}", "--dry_run"]
    answer = door("train", *small.words(*more))
    assert answer.status == 0
    symbols = len(set((small.folder / "text.txt").read_text()))
    parameters = symbols * 8 + (8 + 12) * 4 * 12 + 4 * 12 + (12 + 1) * symbols
    assert re.search(rf"parameters .* {parameters:,} numbers", answer.err)
    assert re.search(r"devices: \d+ \(cpu", answer.err)
    assert "4 x 16, 64 targets" in answer.err
    assert not workdir.exists()
    # What needs no compilation comes before it.
    first, _, last = answer.err.partition("compiling the training step\n")
    assert "4 x 16, 64 targets" in first and " optimizer " in first
    assert re.match(r"compiled in \d+\.\d s\n  activations, gradients .* MB\n  total ", last)
    assert re.search(
        r"data.batch_size=[\d,]+ is about the largest that fits into .*: 2 rows ", last
    )
    # Of 64 targets; a gradient costs twice the forward pass.
    products = 3 * 2 * 64 * ((8 + 12) * 4 * 12 + 12 * symbols)
    said = re.search(r"  products \S+ ms: (\S+) operations at the \S+ per second", last)
    assert said is not None and float(said[1]) == pytest.approx(products, rel=5e-3)


def test_a_dry_run_names_the_field_that_does_not_fit(
    door: FrontDoor, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "device_memory", lambda: 10**4)
    answer = door("train", *small.words("--dry_run"))
    assert answer.status == 2
    line = "train: --config.training.mesh_fsdp=1: the state and its batch need 0.0 GB on each"
    assert answer.err.splitlines()[-1].startswith(line)
    assert "compiling" not in answer.err
    small_step = [
        dry_run.Part("parameters", None, 10, 10),
        dry_run.Part(dry_run.STEP, None, 410, 410),
    ]
    config = load_config("demo_lstm")
    with pytest.raises(UserError, match=r"accumulation_steps=8, which needs about 0.0 GB"):
        # 10 of parameters, 20 of gradients and their sum, and 400 / 8 of activations
        dry_run.refuse_misfit(config, small_step, 1, 80)
    with pytest.raises(UserError, match=r"batch_size=32: .*; use a smaller batch, shorter"):
        dry_run.refuse_misfit(config, small_step, 1, 40)
    dry_run.refuse_misfit(config, small_step, 1, None)


def test_dry_run_refuses_data_without_validation(door: FrontDoor, small: Small) -> None:
    words = small.words("--config.data.validation_fraction=0.00001", "--dry_run")
    answer = door("train", *words)
    assert answer.status == 2
    line = answer.err.splitlines()[-1]
    assert "--split=validation: the data have no such split; one of: train, test" in line


def test_dry_run_of_a_fitted_model(door: FrontDoor, small: Small) -> None:
    words = [w for w in small.words() if ".model." not in w]
    answer = door("train", *words, "--config=demo_ngram", "--dry_run")
    assert answer.status == 0
    assert "fitted in one pass" in answer.err


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluate_writes_what_it_prints(door: FrontDoor, trained: Path, split: str) -> None:
    values = door("evaluate", f"--workdir={trained}", f"--split={split}", "--json").json
    path = trained / "evaluations" / f"{split}-{values['step']}.json"
    assert json.loads(path.read_text()) == values
    assert {"step", "split", "loss", "perplexity", "bits_per_byte", "num_targets"} <= set(values)
    assert values["context"] == "carry"
    assert math.isclose(math.exp(values["loss"]), values["perplexity"])
    assert values["baseline"]["order"] == 3
    told = door("evaluate", f"--workdir={trained}", f"--split={split}")
    assert told.out == ""
    assert f"{values['loss']:.4f}" in told.err
    assert f"{values['baseline']['loss']:.4f}" in told.err
    assert str(path) in told.err.replace("\n", "")


def test_evaluate_records_overridden_fields(door: FrontDoor, copy_of_trained: Path) -> None:
    own = door("evaluate", f"--workdir={copy_of_trained}", "--json").json
    flag = "--config.evaluation.context=window"
    values = door("evaluate", f"--workdir={copy_of_trained}", flag, "--json").json
    assert values["context"] == "window"
    assert values["overrides"] == {"evaluation.context": "window"}
    assert "overrides" not in own
    name = f"validation-{own['step']}"
    kept, other = sorted((copy_of_trained / "evaluations").iterdir(), key=lambda p: len(p.name))
    assert kept.name == f"{name}.json"
    assert re.fullmatch(rf"{name}-[0-9a-f]{{8}}\.json", other.name)
    assert json.loads(kept.read_text()) == own
    assert json.loads(other.read_text()) == values


def test_evaluate_on_other_text_keeps_the_tokenizer(
    door: FrontDoor, copy_of_trained: Path, tmp_path: Path
) -> None:
    text = tmp_path / "other.txt"
    text.write_text("nos alia " * 400)
    flag = f"--config.data.path={text}"
    values = door("evaluate", f"--workdir={copy_of_trained}", flag, "--json").json
    assert values["num_targets"] == int(9 * 400 * 0.05) - 1
    text.write_text("nos alia z " * 400)
    line = door("evaluate", f"--workdir={copy_of_trained}", flag).line
    assert "outside the vocabulary: 'z'" in line


def test_generate_streams_text_and_keeps_it(door: FrontDoor, copy_of_trained: Path) -> None:
    words = ["generate", f"--workdir={copy_of_trained}", "--prompt=al", "--max_tokens=7"]
    told = door(*words)
    assert told.status == 0
    assert told.out.startswith("al")
    assert len(told.out) == 2 + 7 + 1
    assert "tokens/s" in told.err
    values = door(*words, "--json").json
    assert values["texts"] == [told.out[:-1]]
    kept = sorted((copy_of_trained / "samples").glob("*.txt"))
    assert [path.read_text() for path in kept] == [told.out, told.out]
    settings = json.loads(kept[0].with_suffix(".json").read_text())
    assert settings["prompt"] == "al"
    assert settings["seed"] == 0


@pytest.mark.parametrize(
    ("folder", "words"),
    [("samples", ["generate", "--max_tokens=5"]), ("evaluations", ["evaluate"])],
)
def test_results_that_cannot_be_written_are_printed_anyway(
    door: FrontDoor, copy_of_trained: Path, folder: str, words: list[str]
) -> None:
    (copy_of_trained / folder).write_text("a file in the way")
    answer = door(*words, f"--workdir={copy_of_trained}", "--json")
    assert answer.status == 2
    assert json.loads(answer.out)
    assert folder in answer.err.splitlines()[-1]
    assert "cannot be written" in answer.err.splitlines()[-1]


def test_generate_several(door: FrontDoor, copy_of_trained: Path) -> None:
    words = ["generate", f"--workdir={copy_of_trained}", "--num_samples=2", "--max_tokens=5"]
    values = door(*words, "--seed=4", "--json").json
    told = door(*words, "--seed=4").out
    first, second = values["texts"]
    assert told == f"--- 1 of 2\n{first}\n--- 2 of 2\n{second}\n"
    assert door(*words, "--seed=5", "--json").json["texts"] != values["texts"]


def test_inspect(door: FrontDoor, trained: Path) -> None:
    values = door("inspect", f"--workdir={trained}", "--json").json
    assert [row["step"] for row in values["checkpoints"]] == [3, 6]
    assert {row["seal"] for row in values["checkpoints"]} == {"sealed"}
    told = door("inspect", f"--workdir={trained}")
    assert told.out == ""
    assert f"{values['num_parameters']:,}" in told.err


def test_batch_decodes_the_batch_of_a_step(door: FrontDoor, small: Small, trained: Path) -> None:
    text = (small.folder / "text.txt").read_text()
    values = door("batch", f"--workdir={trained}", "--step=5", "--json").json
    assert len(values["rows"]) == 4
    for row in values["rows"]:
        assert row["text"] in text
        assert len(row["text"]) == 16 + 1
        assert row["inputs"][1:] == row["targets"][:-1]
    assert door("batch", *small.words(), "--step=5", "--json").json == values
    told = door("batch", f"--workdir={trained}", "--step=5")
    assert told.out == ""
    assert values["rows"][2]["text"] in told.err
    other = door("batch", f"--workdir={trained}", "--step=6", "--json").json
    assert other["rows"] != values["rows"]


def test_batch_shows_each_packed_document(door: FrontDoor, small: Small) -> None:
    words = small.words("--config.data.batching=packed")
    values = door("batch", *words, "--step=1", "--json").json
    text = (small.folder / "text.txt").read_text()
    for row in values["rows"]:
        for part in row["text"].split("\n"):
            assert part in text
        assert np.array(row["segment_ids"]).shape == (16,)


@pytest.mark.parametrize("words", [["batch"], ["evaluate"], ["evaluate", EVALUATION]])
def test_changed_data_are_refused(
    door: FrontDoor, copy_of_trained: Path, small: Small, words: list[str]
) -> None:
    path = small.folder / "text.txt"
    before = path.read_text()
    path.write_text(before + " sun")
    try:
        line = door(*words, f"--workdir={copy_of_trained}").line
        told = door("inspect", f"--workdir={copy_of_trained}", "--json").json
    finally:
        path.write_text(before)
    assert "was trained on other data" in line
    assert "was trained on other data" in told["data_problem"]
    assert not (copy_of_trained / "evaluations").exists()


def test_the_readme_tour_in_python(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = (ROOT / "README.md").read_text().partition("## And in Python\n")[2]
    (code,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    code, count = re.subn(r'"runs/[^"]*"', repr(str(trained)), code)
    assert count == 1
    code = re.sub(r'"The [^"]*"', '"al"', code)
    exec(code, {})
    assert capsys.readouterr().out
