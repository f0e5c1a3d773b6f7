"""The text of a sound or of a line of writing, frame by frame."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.transcription import TranscriptSearch, make_transcript_search
from seqmodels.data.example_data import ExampleData
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.feature import PADDING
from seqmodels.data.features.tokens import EncodedTokens, Tokens
from seqmodels.data.ragged import power_of_two
from seqmodels.decoding import ctc
from seqmodels.decoding.ngram_prior import NgramPrior
from seqmodels.files import read_filled_lines
from seqmodels.ops.ctc import ctc_loss
from seqmodels.ops.ngram import count_tables
from seqmodels.protocols import Answerer, Features, Model, Part, Trial
from seqmodels.tasks.error_rates import error_rates
from seqmodels.tasks.tagging import label_steps
from seqmodels.tasks.task import Task, figures_table, own_params
from seqmodels.tasks.translation import target_tokens, written
from seqmodels.types import Batch, Carry, ClassOutput, DataSpec, Metrics, Params

_MOST_NAMED = 5


class Transcription(Task):
    """The loss is in nats per transcript.

        loss = sum_b w_b ctc_b / sum_b w_b

    A model gives each frame a class: a symbol of the targets, or the blank, which is the last one.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss",)

    def make_spec(self, features: Features) -> DataSpec:
        """A symbol or the blank at each frame."""
        size = target_tokens(features).input.vocab_size + 1
        return DataSpec(features["inputs"].input, ClassOutput(size, per_step=True))

    def check_rows(
        self, split: ExampleSplit, features: Features, locate: Callable[[int], str]
    ) -> None:
        """Refuses examples without an alignment: with fewer frames than symbols.

        Equal neighbours count one more, since a blank must separate them.
        """
        column, lengths = split.columns["targets"], split.lengths("inputs")
        assert isinstance(column, EncodedTokens)
        texts = column.texts(split.kept)
        needed = np.array([len(text) + (text[1:] == text[:-1]).sum() for text in texts])
        if lengths is None:
            lengths = np.full(len(needed), features["inputs"].num_steps)
        short = np.flatnonzero(needed > lengths)
        if not len(short):
            return
        named = [
            f"{locate(int(split.kept[i]))} (needs {needed[i]}, has {lengths[i]})"
            for i in short[:_MOST_NAMED]
        ]
        more = f" and {len(short) - _MOST_NAMED} more" if len(short) > _MOST_NAMED else ""
        raise UserError(f"transcripts longer than their frames allow: {', '.join(named)}{more}")

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """Inputs with segment_ids, and targets with a length of their own."""
        del features
        inputs, targets = parts["inputs"], parts["targets"]
        segments = targets.segment_ids
        assert segments is not None
        return Batch(
            inputs.values,
            targets.values,
            segments.astype(np.float32),
            inputs.segment_ids,
            target_segment_ids=segments,
        )

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
        """Runs the model over whole examples; see `Task.forward`."""
        logits, carry = label_steps(
            model, params, batch.inputs, batch.segment_ids, carry, train=train, key=key
        )
        valid = jnp.ones(logits.shape[:2], bool)
        if batch.segment_ids is not None:
            valid = batch.segment_ids > 0
        given = batch.loss_weights > 0
        rows = given.any(axis=1)
        nats = ctc_loss(logits, valid, batch.targets, given)
        loss, weight = jnp.where(rows, nats, 0.0).sum(), rows.sum().astype(jnp.float32)
        return loss, weight, {"loss": (loss, weight)}, carry

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """Figures of the most frequent transcript of the training split, the first of them."""
        data = trial.data
        assert isinstance(data, ExampleData)
        ((text, _),) = collections.Counter(written(data, "targets", "train")).most_common(1)
        wanted = written(data, "targets", trial.split)
        return {
            "model": "most frequent transcript",
            "text": text,
            **error_rates([text] * len(wanted), wanted),
        }

    def evaluate_more(self, trial: Trial) -> dict[str, Any]:
        """Transcribes the split; returns what `error_rates` does, and the search's settings."""
        data = trial.data
        assert isinstance(data, ExampleData)
        search = make_transcript_search(trial.config)
        found = transcribe_split(trial, search)
        rates = error_rates(found, written(data, "targets", trial.split))
        settings: dict[str, Any] = {"beam_size": search.beam.size}
        if search.language_model is not None:
            settings |= {
                "language_model": str(search.language_model),
                "language_model_order": search.order,
                "language_model_weight": search.weight,
                "length_bonus": search.bonus,
            }
        return {**rates, **settings}

    def tables(self, result: dict[str, Any], unit: str) -> list[Any]:
        """The loss and the error rates in one table."""
        metrics = tuple(dataclasses.replace(m, further=False) for m in self.config.metrics)
        return [figures_table(result, metrics, unit)]

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The best transcripts of each input."""
        del config
        return Transcriber(model, params, features, settings, batch_size)


class Transcriber:
    """{"text" or "file", "transcripts": [{"text", "log_probability"}, ..], best first} of an input.

    With a language model the transcripts have a "score" too, by which they are ranked.

    Args:
      search: the beam and its language model.
      batch_size: inputs at once.

    Raises:
      UserError: the file of the language model cannot be read, or has no text.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        features: Features,
        search: TranscriptSearch,
        batch_size: int,
    ) -> None:
        self._params, self._features, self._beam = params, features, search.beam
        self.batch_size, self._target = batch_size, target_tokens(features)
        self._prior = read_prior(search, self._target)

        def classify(params: Params, inputs: jax.Array, segment_ids: Any) -> jax.Array:
            logits, _ = label_steps(model, params, inputs, segment_ids, train=False)
            return jax.nn.log_softmax(logits, axis=-1)

        self._classify = jax.jit(classify)

    def read(self, given: str) -> Any:
        """Encodes a line or a file for the model."""
        return self._features["inputs"].read(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Transcribes."""
        inputs = self._features["inputs"]
        key = inputs.key if inputs.given == "file" else "input"
        answers = self.transcribe(inputs.batch(encoded, self.batch_size))
        return [
            {
                key: name,
                "transcripts": [
                    {
                        "text": self.text(best),
                        "log_probability": best.log_probability,
                        **({} if self._prior is None else {"score": best.score}),
                    }
                    for best in found
                ],
                **inputs.facts(one),
            }
            for name, one, found in zip(given, encoded, answers, strict=False)
        ]

    def transcribe(self, part: Part) -> list[list[ctc.Transcript]]:
        """The best transcripts of each row, best first."""
        segments = None if part.segment_ids is None else jnp.asarray(part.segment_ids)
        found = np.asarray(self._classify(self._params, jnp.asarray(part.values), segments))
        answers = []
        for row, frames in enumerate(found):
            frames = frames if part.segment_ids is None else frames[part.segment_ids[row] > 0]
            if self._beam.size == 1:
                answers.append([ctc.greedy(frames)])
            else:
                best = ctc.search(frames, self._beam.size, self._prior)
                answers.append(best[: self._beam.num_best])
        return answers

    def text(self, transcript: ctc.Transcript) -> str:
        """The text of a transcript."""
        return self._target.decode(transcript.tokens)


def read_prior(search: TranscriptSearch, target: Tokens) -> ctc.Prior | None:
    """Counts the n-grams of the lines of a text; None without one.

    Raises:
      UserError: the file cannot be read, or has no text.
    """
    if search.language_model is None:
        return None
    texts = []
    for number, line in enumerate(read_filled_lines(search.language_model), 1):
        try:
            texts.append(target.encode(line))
        except UserError as error:
            raise UserError(f"{search.language_model}, line {number}: {error}") from None
    offsets = np.cumsum([0, *map(len, texts)])
    tables = count_tables(np.concatenate(texts), target.input.vocab_size, search.order, offsets)
    return NgramPrior(tables, search.order, search.weight, search.bonus)


def transcribe_split(trial: Trial, search: TranscriptSearch) -> list[str]:
    """The best transcript of each example of a split, in the order of the split."""
    # The main process by itself, with its own copy of the parameters.
    params, size = own_params(trial.params), trial.config.evaluation.batch_size
    transcriber = Transcriber(trial.model, params, trial.features, search, size)
    split = trial.data.splits[trial.split]
    column, lengths, count = split.columns["inputs"], split.lengths("inputs"), len(split.kept)
    places = np.arange(count) if lengths is None else np.argsort(lengths, kind="stable")
    found = [""] * count
    for first in range(0, count, size):
        at = places[first : first + size]
        rows = np.full(size, PADDING)
        rows[: len(at)] = split.kept[at]
        width = None if lengths is None else power_of_two(int(lengths[at].max()))
        best = transcriber.transcribe(column.part(rows, width))
        for place, transcripts in zip(at.tolist(), best, strict=False):
            found[place] = transcriber.text(transcripts[0])
    return found
