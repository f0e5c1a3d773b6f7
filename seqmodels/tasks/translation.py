"""A target sequence from a source sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.decoding import Beam, make_beam
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import normalise_text
from seqmodels.data.example_data import ExampleData
from seqmodels.data.features.image import Image
from seqmodels.data.features.tokens import BOS, EOS, EncodedTokens, Tokens
from seqmodels.data.ragged import power_of_two
from seqmodels.decoding.beam import BeamSearch, check_beam
from seqmodels.decoding.prefill import position_limit
from seqmodels.protocols import Answerer, Example, Feature, Features, Given, Model, Part, Trial
from seqmodels.tasks.captions import MOST_DRAWN, draw_captions
from seqmodels.tasks.looking import pair_example
from seqmodels.tasks.scores import RATES, score_tokens, summarize_tokens, total_loss
from seqmodels.tasks.task import Task, figures_table, own_params
from seqmodels.tasks.text_metrics import (
    make_bleu,
    score_by_length,
    score_texts,
    score_word_classes,
    warn_of_missing_spaces,
)
from seqmodels.tasks.translation_results import (
    answer_alike,
    answer_of_texts,
    score_baselines,
    translation_tables,
)
from seqmodels.types import Batch, Carry, DataSpec, Metrics, Params, VocabOutput

WHOLE = "sequence_accuracy"
"""Share of the targets of which every token is right under teacher forcing: each is guessed after
the true ones, so that this is not the share of right translations."""


class Translation(Task):
    """Every position of the target predicts the next, after the true ones (teacher forcing).

        loss = - sum_bt w_bt log p(target_bt | source_b, target_b<t) / sum_bt w_bt

    The loss is in nats per target token, <eos> among them. The source may be any feature that a
    model reads.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy", WHOLE)
    rate_unit: ClassVar[str] = "token"

    def affixes(self, role: str) -> tuple[str, ...]:
        """<bos>, which the inputs begin with, and <eos>, which the targets end with."""
        return (BOS, EOS) if role == "targets" else ()

    def make_spec(self, features: Features) -> DataSpec:
        """The target's vocabulary in and out; the source is what an encoder reads."""
        target = target_tokens(features)
        outputs = VocabOutput(target.input.vocab_size, target.tokenizer.unknown_id)
        return DataSpec(target.input, outputs, source=features["source"].input)

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """Inputs are <bos> and the target, targets are the target and <eos>."""
        source, target = parts["source"], parts["targets"]
        segments, begin = target.segment_ids, target_tokens(features).id_of(BOS)
        assert segments is not None
        inputs = np.roll(target.values, 1, axis=1)
        inputs[:, 0] = begin
        return Batch(
            np.where(segments > 0, inputs, 0).astype(np.int32),
            target.values,
            segments.astype(np.float32),
            segments,
            source=source.values,
            source_segment_ids=source.segment_ids,
        )

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """Source -> target."""
        if not batch.loss_weights[row].any():
            return "(padding)"
        ends = None if batch.source_segment_ids is None else batch.source_segment_ids[row]
        source = features["source"].show(batch.source[row], ends)
        target = features["targets"].show(batch.targets[row], batch.segment_ids[row])
        return f"{source} -> {target}"

    def forward(
        self,
        model: Model,
        params: Params,
        batch: Batch,
        carry: Carry | None,
        *,
        train: bool,
        key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array, Metrics, Carry | None]:
        """Encodes the sources and runs the decoder over whole targets; see `Task.forward`."""
        variables = {"params": params}
        # Modules that both calls use must not draw the same numbers in them.
        keys = ({}, {}) if key is None else ({"dropout": k} for k in jax.random.split(key))
        encode_rngs, decode_rngs = keys
        memory = model.apply(
            variables,
            batch.source,
            segment_ids=batch.source_segment_ids,
            train=train,
            rngs=encode_rngs,
            method="encode",
        )
        features, carry = model.apply(
            variables,
            batch.inputs,
            carry,
            segment_ids=batch.segment_ids,
            memory=memory,
            train=train,
            rngs=decode_rngs,
        )
        logits = model.apply(variables, features, method="readout")
        weights = batch.loss_weights
        metrics = score_tokens(model, logits, batch.targets, weights, train=train)
        loss, weight = metrics["loss"]
        if train and self.config.label_smoothing:
            loss = total_loss(logits, batch.targets, weights, self.config.label_smoothing)
        right = (jnp.argmax(logits, axis=-1) == batch.targets) | (weights == 0)
        counts = (weights > 0).any(axis=1).astype(jnp.float32)
        metrics[WHOLE] = ((right.all(axis=1) * counts).sum(), counts.sum())
        return loss, weight, metrics, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures.

        Returns:
          what `summarize_tokens` does (a target is a token), the share of targets without a wrong
          token, and num_sequences.
        """
        del num_bytes
        right, sequences = sums[WHOLE]
        return {
            **summarize_tokens(sums),
            WHOLE: right / sequences,
            "num_sequences": int(sequences),
        }

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """Figures of the unigram of the training split's target tokens.

        Every token counts one more than it occurs, so that none is impossible.
        """
        target = target_tokens(trial.features)
        trained, found = (
            count_targets(trial.data.splits[name], target) for name in ("train", trial.split)
        )
        counts = trained + 1
        nats, known, total = found * -np.log(counts / counts.sum()), found.copy(), found.sum()
        if target.tokenizer.unknown_id is not None:
            known[target.tokenizer.unknown_id] = 0
        sums = {
            "loss": (nats.sum(), total),
            "accuracy": (found[counts.argmax()], total),
            "known_loss": (nats[known > 0].sum(), known.sum()),
        }
        figures = summarize_tokens(sums)
        rates = {name: float(figures[name]) for name in RATES if name in figures}
        return {"model": "unigram", **rates}

    def evaluate_more(self, trial: Trial) -> dict[str, Any]:
        """Translates the split and compares with its targets, in the form of the data.

        Returns:
          What `score_texts` does, beam_size, length_penalty, coverage_penalty; where sources are
          texts, by_source_length (tokens; see `score_by_length`); where there is a training split,
          translation_baselines; where the data set has classes of words, by_word_class; where
          sources are images, captions: true and predicted of the first rows.
        """
        data, evaluation = trial.data, trial.config.evaluation
        assert isinstance(data, ExampleData)
        make_bleu(evaluation)  # raises before the work of translating
        beam = make_beam(evaluation, target_tokens(trial.features).config.max_length)
        targets = written(data, "targets", trial.split)
        warn_of_missing_spaces(targets, evaluation)
        found = translate_split(trial, beam)
        result = {
            **score_texts(found, targets, evaluation),
            "beam_size": beam.size,
            "length_penalty": beam.length_penalty,
            "coverage_penalty": beam.coverage_penalty,
        }
        source = trial.features["source"]
        if isinstance(source, Tokens):
            lengths = data.splits[trial.split].lengths("source")
            assert lengths is not None
            result["by_source_length"] = score_by_length(found, targets, lengths, evaluation)
        if "train" in data.splits:
            result["translation_baselines"] = _score_baselines(trial, targets)
        if classes := data.dataset.word_classes(trial.features["targets"].config.column):
            result["by_word_class"] = score_word_classes(found, targets, classes)
        if isinstance(source, Image):
            both = zip(targets[:MOST_DRAWN], found[:MOST_DRAWN], strict=True)
            result["captions"] = [{"true": true, "predicted": said} for true, said in both]
        return result

    def pictures(self, trial: Trial) -> dict[str, Any]:
        """The first images of the split with their captions, where sources are images."""
        source = trial.features["source"]
        if not isinstance(source, Image) or "captions" not in trial.figures:
            return {}
        split, captions = trial.data.splits[trial.split], trial.figures["captions"]
        values = split.columns["source"].part(split.kept[: len(captions)], None).values
        return {"captions": draw_captions([source.pixels(x) for x in values], captions)}

    def tables(self, result: dict[str, Any], unit: str) -> list[Any]:
        """Likelihoods, and translations next to their baselines."""
        tables = [figures_table(result, self.config.metrics, unit)]
        return tables + (translation_tables(result) if "bleu" in result else [])

    def example(
        self, model: Model, params: Params, features: Features, config: Any, given: Given
    ) -> Example:
        """A source with the given target, or with the model's own."""
        beam = make_beam(config.evaluation, target_tokens(features).config.max_length)
        answerer = self.answerer(model, params, features, config, beam, 1)
        return pair_example(features, answerer, given, self.make_batch)

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The best translations of each source."""
        del config
        return Translator(model, params, features, settings, batch_size)


def target_tokens(features: Features) -> Tokens:
    """The feature of the targets."""
    target = features["targets"]
    assert isinstance(target, Tokens)
    return target


def _score_baselines(trial: Trial, targets: list[str]) -> list[dict[str, Any]]:
    """Scores of the baselines on a split with these targets."""
    data: Any = trial.data
    seen = "train"
    trained = written(data, "targets", seen)
    if isinstance(trial.features["source"], Tokens):
        sources = written(data, "source", trial.split)
        answers = answer_of_texts((written(data, "source", seen), trained), sources)
    else:
        answers = answer_alike(trained, len(targets))
    return score_baselines(answers, targets, trial.config.evaluation)


def count_targets(split: Any, target: Tokens) -> np.ndarray:
    """How often each token is a target, [V]; <eos> once per example."""
    column = split.columns["targets"]
    assert isinstance(column, EncodedTokens)
    tokens, _ = column.joined(split.kept)
    counts = np.bincount(tokens, minlength=target.input.vocab_size)
    counts[target.id_of(EOS)] += len(split.kept)
    return counts


def written(data: ExampleData, role: str, split: str) -> list[str]:
    """The texts of a role, in their form, of the examples that are used."""
    tokens = data.features[role]
    assert isinstance(tokens, Tokens)
    return [normalise_text(text, tokens.config.form) for text in data.raw(role, split)]


@dataclasses.dataclass(frozen=True)
class Translated:
    """One text that a source became.

    Attributes:
      text: the target.
      score: its rank follows from it; see `Beam`.
      log_probability: of the target and its end, in nats.
    """

    text: str
    score: float
    log_probability: float


class Translator:
    """{"source", "translations": [{"text", "score", "log_probability"}, ..], best first}.

    Every call has `batch_size` rows, and sources are padded to a power of two: few programs are
    compiled, and kept. No result depends on the others, but for the rounding of other widths.

    Args:
      beam: how it searches.
      batch_size: sources at once.

    Raises:
      UserError: the model cannot be searched so.
    """

    def __init__(
        self, model: Model, params: Params, features: Features, beam: Beam, batch_size: int
    ) -> None:
        check_beam(model, beam, 1)
        self._params, self._beam, self.batch_size = params, beam, batch_size
        self._source: Feature = features["source"]
        self._target = target_tokens(features)
        self._search, self._limit = BeamSearch(model), position_limit(model)

    def read(self, given: str) -> Any:
        """A source as the model reads it; unknown symbols become <unk> where there is one.

        Raises:
          UserError: it is empty, has unknown symbols or is longer than the model's positions.
        """
        if not isinstance(self._source, Tokens):
            return self._source.read(given)
        tokens = self._source.encode(given)
        if self._limit is not None and len(tokens) > self._limit:
            raise UserError(f"has {len(tokens)} tokens; the model has max_length = {self._limit}")
        return tokens

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Translates."""
        return [
            {
                "source": source,
                "translations": [vars(one) for one in best],
                **self._source.facts(tokens),
            }
            for source, tokens, best in zip(given, encoded, self.translate(encoded), strict=True)
        ]

    def translate(self, sources: Sequence[Any]) -> list[list[Translated]]:
        """The best targets of each of up to `batch_size` encoded sources, best first."""
        if isinstance(self._source, Tokens):
            limit = 1 << 30 if self._limit is None else self._limit
            part = self._source.batch(sources, self.batch_size, limit)
        else:
            part = self._source.batch(sources, self.batch_size)
        return self.translate_rows(part)[: len(sources)]

    def translate_rows(self, part: Part) -> list[list[Translated]]:
        """The same for `batch_size` rows of sources, as a batch has them."""
        target = self._target
        found = self._search(
            self._params,
            [np.array([target.id_of(BOS)], np.int32)] * self.batch_size,
            end=target.id_of(EOS),
            beam=self._beam,
            source=(part.values, part.segment_ids),
            never=target.id_of(BOS),
        )
        return [
            [Translated(target.decode(h.tokens), h.score, h.log_probability) for h in hypotheses]
            for hypotheses in found
        ]


