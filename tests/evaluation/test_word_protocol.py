"""Words as in the Penn Treebank papers: one stream, carried state, <eos> counted.

Source of the protocol: Mikolov et al., 2010; Zaremba et al., 2014, arXiv:1409.2329.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext, TrainingConfig
from seqmodels.data.text import TextData
from seqmodels.data.tokenizers import UnknownSymbols
from seqmodels.evaluation.evaluate import evaluate_run
from seqmodels.runs.generate import generate_text
from seqmodels.runs.run import Run, load_run
from seqmodels.training.loop import train
from tests.opening import load
from tests.tolerances import TOLERANCE

LINES = ("the cat saw a dog .", "", " a dog saw <unk> , and the cat ran .", "the end")
WORDS = {"<unk>", "<eos>", *" ".join(LINES).split()}
HELD = "the dog ran , and the bird saw a cat .\n\na cat ran .\n" * 30


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LSTM after two epochs over contiguous streams of words."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "train.txt").write_text("\n".join(LINES * 40) + "\n")
    (folder / "held.txt").write_text(HELD)
    config = ExperimentConfig(
        model=RecurrentConfig(num_layers=2, model_dim=6, hidden_dim=7, uniform_init=0.1),
        data=TextDataConfig(
            name="text_file",
            train_path=str(folder / "train.txt"),
            validation_path=str(folder / "held.txt"),
            tokenizer=TokenizerKind.WORD,
            cache_dir=str(folder / "cache"),
            batching=Batching.STREAMS,
            batch_size=4,
            sequence_length=10,
        ),
        task=LanguageModelConfig(),
        training=TrainingConfig(num_steps=44, evaluate_every=44, checkpoint_every=44, mesh_data=1),
        evaluation=EvaluationConfig(EvaluationContext.CARRY, 16, 1, baseline_order=2),
    )
    assert train(config, folder / "run") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(workdir: Path) -> Run:
    return load_run(workdir)


@pytest.fixture(scope="module")
def data(run: Run) -> TextData:
    return load(run.config, run.features)


def test_an_epoch_has_every_word_and_every_line_end_once(run: Run, data: TextData) -> None:
    words = [word for line in LINES * 40 for word in (*line.split(), "<eos>")]
    tokens = data.splits["train"].tokens
    assert [data.tokenizer.words[token] for token in tokens] == words
    source = data.batches(run.config)
    batches = [source.batch(step) for step in range(1, source.batches_per_epoch + 1)]
    counted = np.concatenate([b.targets[b.loss_weights > 0] for b in batches])
    assert len(counted) == len(tokens) - 1
    streams = np.concatenate([np.where(b.loss_weights > 0, b.targets, -1) for b in batches], axis=1)
    np.testing.assert_array_equal(streams[streams >= 0], tokens[1:])


def test_perplexity_is_a_word_with_the_state_carried_through(run: Run, data: TextData) -> None:
    tokens = data.splits["validation"].tokens
    assert len(tokens) == len(HELD.split()) + HELD.count("\n")
    carry = run.model.apply({"params": run.params}, 1, 0, method="initial_carry")
    variables, nats = {"params": run.params}, []

    @jax.jit
    def read_word(token: jax.Array, carry: Any) -> tuple[jax.Array, Any]:
        """The log-probabilities of what may follow, [V], and the carry."""
        features, carry = run.model.apply(variables, token[None, None], carry, train=False)
        logits = run.model.apply(variables, features, method="readout")
        return jax.nn.log_softmax(logits[0, 0]), carry

    for token, target in itertools.pairwise(tokens):
        following, carry = read_word(jnp.int32(token), carry)
        nats.append(-float(following[target]))
    result = evaluate_run(run, data, "validation")
    np.testing.assert_allclose(result["loss"], np.mean(nats), **TOLERANCE["chunking"])
    np.testing.assert_allclose(result["perplexity"], np.exp(np.mean(nats)), **TOLERANCE["chunking"])
    assert result["num_targets"] == len(tokens) - 1 and result["context"] == "carry"
    known = [x for x, token in zip(nats, tokens[1:], strict=True) if token != 0]  # <unk>
    without = {"perplexity_without_unknown": np.exp(np.mean(known))}
    assert result["num_unknown"] == len(nats) - len(known) == 30
    found = {name: result[name] for name in without}
    np.testing.assert_allclose([*found.values()], [*without.values()], **TOLERANCE["chunking"])
    baseline = result["baseline"]
    assert baseline["perplexity_without_unknown"] != baseline["perplexity"] > 1
    (table,) = run.task.tables({"split": "validation", "step": 1, **result}, run.unit)
    assert "perplexity without unknown" in [column.header for column in table.columns]
    assert "bits_per_byte" not in result and "bits_per_byte" not in result["baseline"]
    assert run.unit == "word"
    assert result["perplexity"] < len(WORDS) and result["baseline"]["order"] == 2


def test_words_are_generated_and_unknown_ones_of_a_prompt_are_named(run: Run) -> None:
    pieces: dict[int, str] = {}

    def keep(row: int, text: str) -> None:
        pieces[row] = pieces.get(row, "") + text

    result = generate_text(run, ["the cat", "", "the\n"], max_tokens=40, seed=1, on_text=keep)
    assert set(" ".join(pieces.values()).split()) <= WORDS
    assert pieces[0][0] in " \n" and pieces[1][0] != " " and pieces[2][0] != " "
    assert "\n" in "".join(pieces.values()) and "  " not in "".join(pieces.values())
    assert [len(run_of) for run_of in result.tokens] == [40] * 3
    with pytest.raises(UnknownSymbols, match="has a word outside the vocabulary: 'bird' at charac"):
        generate_text(run, ["the bird"], max_tokens=2)
