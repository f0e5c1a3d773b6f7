"""Every command on a small run over images and on one over pairs, and bad input."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import launch
from seqmodels.data.datasets import dates, shapes
from seqmodels.runs.opening import read_config
from seqmodels.runs.rows import read_rows
from tests.experiments.conftest import Answer, FrontDoor
from tests.tolerances import TOLERANCE

TRAINING = {
    "data.batch_size": 4,
    "optimizer.warmup_steps": 1,
    "training.num_steps": 4,
    "training.log_every": 2,
    "training.evaluate_every": 2,
    "training.checkpoint_every": 2,
    "evaluation.batch_size": 20,
}
FIELDS = {
    "demo_images:perceptron": {"data.name": "shapes:8"},
    "demo_translation": {
        "model.num_encoder_layers": 1,
        "model.num_decoder_layers": 1,
        "model.model_dim": 8,
        "model.mlp_dim": 8,
        "data.max_shapes": 1,
        "data.targets.max_length": 12,
    },
}


def words(name: str, folder: Path, *more: str) -> list[str]:
    fields = {**TRAINING, **FIELDS[name], "data.cache_dir": folder / "cache"}
    return [f"--config={name}", *(f"--config.{n}={v}" for n, v in fields.items()), *more]


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        splits = {"train": (0, 40), "validation": (40, 60), "test": (60, 83)}
        patch.setattr(shapes, "SPLITS", splits)
        patch.setattr(dates, "NUM_PAIRS", {"train": 40, "validation": 20, "test": 23})
        yield


@pytest.fixture(scope="module", params=FIELDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    workdir = folder / request.param
    assert launch.main(["train", *words(request.param, folder), f"--workdir={workdir}"]) == 0
    return workdir


def test_evaluate_counts_every_example_once(door: FrontDoor, run: Path) -> None:
    told = door("evaluate", f"--workdir={run}", "--split=test").err
    (path,) = (run / "evaluations").glob("test-*.json")
    found, images = json.loads(path.read_text()), "images" in run.name
    assert found["num_targets"] == (23 if images else 23 * 11)
    assert found["baseline"]["model"] == ("logistic regression" if images else "unigram")
    assert "context" not in found
    assert path.name == f"test-{found['step']}.json"
    assert found["baseline"]["model"].split()[0] in told and "this run" in told
    assert f"loss in nats per {'example' if images else 'token'}" in " ".join(told.split())
    if images:
        return
    assert sum(row["num_pairs"] for row in found["by_source_length"]) == 23
    assert found["bleu_signature"] in told and "word by word" in told


@pytest.mark.grid  # tests/evaluation/test_examples.py and conformance have it for each part
def test_the_size_of_the_batches_changes_no_figure(door: FrontDoor, run: Path) -> None:
    """The last batch was not full; with another batch size every pair still counts once."""
    if "images" in run.name:
        pytest.skip("of pairs")
    found = door("evaluate", f"--workdir={run}", "--split=test", "--json").json
    other = ("--split=test", "--config.evaluation.batch_size=9", "--json")
    again = door("evaluate", f"--workdir={run}", *other).json
    names = ("bleu", "chrf", "exact_match", "by_source_length", "translation_baselines")
    assert {n: again[n] for n in names} == {n: found[n] for n in names}
    assert again["num_targets"] == found["num_targets"]
    for name in ("loss", "accuracy", "sequence_accuracy"):
        np.testing.assert_allclose(again[name], found[name], **TOLERANCE["rounding"])
    assert again["baseline"] == found["baseline"]


def test_files_of_ones_own_are_evaluated_without_the_run_s_data(
    door: FrontDoor, run: Path, tmp_path: Path
) -> None:
    """As the test split is, whose examples they are."""
    before = door("evaluate", f"--workdir={run}", "--split=test", "--json").json
    if "images" in run.name:
        data = shapes.Shapes.open(read_config(run).data).splits()["test"]
        for row, label in enumerate(data["label"]):
            path = tmp_path / "files" / shapes.CLASS_NAMES[label] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(data["image"].read(np.array([row]))[0]).save(path)
        inputs = ["files"]
    else:
        columns = dates.Dates().splits()["test"]
        rows = list(zip(columns["target"], columns["source"], strict=True))
        lines = ["target\tsource", *map("\t".join, rows)]
        (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n")
        for name, column in columns.items():
            (tmp_path / f"new.{name}").write_text("\n".join(column) + "\n")
        inputs = ["pairs.tsv", "new.{column}"]
    for given in inputs:
        words = ("evaluate", f"--workdir={run}", f"--input={tmp_path}/{given}")
        found = door(*words, "--json").json
        assert "baseline" not in found and "translation_baselines" not in found
        assert found["num_targets"] == before["num_targets"]
        for name in {"loss", "accuracy", "bleu", "exact_match", "by_source_length"} & set(before):
            if isinstance(before[name], float):
                np.testing.assert_allclose(found[name], before[name], **TOLERANCE["rounding"])
            else:
                assert found[name] == before[name]
    if "images" not in run.name:
        assert "BLEU" in door(*words).err
        told = door("evaluate", f"--workdir={run}", f"--input={tmp_path}/new.source").line
        assert "must be a table (.csv, .tsv, .jsonl)" in told
        assert "or files with a column each, by a path with {column}" in told


def test_rows_hold_the_throughput(run: Path) -> None:
    row = read_rows(run / "metrics.jsonl")[0]
    assert row["split"] == "train"
    unit = "examples" if "images" in run.name else "tokens"
    assert row[f"{unit}_per_second"] > 0


def test_inspect_knows_the_next_batch(door: FrontDoor, run: Path) -> None:
    values = door("inspect", f"--workdir={run}", "--json").json
    assert values["data_problem"] is None
    assert values["checkpoints"][-1]["next_batch"]["step"] == 5


def test_batch_shows_the_rows(door: FrontDoor, run: Path) -> None:
    values = door("batch", f"--workdir={run}", "--step=3", "--json").json
    assert len(values["rows"]) == 4
    row = values["rows"][0]
    if "images" in run.name:
        assert row["text"].splitlines()[0] == shapes.CLASS_NAMES[row["targets"]]
        assert "inputs" not in row
    else:
        written, iso = row["text"].split(" -> ")
        assert len(iso) == 10 and written
        assert len(row["source"]) == len(row["source_segment_ids"])
    assert row["text"].splitlines()[0] in door("batch", f"--workdir={run}", "--step=3").err


def test_dry_run_and_prepare_write_no_run(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    flags = words(run.name, run.parent)
    told = door("train", *flags, "--dry_run", f"--workdir={tmp_path / 'new'}")
    assert told.status == 0 and "40" in told.err and "numbers" in told.err
    assert not (tmp_path / "new").exists()
    values = door("prepare", *flags, "--json").json
    assert list(values["splits"]) == ["train", "validation", "test"]
    assert values["encoding"] in door("prepare", *flags).err


def test_generate_refuses(door: FrontDoor, run: Path) -> None:
    assert "cannot generate text" in door("generate", f"--workdir={run}").line


def test_other_data_are_refused(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    workdir = shutil.copytree(run, tmp_path / "copy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "SPLITS", {**shapes.SPLITS, "train": (0, 36)})
        patch.setattr(dates, "NUM_PAIRS", {**dates.NUM_PAIRS, "train": 36})
        for command in ("evaluate", "train"):
            answer = door(command, f"--workdir={workdir}")
            assert answer.status == 2
            assert "was trained on other data" in answer.err.splitlines()[-1]
    assert door("train", f"--workdir={workdir}").status == 0


@pytest.mark.parametrize("name", ["features.json"])
def test_missing_files_of_a_run_are_reported(
    door: FrontDoor, run: Path, tmp_path: Path, name: str
) -> None:
    workdir = shutil.copytree(run, tmp_path / "copy")
    (workdir / name).unlink()
    assert f"has no {name}: train first" in door("evaluate", f"--workdir={workdir}").line


def test_bad_files_leave_the_work_directory_free(door: FrontDoor, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\n")
    (tmp_path / "b").write_bytes(b"eins\n")
    files = [
        f"--config.data.path={tmp_path}/{{column}}",
        *(f"--config.data.{role}.column={n}" for role, n in (("source", "a"), ("targets", "b"))),
    ]
    flags = words("demo_translation", tmp_path, "--config.data.name=parallel_text", *files)
    line = door("train", *flags, f"--workdir={tmp_path / 'run'}").line
    assert f"{tmp_path / 'a'} has 2 lines, {tmp_path / 'b'} has 1" in line
    flags = words("demo_images:perceptron", tmp_path, "--config.data.name=tfds:none")
    assert "not prepared in" in door("train", *flags, f"--workdir={tmp_path / 'run'}").line
    assert not (tmp_path / "run").exists()


def test_predict_answers_each_input(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    words = ("predict", f"--workdir={run}")
    if "images" in run.name:
        pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8)
        for number, one in enumerate(pixels):
            Image.fromarray(one).save(tmp_path / f"{number}.png")
        answers = lines(door(*words, f"--input={tmp_path}", "--batch_size=2"))
        assert [Path(a["file"]).name for a in answers] == ["0.png", "1.png", "2.png"]
        for answer in answers:
            shares = answer["probabilities"]
            assert list(shares) == list(shapes.CLASS_NAMES)
            assert shares[answer["label"]] == max(shares.values())
            assert math.isclose(sum(shares.values()), 1.0, rel_tol=1e-5)
        (tmp_path / "2.png").write_text("no image")
        assert "2.png: is not an image" in door(*words, f"--input={tmp_path}").line
        assert (
            "--input=-: must be a file, a folder of images or sounds, or a glob"
            in door(*words, "--input=-").line
        )
        return
    sources = ["3 Mar 1999", "12 May 2001", "1 Jan 1980", "§ § 1999"]
    (tmp_path / "in.txt").write_text("\n".join(sources) + "\n")
    flags = ("--beam_size=3", "--num_best=2", "--max_tokens=9", "--batch_size=2")
    answers = lines(door(*words, f"--input={tmp_path / 'in.txt'}", *flags))
    assert [a["source"] for a in answers] == sources
    assert [a.get("num_unknown") for a in answers] == [None, None, None, 2]
    for answer in answers:
        first, second = answer["translations"]
        assert first["score"] >= second["score"] and first != second
        assert first["log_probability"] <= first["score"] <= 0
    told = door(*words, "--input=-", "--num_best=9").line
    assert "--num_best=9: must be at most --beam_size, 4" in told
    assert "must be at most 11" in door(*words, "--input=-", "--max_tokens=12").line


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_look_reads_what_predict_reads(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    words = ("look", f"--workdir={run}", f"--folder={tmp_path / 'look'}", "--json")
    if "images" in run.name:
        Image.new("RGB", (9, 7), "red").save(tmp_path / "red.png")
        assert "parameters" in door(*words, f"--image={tmp_path / 'red.png'}").json["what"]
        return
    found = door(*words, "--text=3 Mar 1999", "--target=1999-03-03").json
    assert {"attention", "predictions", "attribution"} <= set(found["what"])
    assert "--target=: is empty" in door(*words, "--text=3 Mar 1999", "--target=").line