def translate_split(trial: Trial, beam: Beam) -> list[str]:
    """The best translation of each source of a split, in the order of the split."""
    # The main process by itself, with its own copy of the parameters.
    params, size = own_params(trial.params), trial.config.evaluation.batch_size
    translator = Translator(trial.model, params, trial.features, beam, size)
    split = trial.data.splits[trial.split]
    column, lengths = split.columns["source"], split.lengths("source")
    found = [""] * len(split.kept)
    # Sources of similar length together: little padding, and few programs.
    order = np.arange(len(found)) if lengths is None else np.argsort(lengths, kind="stable")
    for first in range(0, len(order), translator.batch_size):
        chosen = order[first : first + translator.batch_size]
        rows = split.kept[chosen]
        if isinstance(column, EncodedTokens):
            best = translator.translate(column.texts(rows))
        else:
            best = translator.translate_rows(_read_rows(column, rows, size))[: len(rows)]
        for i, hypotheses in zip(chosen, best, strict=True):
            found[i] = hypotheses[0].text
    return found


def _read_rows(column: Any, rows: np.ndarray, size: int) -> Part:
    """`size` rows of a column, the last of `rows` again where these are fewer."""
    lengths, width = column.lengths, None
    if lengths is not None:
        width = power_of_two(int(lengths[rows].max()), int(lengths.max()))
    return column.part(np.append(rows, [rows[-1]] * (size - len(rows))).astype(int), width)
