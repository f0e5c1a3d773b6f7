"""A label for each step: loss, padding, the baseline, and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TagsConfig, TokenizerKind, TokensConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import TaggingConfig
from seqmodels.config.transformers import BERTConfig, GPTConfig
from seqmodels.config.validate import validate
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.tags import EncodedTags, Tags
from seqmodels.data.features.tokens import Tokens
from seqmodels.data.words import WordTokenizer
from seqmodels.evaluation.evaluate import evaluate_run
from seqmodels.protocols import Answerer, Part
from seqmodels.runs.run import Run, load_run
from seqmodels.tasks.tagging import Tagging
from seqmodels.training.loop import train
from seqmodels.types import Batch, ClassOutput, DataSpec, TokenInput
from tests.evaluation.runs import make_tagging_run
from tests.opening import load
from tests.tasks.stand_in import Passing, trial
from tests.tolerances import TOLERANCE

NAMES = ("noun", "verb", "other")
TASK = Tagging(TaggingConfig())
FEATURES = {
    "inputs": Tokens(TokensConfig(), WordTokenizer(["a", "b"])),
    "targets": Tags(TagsConfig(), NAMES),
}
SEGMENTS = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], np.int32)
TARGETS = np.array([[0, 2, 1, 1], [2, 0, 0, 0], [0, 0, 0, 0]], np.int32)
LOGITS = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
REAL = SEGMENTS > 0
MODELS: dict[str, ModelConfig] = {
    "lstm": RecurrentEncoderConfig(num_layers=1, model_dim=6, hidden_dim=5),
    "gpt": GPTConfig(1, 8, 2, mlp_dim=9, max_length=16, tie_embeddings=False),
    "bert": BERTConfig(1, 8, 2, 9, max_length=16),
}


def batch() -> Batch:
    """As the task makes it, of inputs and targets of one row each."""
    mask = np.array([1, 1, 0], np.float32)
    parts = {"inputs": Part(TARGETS, SEGMENTS, mask), "targets": Part(TARGETS, SEGMENTS, mask)}
    made = TASK.make_batch(parts, FEATURES)
    assert made.target_segment_ids is None, "labels are at the steps of the inputs"
    return jax.tree.map(jnp.asarray, made)


def nats(smoothing: float) -> float:
    rows = LOGITS.astype(np.float64)[REAL]
    log_p = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(3)[TARGETS[REAL]] + smoothing / 3
    return float(-(wanted * log_p).sum())


def test_the_spec_has_a_class_for_each_step() -> None:
    assert TASK.make_spec(FEATURES) == DataSpec(TokenInput(4), ClassOutput(3, per_step=True))


def test_the_loss_is_the_sum_over_the_labels() -> None:
    loss, weight, metrics, carry = TASK.forward(
        Passing(), jnp.asarray(LOGITS), batch(), None, train=False, key=None
    )
    assert carry is None and float(weight) == 6
    np.testing.assert_allclose(loss, nats(0.0), **TOLERANCE["rounding"])
    hits = float((LOGITS.argmax(-1) == TARGETS)[REAL].sum())
    assert [float(x) for x in metrics["accuracy"]] == [hits, 6.0]
    sums = {n: (np.asarray(a, float), np.asarray(b, float)) for n, (a, b) in metrics.items()}
    by_length = [(2, 2), (4, 4)]
    found = TASK.summarize(sums, None)
    assert [(r["longest"], r["num_targets"]) for r in found.pop("by_length")] == by_length
    assert found == {
        "loss": pytest.approx(float(loss) / 6),
        "accuracy": hits / 6,
        "num_targets": 6,
    }


def test_a_step_that_is_ignored_has_no_weight() -> None:
    """Nor does it count in the baseline, and it is shown under its own name."""
    targets = Tags(TagsConfig(ignored="-"), NAMES)
    rows = [targets.read("noun - other"), targets.read("- - verb")]
    part = targets.batch(rows, 2)
    made = TASK.make_batch({"inputs": part, "targets": part}, {**FEATURES, "targets": targets})
    assert made.loss_weights[:, :4].tolist() == [[1, 0, 1, 0], [0, 0, 1, 0]]
    assert targets.show(part.values[0], part.segment_ids[0]) == "noun - other"
    column = EncodedTags(np.concatenate(rows), np.array([0, 3, 6]))
    split = ExampleSplit({"targets": column}, np.arange(2))
    counted = TASK.baseline(trial({**FEATURES, "targets": targets}, split, split))
    assert counted["accuracy"] == pytest.approx(1 / 3) and column.sizes(np.arange(2)) == {
        "labels": 3
    }


def test_padding_counts_nothing() -> None:
    """Neither in the loss nor in its gradient, even where the logits of padding are NaN."""

    def loss(params: jax.Array) -> jax.Array:
        return TASK.forward(Passing(), params, batch(), None, train=True, key=jax.random.key(0))[0]

    broken = jnp.asarray(np.where(REAL[..., None], LOGITS, np.nan))
    np.testing.assert_allclose(loss(broken), nats(0.0), **TOLERANCE["rounding"])
    gradient = np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(LOGITS)))
    assert gradient[REAL].all() and not gradient[~REAL].any()


def test_label_smoothing_is_of_training_only() -> None:
    task, key = Tagging(TaggingConfig(label_smoothing=0.2)), jax.random.key(0)
    for trains, smoothing in ((True, 0.2), (False, 0.0)):
        loss, _, metrics, _ = task.forward(
            Passing(), jnp.asarray(LOGITS), batch(), None, train=trains, key=key if trains else None
        )
        np.testing.assert_allclose(loss, nats(smoothing), **TOLERANCE["rounding"])
        np.testing.assert_allclose(metrics["loss"][0], nats(0.0), **TOLERANCE["rounding"])


def test_a_row_is_shown_with_its_labels() -> None:
    inputs = np.array([[2, 3, 3, 2], [3, 2, 0, 0], [0, 0, 0, 0]], np.int32)
    shown = Batch(inputs, TARGETS, SEGMENTS.astype(np.float32), SEGMENTS)
    assert TASK.show(shown, 1, FEATURES) == "other noun\nb a"
    assert TASK.show(shown, 2, FEATURES) == "(padding)"


def test_the_baseline_is_the_frequencies_of_the_labels() -> None:
    def split(*rows: list[int], kept: int) -> ExampleSplit:
        offsets = np.cumsum([0, *map(len, rows)])
        tags = EncodedTags(np.concatenate(rows).astype(np.int32), offsets)
        return ExampleSplit({"targets": tags}, np.arange(kept))

    known = split([1, 1, 0], [1], [2, 2, 2, 2, 2], kept=2)
    found = TASK.baseline(trial(FEATURES, known, split([1, 0, 2], [1], [0], kept=2)))
    shares = np.array([2, 4, 1]) / 7  # each once more than it occurs in the rows that are used
    expected = -np.log(shares[[1, 0, 2, 1]]).mean()
    assert found["model"] == "majority label" and found["accuracy"] == 0.5
    np.testing.assert_allclose(found["loss"], expected, **TOLERANCE["rounding"])


LINES = ["a", "b a b b a", "b c", "a b b b b a a b b"]


def answerer(run: Run, batch_size: int) -> Answerer:
    assert run.features is not None
    return run.task.answerer(run.model, run.params, run.features, run.config, None, batch_size)


@pytest.mark.parametrize("kind", MODELS)
def test_neighbours_and_padding_change_no_label(kind: str) -> None:
    run = make_tagging_run(MODELS[kind], ["a", "b"], NAMES)
    five, one = answerer(run, 5), answerer(run, 1)
    together = five(LINES, [five.read(line) for line in LINES])
    assert len({tuple(answer["labels"]) for answer in together}) == 4
    for line, expected in zip(LINES, together, strict=True):
        (found,) = one([line], [one.read(line)])
        words = line.split()
        assert found["text"] == line and found["labels"] == expected["labels"]
        assert len(found["labels"]) == len(found["probabilities"]) == len(words)
        assert set(found["labels"]) <= set(NAMES)
        assert all(1 / 3 <= p <= 1 for p in found["probabilities"])
        np.testing.assert_allclose(
            found["probabilities"], expected["probabilities"], **TOLERANCE["decoding"]
        )
        assert found.get("num_unknown", 0) == words.count("c")


def test_the_probability_is_that_of_the_most_probable_label() -> None:
    run = make_tagging_run(MODELS["lstm"], ["a", "b"], NAMES)
    made = answerer(run, 2)
    tokens = made.read("b a b")
    features, _ = run.model.apply({"params": run.params}, jnp.asarray(tokens)[None], train=False)
    logits = run.model.apply({"params": run.params}, features, method="readout")
    shares = np.asarray(jax.nn.softmax(logits[0], axis=-1))
    (found,) = made(["b a b"], [tokens])
    assert found["labels"] == [NAMES[i] for i in shares.argmax(-1)]
    np.testing.assert_allclose(found["probabilities"], shares.max(-1), **TOLERANCE["decoding"])


def test_labels_are_learnt_from_a_table(tmp_path: Path) -> None:
    """From columns to an evaluation next to the baseline, and to answers, by the saved run."""
    names, rng = {"a": "noun", "b": "verb", "c": "other"}, np.random.default_rng(0)
    rows = [rng.choice(list(names), rng.integers(1, 9)).tolist() for _ in range(200)]
    lines = [f"{' '.join(row)}\t{' '.join(names[word] for word in row)}\n" for row in rows]
    path = tmp_path / "words.tsv"
    path.write_text("".join(["text\ttags\n", *lines]), encoding="utf-8")
    inputs = TokensConfig(tokenizer=TokenizerKind.WORD, max_length=8)
    paths: Any = {"path": str(path), "cache_dir": str(tmp_path / "cache")}
    data = ExamplesDataConfig(
        "table", 16, **paths, inputs=inputs, targets=TagsConfig(), max_shapes=1
    )
    config = ExperimentConfig(MODELS["lstm"], data, TaggingConfig())
    config.training.num_steps = config.training.evaluate_every = 40
    config.training.checkpoint_every, config.training.mesh_data = 40, 1
    config.optimizer.peak_lr, config.optimizer.warmup_steps = 0.1, 0
    validate(config)
    assert train(config, tmp_path / "run") == 0
    run = load_run(tmp_path / "run")
    found = evaluate_run(run, load(run.config, run.features), "test")
    majority, by_word = found["baseline"]["beside"]
    assert found["accuracy"] == by_word["accuracy"] == 1.0 > majority["accuracy"]
    assert 0 < found["loss"] < majority["loss"]
    made = answerer(run, 1)
    (answer,) = made(["c a b"], [made.read("c a b")])
    assert answer["labels"] == ["other", "noun", "verb"]
    with pytest.raises(UserError, match="has 9 tokens"):
        made.read("a " * 9)
