"""One class for the whole of an image or a sequence: forward, loss and metrics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.datasets.image_source import ImageSplit
from seqmodels.data.labels import Labels, render
from seqmodels.data.sources import BatchSource
from seqmodels.tasks.language_model import score, total_loss
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

    def make_spec(self, encoding: Labels) -> DataSpec:
        """What the model reads and puts out."""
        return DataSpec(encoding.image, ClassOutput(len(encoding.names), per_step=False))

    def make_source(self, source: BatchSource, encoding: Labels, seed: int) -> BatchSource:
        """The batches to train on."""
        return source

    def show(self, batch: Batch, row: int, encoding: Labels) -> str:
        """The class, and the image drawn with characters."""
        if not batch.loss_weights[row]:
            return "(padding)"
        return f"{encoding.names[batch.targets[row]]}\n{render(batch.inputs[row])}"

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
          (sum, weight) pairs (`loss` without label smoothing), and None.
        """
        features, carry = model.apply(
            {"params": params},
            batch.inputs,
            carry,
            segment_ids=batch.segment_ids,
            train=train,
            rngs={} if key is None else {"dropout": key},
        )
        if features.ndim == 3:
            features = last_valid(features, batch.segment_ids)
        logits = model.apply({"params": params}, features, method="readout")
        metrics = score(logits, batch.targets, batch.loss_weights)
        loss, weight = metrics["loss"]
        if train and self.label_smoothing:
            smoothing = self.label_smoothing
            loss = total_loss(logits, batch.targets, batch.loss_weights, smoothing)
        return loss, weight, metrics, carry

    def summarize(
        self, sums: dict[str, tuple[float, float]], num_bytes: float | None
    ) -> dict[str, float]:
        """Turns sums over a split into loss (nats per example), accuracy and num_targets."""
        del num_bytes
        nats, examples = sums["loss"]
        return {
            "loss": nats / examples,
            "accuracy": sums["accuracy"][0] / examples,
            "num_targets": int(examples),
        }

    def baseline(self, train: ImageSplit, split: ImageSplit, encoding: Labels) -> dict[str, Any]:
        """Figures of the majority class and the class frequencies of the training split.

        Every class counts once more than it occurs, so that none is impossible.
        """
        counts = np.bincount(train.labels, minlength=len(encoding.names)) + 1
        nats = -np.log(counts / counts.sum())[split.labels]
        hits = split.labels == counts.argmax()
        return {
            "model": "majority class",
            "loss": float(nats.mean()),
            "accuracy": float(hits.mean()),
        }


def last_valid(
    features: Float[Array, "B T D"], segment_ids: Integer[Array, "B T"] | None
) -> Float[Array, "B D"]:
    """The features at the last position of each row that is no padding."""
    if segment_ids is None:
        return features[:, -1]
    places = jnp.arange(features.shape[1])[None]
    last = jnp.max(jnp.where(segment_ids > 0, places, 0), axis=1)
    return jnp.take_along_axis(features, last[:, None, None], axis=1)[:, 0]
