"""One class for the whole of an image or a sequence: forward, loss and metrics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.datasets.image_source import ImageSplit
from seqmodels.data.labelled import LabelledSplit
from seqmodels.data.labels import Labels
from seqmodels.data.sources import BatchSource
from seqmodels.data.text_labels import TextLabels
from seqmodels.tasks.class_scores import count_outcomes, score_probabilities, summarize_outcomes
from seqmodels.tasks.language_model import score, total_loss
from seqmodels.tasks.naive_bayes import naive_bayes
from seqmodels.types import Batch, Carry, ClassOutput, DataSpec, Metrics, Params


class Classification:
    """The loss is in nats per example.

        loss = - sum_b w_b log p(class_b | example_b) / sum_b w_b

    Of a causal model's features [B, T, D] those at the last position that is no padding count; a
    model that looks both ways has pooled its own to [B, D].
    """

    metric_names = ("loss", "accuracy")
    unit = "example"

    def __init__(self, config: ClassificationConfig) -> None:
        self.label_smoothing = config.label_smoothing

    def make_spec(self, encoding: Labels | TextLabels) -> DataSpec:
        """What the model reads and puts out."""
        return DataSpec(encoding.inputs, ClassOutput(len(encoding.names), per_step=False))

    def make_source(self, source: BatchSource, encoding: Any, seed: int) -> BatchSource:
        """The batches to train on."""
        return source

    def show(self, batch: Batch, row: int, encoding: Labels | TextLabels) -> str:
        """The class, and the example: an image drawn with characters, or a text."""
        if not batch.loss_weights[row]:
            return "(padding)"
        return f"{encoding.names[batch.targets[row]]}\n{encoding.show(batch, row)}"

    def forward(
        self,
        model: Any,
        params: Params,
        batch: Batch,
        carry: Carry | None,
        *,
        train: bool,
        key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array, Metrics, Carry | None]:
        """Runs the model over whole examples.

        Args:
          batch: targets and loss_weights are [B].
          carry: None: there is none.
          key: of dropout; None where train is False.

        Returns:
          The summed loss that training descends, the number of examples, the metrics as
          (sum, weight) pairs (`loss` without label smoothing; where train is False those of
          `count_outcomes` too), and None.
        """
        rngs = None if key is None else {"dropout": key}
        inputs, segments = batch.inputs, batch.segment_ids
        logits, carry = classify_whole(
            model, params, inputs, segments, carry, train=train, rngs=rngs
        )
        metrics = score(logits, batch.targets, batch.loss_weights)
        loss, weight = metrics["loss"]
        if not train:
            metrics |= count_outcomes(logits, batch.targets, batch.loss_weights)
        if train and self.label_smoothing:
            smoothing = self.label_smoothing
            loss = total_loss(logits, batch.targets, batch.loss_weights, smoothing)
        return loss, weight, metrics, carry

    def summarize(
        self, sums: dict[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, float]:
        """Turns sums over a split into its figures.

        Returns:
          loss (nats per example), accuracy, num_targets, f1, f1_binary where there are two classes,
          and calibration_error; see `summarize_outcomes`.
        """
        del num_bytes
        nats, examples = sums["loss"]
        return {
            "loss": float(nats / examples),
            "accuracy": float(sums["accuracy"][0] / examples),
            "num_targets": int(examples),
            **summarize_outcomes(sums),
        }

    def baseline(
        self,
        train: ImageSplit | LabelledSplit,
        split: ImageSplit | LabelledSplit,
        encoding: Labels | TextLabels,
    ) -> dict[str, Any]:
        """Figures of the majority class and the class frequencies of the training split.

        Every class counts once more than it occurs, so that none is impossible. Of texts it stands
        in `beside`, behind naive Bayes over tokens and their neighbours.
        """
        counts = np.bincount(train.labels, minlength=len(encoding.names)) + 1
        shares = np.tile(np.log(counts / counts.sum()), (len(split.labels), 1))
        majority = {"model": "majority class", **score_probabilities(shares, split.labels)}
        if not isinstance(train, LabelledSplit) or not isinstance(split, LabelledSplit):
            return majority
        guesses = naive_bayes(train, split, len(encoding.names))
        counted = score_probabilities(guesses, split.labels)
        return {"model": "naive Bayes of bigrams", **counted, "beside": [majority]}


def classify_whole(
    model: Any,
    params: Params,
    inputs: Array,
    segment_ids: Integer[Array, "B T"] | None,
    carry: Carry | None = None,
    *,
    train: bool,
    rngs: dict[str, jax.Array] | None = None,
) -> tuple[Float[Array, "B C"], Carry | None]:
    """The logits of whole examples, and the carry behind them."""
    features, carry = model.apply(
        {"params": params}, inputs, carry, segment_ids=segment_ids, train=train, rngs=rngs or {}
    )
    if features.ndim == 3:
        features = last_valid(features, segment_ids)
    return model.apply({"params": params}, features, method="readout"), carry


def last_valid(
    features: Float[Array, "B T D"], segment_ids: Integer[Array, "B T"] | None
) -> Float[Array, "B D"]:
    """The features at the last position of each row that is no padding."""
    if segment_ids is None:
        return features[:, -1]
    places = jnp.arange(features.shape[1])[None]
    last = jnp.max(jnp.where(segment_ids > 0, places, 0), axis=1)
    return jnp.take_along_axis(features, last[:, None, None], axis=1)[:, 0]
