"""Translations of a run over pairs: neighbours do not enter, and their probabilities are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig, Seq2SeqConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.evaluation.run import Run
from seqmodels.evaluation.translate import Translator
from tests.evaluation.runs import make_pair_run, make_run
from tests.tolerances import TOLERANCE

SOURCES = ["ab", "cabbacbabcaba", "b", "cca"]
BEAM = Beam(3, 2, length_penalty=0.6, max_tokens=9)
MODELS: dict[str, ModelConfig] = {
    "seq2seq": Seq2SeqConfig(model_dim=6, hidden_dim=8, attention_dim=5, bidirectional=True),
    "transformer": TransformerConfig(1, 1, 12, 3, 10, max_length=16, dropout_rate=0.0),
}


def make(kind: str) -> Run:
    return make_pair_run(MODELS[kind], "abc")


def translate(run: Run, sources: list[str], batch_size: int) -> list[Any]:
    translator = Translator(run, BEAM, batch_size)
    return translator([translator.encode(source) for source in sources])


@pytest.mark.parametrize("kind", MODELS)
def test_neighbours_and_padding_change_no_translation(kind: str) -> None:
    run = make(kind)
    together = translate(run, SOURCES, 4)
    for source, expected in zip(SOURCES, together, strict=True):
        (found,) = translate(run, [source], 1)
        assert [t.text for t in found] == [t.text for t in expected]
        scores = [[t.score for t in side] for side in (found, expected)]
        np.testing.assert_allclose(*scores, **TOLERANCE["decoding"])


@pytest.mark.parametrize("kind", MODELS)
def test_the_log_probability_is_that_of_the_translation_and_its_end(kind: str) -> None:
    run = make(kind)
    encoding, variables, model = run.encoding, {"params": run.params}, run.model
    for source, found in zip(SOURCES, translate(run, SOURCES, 4), strict=True):
        tokens = encoding.source.encode(source)[None]
        memory = model.apply(variables, tokens, train=False, method="encode")
        for one in found:
            target = [*encoding.target.encode(one.text), encoding.eos_id]
            inputs = np.array([[encoding.bos_id, *target[:-1]]], np.int32)
            features, _ = model.apply(variables, inputs, memory=memory, train=False)
            logits = np.asarray(model.apply(variables, features, method="readout"))[0]
            logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            total = sum(float(log[token]) for log, token in zip(logs, target, strict=True))
            np.testing.assert_allclose(one.log_probability, total, **TOLERANCE["decoding"])


def test_what_cannot_be_translated_is_told() -> None:
    run = make("transformer")
    translator = Translator(run, BEAM, 2)
    for text, told in [
        ("", "is empty; a source needs at least one token"),
        ("a" * 17, "has 17 tokens; the model has max_length = 16"),
        ("az", "the text has a symbol outside the vocabulary: 'z'"),
    ]:
        with pytest.raises(UserError, match=told):
            translator.encode(text)
    text_run = make_run(RecurrentConfig(num_layers=1, model_dim=6, hidden_dim=7), "abc")
    with pytest.raises(UserError, match="its data are no pairs, nothing to translate"):
        Translator(text_run, BEAM, 2)
