"""Every command on small runs over texts with classes, with every model that reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import launch
from seqmodels import load_run
from seqmodels.data.datasets import order_sentences
from tests.experiments.conftest import FrontDoor

FIELDS = {
    "data.batch_size": 4,
    "data.max_shapes": 1,
    "optimizer.warmup_steps": 1,
    "training.num_steps": 2,
    "training.log_every": 2,
    "training.evaluate_every": 2,
    "training.checkpoint_every": 2,
    "evaluation.batch_size": 20,
    "model.model_dim": 8,
}
SMALL = {
    "lstm": {"model.hidden_dim": 6},
    "cnn": {"model.hidden_dim": 6},
    "bert": {"model.num_layers": 1, "model.num_heads": 2, "model.mlp_dim": 8},
    "gpt": {"model.num_layers": 1, "model.num_heads": 2, "model.mlp_dim": 8},
}


def words(variant: str, folder: Path, *more: str) -> list[str]:
    fields = {**FIELDS, **SMALL[variant], "data.cache_dir": folder / "cache"}
    flags = [f"--config.{name}={value}" for name, value in fields.items()]
    return [f"--config=order_lstm:{variant}", *flags, *more]


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few = {"train": 40, "validation": 20, "test": 23}
        patch.setattr(order_sentences, "NUM_SENTENCES", few)
        yield


@pytest.mark.parametrize(
    "variant", ["lstm", *(pytest.param(v, marks=pytest.mark.grid) for v in ("cnn", "bert", "gpt"))]
)
def test_train_and_evaluate(door: FrontDoor, tmp_path: Path, variant: str) -> None:
    workdir = tmp_path / "run"
    assert launch.main(["train", *words(variant, tmp_path), f"--workdir={workdir}"]) == 0
    found = door("evaluate", f"--workdir={workdir}", "--split=test", "--json").json
    assert found["num_targets"] == 23
    assert {"accuracy", "f1", "f1_binary", "calibration_error"} < found.keys()
    base = found["baseline"]
    models = [base["model"], *(other["model"] for other in base["beside"])]
    assert models == ["naive Bayes of bigrams", "majority class"]
    table = door("evaluate", f"--workdir={workdir}").err
    assert all(name in table for name in ("naive", "majority", "this run", "f1"))
    predictions_are_what_was_evaluated(door, workdir, tmp_path, found["accuracy"])
    if variant == "lstm":
        rest_of_the_commands(door, workdir, tmp_path)


def predictions_are_what_was_evaluated(
    door: FrontDoor, workdir: Path, folder: Path, accuracy: float
) -> None:
    """Same accuracy on the test split with any batch size; each distribution sums to one."""
    columns = order_sentences.OrderSentences().splits()["test"]
    sentences, labels = columns["text"], columns["label"]
    file = folder / "lines.txt"
    file.write_text("\n".join(sentences) + "\n")
    done = door("predict", f"--workdir={workdir}", f"--input={file}", "--batch_size=9")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [answer["text"] for answer in answers] == sentences
    for answer in answers:
        assert math.isclose(sum(answer["probabilities"].values()), 1.0, rel_tol=1e-5)
    right = [answer["label"] == label for answer, label in zip(answers, labels, strict=True)]
    assert math.isclose(sum(right) / len(right), accuracy, rel_tol=1e-5)
    file.write_text("the " * 200)
    line = door("predict", f"--workdir={workdir}", f"--input={file}").line
    assert "lines.txt, line 1: has 20" in line and "max_length is" in line


def rest_of_the_commands(door: FrontDoor, workdir: Path, folder: Path) -> None:
    rows = door("batch", f"--workdir={workdir}", "--step=3", "--json").json["rows"]
    label, text = rows[0]["text"].split("\n")
    assert label == order_sentences.CLASSES[rows[0]["targets"]]
    assert " the " in f" {text} " and len(rows[0]["inputs"]) == len(rows[0]["segment_ids"])
    values = door("inspect", f"--workdir={workdir}", "--json").json
    assert values["data_problem"] is None
    assert values["checkpoints"][-1]["next_batch"]["step"] == 3
    assert "cannot generate text" in door("generate", f"--workdir={workdir}").line
    values = door("prepare", *words("lstm", folder), "--json").json
    assert values["splits"]["train"]["examples"] == 40 and values["num_classes"] == 2
    table = folder / "own.tsv"
    table.write_text("text\tlabel\nit was good\tpositive\nit was bad\tpositve\n")
    own = [f"--config.data.{n}_path={table}" for n in ("train", "validation")]
    flags = ["evaluate", f"--workdir={workdir}", "--config.data.name=table", *own]
    line = door(*flags).err.splitlines()[-1]
    assert "own.tsv, line 3: class 'positve' is not known; did you mean 'positive'?" in line
    table.write_text("text\tlabel\nit was good\tpositive\nit was bad\tnegative\n")
    assert door(*flags, "--json").json["num_targets"] == 2


SMALL_BERT = {
    **{name: value for name, value in FIELDS.items() if name != "data.max_shapes"},
    **SMALL["bert"],
}


@pytest.mark.hard
def test_masked_tokens_then_classes(door: FrontDoor, tmp_path: Path) -> None:
    """The recipe of wikitext2_bert on other texts."""
    text = tmp_path / "own.txt"
    text.write_text("it was good , and it was not bad at all .\n" * 60)
    fields = {
        **SMALL_BERT,
        "data.name": "text_file",
        "data.path": text,
        "data.validation_fraction": 0.2,
        "data.vocab_size": 300,
        "data.cache_dir": tmp_path / "cache",
    }
    first, second = tmp_path / "first", tmp_path / "second"
    flags = [f"--config.{name}={value}" for name, value in fields.items()]
    assert launch.main(["train", "--config=wikitext2_bert", *flags, f"--workdir={first}"]) == 0
    found = door("evaluate", f"--workdir={first}", "--json").json
    assert found["baseline"]["model"] == "ngram" and 0 <= found["accuracy"] <= 1
    seen = door("look", f"--workdir={first}", f"--text={'it was good , ' * 40}", "--json").json
    assert seen["num_steps"] == load_run(first).config.model.max_length
    assert {"attention", "predictions", "attribution"} <= set(seen["what"])
    fields = {
        **SMALL_BERT,
        "data.max_shapes": 1,
        "data.name": "order_sentences",
        "data.inputs.tokenizer_path": first,
        "data.cache_dir": tmp_path / "cache",
    }
    flags = [f"--config.{name}={value}" for name, value in fields.items()]
    words = ["train", "--config=wikitext2_bert:sst2", *flags, f"--workdir={second}"]
    told = door(*words, f"--init_from={first}")
    assert told.status == 0, told.err
    (line,) = [line for line in told.err.splitlines() if " parameters from " in line]
    taken, _, total = line.split()[1:4]
    assert (int(taken), int(total)) == (int(total) - 4, int(total)), told.err
    fresh = next(line for line in told.err.splitlines() if "newly initialised" in line)
    assert "4 newly initialised" in fresh and "pooler" in fresh and "head" in fresh
    assert "warning: both vocabularies" not in told.err
    assert door("evaluate", f"--workdir={second}", "--json").json["num_targets"] == 20
    (first / "tokenizer.json").unlink()
    told = door(*words, f"--init_from={first}")  # resumes without the other run's tokenizer
    assert "resumed from step 2 of 2" in told.err, told.err


MISTAKES = {
    "a tied head": ("gpt", "model.tie_embeddings=true", "must be false: the outputs are classes"),
    "too long": ("bert", "data.inputs.max_length=64", "must be at most model.max_length, 40"),
    "no fold": ("lstm", "data.fold=10", "must be from 0 to 9"),
    "a path": ("lstm", "data.path=x.csv", "is only for data.name="),
    "no file": ("lstm", "data.name=table", "data.name=table needs your files here"),
    "no such set": ("lstm", "data.name=sst", "did you mean 'sst2'?"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line(door: FrontDoor, tmp_path: Path, name: str) -> None:
    variant, flag, expected = MISTAKES[name]
    flags = [f"--config=order_lstm:{variant}", f"--config.{flag}"]
    assert expected in door("train", *flags, f"--workdir={tmp_path / 'run'}").line
    assert not (tmp_path / "run").exists()
