"""Next-token prediction: forward, loss and metrics."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.data.sources import BatchSource
from seqmodels.ops.losses import most_likely, softmax_cross_entropy
from seqmodels.types import (
    Batch,
    Carry,
    DataSpec,
    Metrics,
    Params,
    TokenInput,
    Tokenizer,
    VocabOutput,
)


class LanguageModel:
    """Every position predicts the next token; the loss is in nats per target.

    loss = - sum_bt w_bt log p(target_bt | what stands before it) / sum_bt w_bt
    """

    metric_names = ("loss", "accuracy")
    unit = "token"

    def __init__(self, config: LanguageModelConfig) -> None:
        self.label_smoothing = config.label_smoothing

    def make_spec(self, tokenizer: Tokenizer) -> DataSpec:
        """What the model reads and puts out."""
        size = tokenizer.vocab_size
        return DataSpec(TokenInput(size), VocabOutput(size))

    def make_source(self, source: BatchSource, tokenizer: Tokenizer, seed: int) -> BatchSource:
        """The batches to train on, from those of next-token prediction."""
        return source

    def make_rows(self, batch: Batch, first: int, tokenizer: Tokenizer, seed: int) -> Batch:
        """The rows first, first + 1, .. of an evaluation, from those of next-token prediction."""
        return batch

    def show(self, batch: Batch, row: int, tokenizer: Tokenizer) -> str:
        """A row as text: of each document the first input, and then all targets."""
        inputs, targets = batch.inputs[row], batch.targets[row]
        places = documents(batch, row)
        return "\n".join(
            tokenizer.decode(np.concatenate([inputs[at][:1], targets[at]])) for at in places
        )

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
        """Runs the model over one chunk.

        Args:
          carry: None for the parallel form; a carry where the chunk goes on from another.
          key: of dropout; None where train is False.

        Returns:
          The summed loss that training descends, the summed weights, the metrics as
          (sum, weight) pairs (`loss` without label smoothing), and the carry behind the chunk.
        """
        features, carry = model.apply(
            {"params": params},
            batch.inputs,
            carry,
            segment_ids=batch.segment_ids,
            train=train,
            rngs={} if key is None else {"dropout": key},
        )
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
        """Turns sums over a split into its figures.

        Args:
          sums: (sum, weight) by name, over all targets of the split.
          num_bytes: UTF-8 bytes of those targets, None where the tokenizer loses something.

        Returns:
          loss (nats per target), perplexity (exp of it), accuracy, num_targets, and
          bits_per_byte = total nats / ln 2 / num_bytes.
        """
        summary = figures(sums)
        if num_bytes is not None:
            summary["bits_per_byte"] = sums["loss"][0] / math.log(2) / num_bytes
        return summary


def score(
    logits: Float[Array, "*rows V"],
    targets: Integer[Array, "*rows"],
    weights: Float[Array, "*rows"],
) -> Metrics:
    """Loss and accuracy over the targets of weight above 0, as (sum, weight) pairs."""
    weight = weights.sum()
    hits = (most_likely(logits) == targets) * weights
    loss = total_loss(logits, targets, weights)
    return {"loss": (loss, weight), "accuracy": (hits.sum(), weight)}


def total_loss(
    logits: Float[Array, "*rows V"],
    targets: Integer[Array, "*rows"],
    weights: Float[Array, "*rows"],
    label_smoothing: float = 0.0,
) -> Float[Array, ""]:
    """Weighted sum of the cross entropies of targets of weight above 0."""
    losses = softmax_cross_entropy(logits, targets, label_smoothing)
    # A padded position may hold anything, NaN too: it is selected away, not multiplied.
    return (jnp.where(weights > 0, losses, 0.0) * weights).sum()


def figures(sums: dict[str, tuple[float, float]]) -> dict[str, float]:
    """loss (nats per target), perplexity, accuracy and num_targets of the sums of `score`."""
    nats, targets = sums["loss"]
    return {
        "loss": nats / targets,
        "perplexity": math.exp(min(nats / targets, 700.0)),
        "accuracy": sums["accuracy"][0] / targets,
        "num_targets": int(targets),
    }


def documents(batch: Batch, row: int) -> list[np.ndarray]:
    """The places [T] of each document of a row, True where it stands."""
    if batch.segment_ids is None:
        return [np.ones(len(batch.inputs[row]), bool)]
    segments = batch.segment_ids[row]
    return [segments == segment for segment in dict.fromkeys(segments[segments > 0].tolist())]
