"""Next-token prediction: forward, loss and metrics."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.types import Batch, Carry, Metrics, Params


class LanguageModel:
    """Every position predicts the next token; the loss is in nats per target.

    loss = - sum_bt w_bt log p(target_bt | what stands before it) / sum_bt w_bt
    """

    metric_names = ("loss", "accuracy")

    def __init__(self, config: LanguageModelConfig) -> None:
        self.label_smoothing = config.label_smoothing

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
        weights = batch.loss_weights
        weight = weights.sum()
        # A padded position may hold anything, NaN too: it is selected away, not multiplied.
        losses = jnp.where(weights > 0, softmax_cross_entropy(logits, batch.targets), 0.0)
        loss = (losses * weights).sum()
        hits = (jnp.argmax(logits, axis=-1) == batch.targets) * weights
        metrics = {"loss": (loss, weight), "accuracy": (hits.sum(), weight)}
        if train and self.label_smoothing:
            smoothed = softmax_cross_entropy(logits, batch.targets, self.label_smoothing)
            loss = (jnp.where(weights > 0, smoothed, 0.0) * weights).sum()
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
        nats, targets = sums["loss"]
        loss = nats / targets
        summary = {
            "loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),
            "accuracy": sums["accuracy"][0] / targets,
            "num_targets": int(targets),
        }
        if num_bytes is not None:
            summary["bits_per_byte"] = nats / math.log(2) / num_bytes
        return summary
