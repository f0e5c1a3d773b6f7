"""Runs opened from their work directories: load_run, evaluate_run, generate_text, describe."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext, TrainingConfig
from seqmodels.data.text import TextData
from seqmodels.evaluation.evaluate import evaluate_run
from seqmodels.models.build import build_model
from seqmodels.runs.generate import generate_text
from seqmodels.runs.inspect import describe, render
from seqmodels.runs.run import Run, load_run
from seqmodels.tasks import ngram_baseline
from seqmodels.training.loop import train
from tests.opening import baseline, evaluate_split, load
from tests.tolerances import TOLERANCE

TEXT = "The cat sat on the mat, 水 under a blue sky.\nThe dog did not: é.\n" * 60


def make_config(folder: Path, model: ModelConfig, **training: Any) -> ExperimentConfig:
    path = folder / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return ExperimentConfig(
        model=model,
        data=TextDataConfig(
            name="text_file",
            path=str(path),
            validation_fraction=0.2,
            test_fraction=0.2,
            tokenizer=TokenizerKind.BYTE,
            cache_dir=str(folder / "cache"),
            batch_size=3,
            sequence_length=12,
        ),
        task=LanguageModelConfig(),
        training=TrainingConfig(
            num_steps=4, evaluate_every=2, checkpoint_every=2, mesh_data=1, **training
        ),
        evaluation=EvaluationConfig(EvaluationContext.CARRY, 16, 2, baseline_order=3),
    )


def copy(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "copy"))


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps of a small LSTM with a moving average, and checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("run")
    config = make_config(folder, RecurrentConfig(model_dim=6, hidden_dim=7), ema_decay=0.5)
    assert train(config, folder / "run") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(workdir: Path) -> Run:
    return load_run(workdir, "latest")


@pytest.fixture(scope="module")
def data(run: Run) -> TextData:
    return load(run.config, run.features)


@pytest.fixture(scope="module")
def ngram_workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ngram")
    assert train(make_config(folder, NgramConfig(order=4)), folder / "run") == 0
    return folder / "run"


@pytest.mark.grid
def test_the_moving_average_is_evaluated(run: Run, workdir: Path, data: TextData) -> None:
    assert run.step == 4
    result = evaluate_run(run, data, "validation")
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    (row,) = [r for r in rows if r["split"] == "validation" and r["step"] == 4]
    assert result["loss"] == row["loss"]
    assert {"step", "split", "loss", "perplexity", "bits_per_byte", "num_targets"} <= set(result)
    assert result["context"] == "carry"
    assert result["baseline"]["model"] == "ngram" and result["baseline"]["order"] == 3
    assert result["baseline"]["loss"] < result["loss"]


def test_best_is_the_step_of_the_lowest_loss(workdir: Path) -> None:
    description = describe(workdir)
    losses = {c["step"]: c["metrics"]["loss"] for c in description["checkpoints"]}
    best = min(losses, key=lambda s: losses[s])
    assert description["best"] == {"step": best, "metric": "loss", "value": losses[best]}
    assert load_run(workdir).step == best
    assert load_run(workdir, "2").step == 2
    with pytest.raises(UserError, match=r"--step=newest: must be best, latest or the number"):
        load_run(workdir, "newest")


def test_parameters_can_be_applied_directly(run: Run) -> None:
    tokens = np.zeros((2, 5), np.int32)
    features, _ = jax.jit(lambda p, x: run.model.apply({"params": p}, x, train=False))(
        run.params, tokens
    )
    assert features.shape == (2, 5, 7)


def test_a_fitted_run_is_compared_with_the_unigram(ngram_workdir: Path) -> None:
    run = load_run(ngram_workdir)
    assert run.step == 1
    result = evaluate_run(run, load(run.config, run.features), "test")
    assert result["baseline"]["order"] == 1
    assert result["loss"] < result["baseline"]["loss"]
    texts = generate_text(run, ["The "], max_tokens=8, temperature=0.0).texts
    assert texts[0].startswith("The ")


def test_the_baseline_is_kept(
    run: Run, data: TextData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = dataclasses.replace(run.config.data, cache_dir=str(tmp_path))
    config = dataclasses.replace(run.config, data=settings)
    first = baseline(data, "test", config)
    monkeypatch.setattr(ngram_baseline, "build_model", None)
    assert baseline(data, "test", config) == first
    (file,) = (tmp_path / "baselines").iterdir()
    file.write_text("{")
    with pytest.raises(TypeError):
        baseline(data, "test", config)
    monkeypatch.undo()
    assert baseline(data, "test", config) == first
    baseline(data, "validation", config)
    assert len(list((tmp_path / "baselines").iterdir())) == 2
    with pytest.raises(UserError, match="no such split"):
        baseline(data, "dev", config)


def test_the_baseline_equals_an_evaluation_of_its_model(
    run: Run, data: TextData, tmp_path: Path
) -> None:
    """It computes the probabilities of the targets alone, not of the whole vocabulary."""
    config = dataclasses.replace(run.config, data=dataclasses.replace(run.config.data))
    config.data.cache_dir = str(tmp_path)
    model = build_model(NgramConfig(order=3), data.spec)
    params = jax.tree.map(jnp.asarray, model.fit(data.splits["train"]))
    result = evaluate_split(model, params, data, "test", config.evaluation, run.task, 0)
    expected = {name: result[name] for name in ("loss", "perplexity", "bits_per_byte")}
    found = baseline(data, "test", config)
    assert (found.pop("model"), found.pop("order")) == ("ngram", 3)
    assert list(found) == list(expected)
    np.testing.assert_allclose(
        list(found.values()), list(expected.values()), **TOLERANCE["rounding"]
    )


def test_text_continues_prompts_of_different_lengths(run: Run) -> None:
    pieces: dict[int, str] = {}

    def on_text(row: int, piece: str) -> None:
        assert piece
        pieces[row] = pieces.get(row, "") + piece

    made = generate_text(
        run, ["", "The cat 水"], num_samples=2, max_tokens=40, seed=3, on_text=on_text
    )
    assert made.prompts == ["", "", "The cat 水", "The cat 水"]
    assert [pieces[row] for row in range(4)] == made.continuations
    assert made.texts[2] == "The cat 水" + made.continuations[2]
    assert made.continuations[2] != made.continuations[3]
    assert made.tokens.shape == (4, 40) and made.tokens_per_second > 0
    for row in range(4):
        assert made.continuations[row] == run.tokenizer.decode(made.tokens[row])


def test_an_empty_prompt_starts_after_a_line_break(run: Run) -> None:
    empty, line = (
        generate_text(run, [p], max_tokens=9, temperature=0.0).continuations for p in ("", "\n")
    )
    assert empty == line


def test_bad_requests_for_text(run: Run) -> None:
    with pytest.raises(UserError, match="U\\+D800"):
        generate_text(run, ["a\ud800"], max_tokens=3)
    with pytest.raises(UserError, match="num_samples=0"):
        generate_text(run, ["a"], num_samples=0)
    with pytest.raises(UserError, match="top_p=2"):
        generate_text(run, ["a"], top_p=2.0)


def test_an_incomplete_work_directory_is_reported_in_one_line(
    workdir: Path, tmp_path: Path
) -> None:
    def refused(folder: Path, match: str) -> None:
        with pytest.raises(UserError, match=match) as caught:
            load_run(folder)
        assert "\n" not in str(caught.value)

    refused(tmp_path / "nowhere", "no such directory")
    folder = copy(workdir, tmp_path)
    for step in (2, 4):
        file = max((folder / f"checkpoints/{step}").rglob("d/*"), key=lambda p: p.stat().st_size)
        file.write_bytes(bytes(file.stat().st_size))
    refused(folder, "all are damaged")
    shutil.rmtree(folder / "checkpoints")
    refused(folder, "no checkpoint")
    (folder / "tokenizer.json").unlink()
    refused(folder, r"no tokenizer\.json")
    config = json.loads((folder / "config.json").read_text())
    config["model"]["wings"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "wings")
    (folder / "config.json").write_text("{")
    refused(folder, "cannot be read")


def test_a_damaged_step_is_skipped_or_refused(workdir: Path, tmp_path: Path) -> None:
    folder = copy(workdir, tmp_path)
    (folder / "checkpoints/4/seal.json").write_text("{}")
    assert load_run(folder, "latest").step == 2
    with pytest.raises(UserError, match="step 4 is damaged"):
        load_run(folder, 4)
    (folder / "checkpoints/2/seal.json").unlink()
    assert [c["seal"] for c in describe(folder)["checkpoints"]] == ["unsealed", "damaged"]


def test_an_unsealed_step_that_cannot_be_read_is_skipped(
    workdir: Path, ngram_workdir: Path, tmp_path: Path
) -> None:
    folder = copy(workdir, tmp_path)
    cut_off(folder / "checkpoints/4")
    description = describe(folder)
    assert [c["seal"] for c in description["checkpoints"]] == ["sealed", "unreadable"]
    assert description["num_parameters"] > 0
    folder = Path(shutil.copytree(ngram_workdir, tmp_path / "ngram"))
    shutil.copytree(folder / "checkpoints/1", folder / "checkpoints/2")
    cut_off(folder / "checkpoints/2")
    assert load_run(folder, "latest").step == 1
    with pytest.raises(UserError, match="step 2 was never sealed and does not load"):
        load_run(folder, 2)


def cut_off(step: Path) -> None:
    """Leaves a checkpoint as a power cut may leave it: a name, but no seal and no content."""
    (step / "seal.json").unlink()
    for file in (step / "params").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def test_inspect_reports_parameters_and_position_in_the_data(
    run: Run, workdir: Path, data: TextData
) -> None:
    description = describe(workdir)
    assert json.loads(json.dumps(description)) == description
    leaves = jax.tree_util.tree_leaves_with_path(run.params)
    expected = {
        jax.tree_util.keystr(path, simple=True, separator="/"): list(leaf.shape)
        for path, leaf in leaves
    }
    assert {row["path"]: row["shape"] for row in description["parameters"]} == expected
    assert description["num_parameters"] == sum(leaf.size for _, leaf in leaves)
    assert description["num_bytes"] == sum(leaf.nbytes for _, leaf in leaves)
    source = data.batches(run.config)
    for row in description["checkpoints"]:
        assert row["seal"] == "sealed"
        place = row["next_batch"]
        assert (place["epoch"], place["index"]) == source.position(row["step"] + 1)
    out = io.StringIO()
    Console(file=out, width=200).print(render(description))
    assert f"{description['num_parameters']:,}" in out.getvalue()
    assert "(best)" in out.getvalue() and "epoch 0" in out.getvalue()


def test_inspect_works_without_the_data(workdir: Path, tmp_path: Path) -> None:
    folder = copy(workdir, tmp_path)
    text = Path(json.loads((folder / "config.json").read_text())["data"]["path"])
    kept = text.read_text(encoding="utf-8")
    try:
        text.write_text(kept * 2, encoding="utf-8")
        description = describe(folder)
        assert "trained on other data" in description["data_problem"]
        text.unlink()
        description = describe(folder)
        assert description["data_problem"]
        assert {c["next_batch"] for c in description["checkpoints"]} == {None}
    finally:
        text.write_text(kept, encoding="utf-8")


def test_inspect_of_a_fitted_run(ngram_workdir: Path) -> None:
    description = describe(ngram_workdir)
    assert [c["step"] for c in description["checkpoints"]] == [1]
    assert description["num_parameters"] > 0
