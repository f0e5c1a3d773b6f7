"""Translations of a run over pairs: neighbours do not enter, and their probabilities are right."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from seqmodels.data.datasets.pair_source import Pairs
from seqmodels.data.pairs import PairData, PairSplit
from seqmodels.evaluation.beam_settings import make_beam
from seqmodels.evaluation.translate import Translator, evaluate_translations, translate_split

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.features import TextForm
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig, Seq2SeqConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.data.store import TokenSplit
from seqmodels.runs.run import Run
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


def test_neighbours_and_padding_change_no_translation() -> None:
    run = make("transformer")
    together, alone = translate(run, SOURCES, 4), Translator(run, BEAM, 1)
    for source, expected in zip(SOURCES, together, strict=True):
        (found,) = alone([alone.encode(source)])
        assert [t.text for t in found] == [t.text for t in expected]
        scores = [[t.score for t in side] for side in (found, expected)]
        np.testing.assert_allclose(*scores, **TOLERANCE["decoding"])


def test_the_log_probability_is_that_of_the_translation_and_its_end() -> None:
    run = make("seq2seq")
    encoding, variables, model = run.encoding, {"params": run.params}, run.model
    sources = SOURCES[1:3]
    for source, found in zip(sources, translate(run, sources, 2), strict=True):
        tokens = jnp.asarray(encoding.source.encode(source))[None]
        memory = model.apply(variables, tokens, train=False, method="encode")
        for one in found:
            target = [*encoding.target.encode(one.text), encoding.eos_id]
            inputs = jnp.array([[encoding.bos_id, *target[:-1]]], jnp.int32)
            features, _ = model.apply(variables, inputs, memory=memory, train=False)
            logits = np.asarray(model.apply(variables, features, method="readout"))[0]
            logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            total = sum(float(log[token]) for log, token in zip(logs, target, strict=True))
            np.testing.assert_allclose(one.log_probability, total, **TOLERANCE["decoding"])


def test_a_source_is_brought_into_the_form_of_the_data() -> None:
    run = make_pair_run(MODELS["transformer"], " abc", form=TextForm.LOWER_WORDS)
    tokens = Translator(run, BEAM, 2).encode("A  cab")
    assert run.encoding.source.decode(tokens) == "a cab"


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


@dataclasses.dataclass
class Written:
    """Pairs as a data set gives them."""

    both: tuple[list[str], list[str]]
    description = "written down"

    def fingerprint(self) -> str:
        return "print"

    def pairs(self) -> Pairs:
        return {"train": (["ab ca"], ["ba ac"]), "test": self.both}

    def name(self, split: str, index: int) -> str:
        return f"{split} pair {index}"


def make_data(run: Run, source: Written) -> PairData:
    def tokens(texts: list[str]) -> TokenSplit:
        parts = [run.encoding.source.encode(text) for text in texts]
        return TokenSplit(np.concatenate(parts), np.cumsum([0, *map(len, parts)]))

    both = source.both
    splits = {"test": PairSplit(tokens(both[0]), tokens(both[1]), np.arange(len(both[0])))}
    splits["train"] = dataclasses.replace(splits["test"], kept=np.arange(1))
    return PairData(run.spec, run.encoding, "print", splits, Path("nowhere"), [], source, 2)


def test_a_split_is_translated_whole_and_in_order() -> None:
    """However batches are cut, the last of them not full; and every pair counts once."""
    run = make_pair_run(MODELS["seq2seq"], "abc", max_target_length=7)
    run = dataclasses.replace(run, params=jax.tree.map(lambda x: 2 * x, run.params))
    sources = ["cabca", "a", "bc", "ccbabca", "b"]
    translator = Translator(run, make_beam(run.config), 1)
    alone = [translator([translator.encode(source)])[0][0].text for source in sources]
    assert len(set(alone)) > 2, "sources that the model does not tell apart show no order"
    targets = [alone[0], "cc", alone[2], alone[3], "cc"]
    data = make_data(run, Written((sources, targets)))
    evaluation = dataclasses.replace(run.config.evaluation, batch_size=2)
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, evaluation=evaluation))
    assert translate_split(run, data, "test") == alone
    found = evaluate_translations(run, data, "test")
    assert found["exact_match"] == 3 / 5
    assert sum(row["num_pairs"] for row in found["by_source_length"]) == 5
    copied, by_word = found["translation_baselines"]
    assert copied["exact_match"] == sum(map(str.__eq__, sources, targets)) / 5
    # It was counted on the training split, whose words are others.
    assert by_word["model"].startswith("word by word")
    assert by_word["exact_match"] == copied["exact_match"]
