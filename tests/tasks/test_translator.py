"""Translations of a run over pairs: neighbours do not enter, and their probabilities are right."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.decoding import Beam, make_beam
from seqmodels.config.errors import UserError
from seqmodels.config.features import TextForm
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import Seq2SeqConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.example_data import ExampleData
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.tokens import BOS, EOS, EncodedTokens, Tokens
from seqmodels.data.token_store import TokenSplit
from seqmodels.evaluation.evaluate import make_trial
from seqmodels.runs.run import Run
from seqmodels.tasks.translation import Translator, translate_split
from tests.evaluation.runs import make_pair_run
from tests.tolerances import TOLERANCE

SOURCES = ["ab", "cabbacbabcaba", "b", "cca"]
BEAM = Beam(3, 2, length_penalty=0.6, max_tokens=9)
MODELS: dict[str, ModelConfig] = {
    "seq2seq": Seq2SeqConfig(model_dim=6, hidden_dim=8, attention_dim=5, bidirectional=True),
    "transformer": TransformerConfig(1, 1, 12, 3, 10, max_length=16, dropout_rate=0.0),
}


def make(kind: str) -> Run:
    return make_pair_run(MODELS[kind], "abc")


def make_translator(run: Run, beam: Beam, batch_size: int) -> Translator:
    assert run.features is not None
    return Translator(run.model, run.params, run.features, beam, batch_size)


def side(run: Run, role: str) -> Tokens:
    assert run.features is not None
    tokens = run.features[role]
    assert isinstance(tokens, Tokens)
    return tokens


def translate(run: Run, sources: list[str], batch_size: int) -> list[Any]:
    translator = make_translator(run, BEAM, batch_size)
    return translator.translate([translator.read(source) for source in sources])


def test_neighbours_and_padding_change_no_translation() -> None:
    run = make("transformer")
    together, alone = translate(run, SOURCES, 4), make_translator(run, BEAM, 1)
    for source, expected in zip(SOURCES, together, strict=True):
        (found,) = alone.translate([alone.read(source)])
        assert [t.text for t in found] == [t.text for t in expected]
        scores = [[t.score for t in side] for side in (found, expected)]
        np.testing.assert_allclose(*scores, **TOLERANCE["decoding"])


def test_the_log_probability_is_that_of_the_translation_and_its_end() -> None:
    run = make("seq2seq")
    variables, model, target_side = {"params": run.params}, run.model, side(run, "targets")
    sources, width = SOURCES[1:3], 32

    @jax.jit
    def read(variables: Any, tokens: jax.Array, inputs: jax.Array) -> jax.Array:
        memory = model.apply(variables, tokens, train=False, method="encode")
        features, _ = model.apply(variables, inputs, memory=memory, train=False)
        return model.apply(variables, features, method="readout")

    for source, found in zip(sources, translate(run, sources, 2), strict=True):
        tokens = jnp.asarray(side(run, "source").encode(source))[None]
        for one in found:
            target = [*target_side.tokenizer.encode(one.text), target_side.id_of(EOS)]
            inputs = np.zeros((1, width), np.int32)  # what comes later changes nothing before it
            inputs[0, : len(target)] = [target_side.id_of(BOS), *target[:-1]]
            logits = np.asarray(read(variables, tokens, inputs))[0, : len(target)]
            logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            total = sum(float(log[token]) for log, token in zip(logs, target, strict=True))
            np.testing.assert_allclose(one.log_probability, total, **TOLERANCE["decoding"])


def test_a_source_is_normalised_to_the_form_of_the_data() -> None:
    run = make_pair_run(MODELS["transformer"], " abc", form=TextForm.LOWER_WORDS)
    tokens = make_translator(run, BEAM, 2).read("A  cab")
    assert side(run, "source").decode(tokens) == "a cab"


def test_an_untranslatable_source_is_refused() -> None:
    run = make("transformer")
    translator = make_translator(run, BEAM, 2)
    for text, line in [
        ("", "is empty; at least one token is needed"),
        ("a" * 17, "has 17 tokens; the model has max_length = 16"),
        ("az", "the text has a symbol outside the vocabulary: 'z'"),
    ]:
        with pytest.raises(UserError, match=line):
            translator.read(text)


class Written(BuiltInDataset):
    """Pairs as a data set gives them."""

    description = "written down"

    def __init__(self, sources: list[str], targets: list[str]) -> None:
        self.both = {"source": sources, "target": targets}

    def fingerprint(self) -> str:
        return "print"

    def splits(self) -> Splits:
        return {"train": {"source": ["ab ca"], "target": ["ba ac"]}, "test": self.both}


def make_data(run: Run, written: Written) -> ExampleData:
    def encoded(role: str, column: str) -> EncodedTokens:
        parts = [side(run, "source").encode(text) for text in written.both[column]]
        split = TokenSplit(np.concatenate(parts), np.cumsum([0, *map(len, parts)]))
        return EncodedTokens(split, side(run, role))

    columns = {"source": encoded("source", "source"), "targets": encoded("targets", "target")}
    splits = {
        "test": ExampleSplit(columns, np.arange(len(written.both["source"]))),
        "train": ExampleSplit(columns, np.arange(1)),
    }
    assert run.features is not None
    return ExampleData(
        run.spec,
        run.features,
        "print",
        splits,
        "nowhere",
        [],
        written,
        run.task,
        2,
        written.splits,
    )


def test_a_split_is_translated_whole_and_in_order() -> None:
    """However batches are cut, the last of them not full; and every pair counts once."""
    run = make_pair_run(MODELS["seq2seq"], "abc", max_length=7)
    run = dataclasses.replace(run, params=jax.tree.map(lambda x: 2 * x, run.params))
    sources = ["cabca", "a", "bc", "ccbabca", "b"]
    beam = make_beam(run.config.evaluation, 7)
    translator = make_translator(run, beam, 1)
    alone = [translator.translate([translator.read(s)])[0][0].text for s in sources]
    assert len(set(alone)) > 2, "sources that the model does not tell apart show no order"
    targets = [alone[0], "cc", alone[2], alone[3], "cc"]
    data = make_data(run, Written(sources, targets))
    evaluation = dataclasses.replace(run.config.evaluation, batch_size=2)
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, evaluation=evaluation))
    trial = make_trial(run.model, run.params, data, "test", run.config, run.task)
    assert translate_split(trial, beam) == alone
    found = run.task.evaluate_more(trial)
    assert found["exact_match"] == 3 / 5
    assert sum(row["num_pairs"] for row in found["by_source_length"]) == 5
    copied, by_word = found["translation_baselines"]
    assert copied["exact_match"] == sum(map(str.__eq__, sources, targets)) / 5
    # It was counted on the training split, whose words are others.
    assert by_word["model"].startswith("word by word")
    assert by_word["exact_match"] == copied["exact_match"]
