"""A target sequence from a source sequence: forward, loss and metrics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.tasks import TranslationConfig
from seqmodels.data.pair_tokenizer import PairTokenizer
from seqmodels.data.pairs import PairSplit
from seqmodels.data.sources import BatchSource
from seqmodels.tasks.language_model import figures, score, total_loss
from seqmodels.types import Batch, Carry, DataSpec, Metrics, Params, VocabOutput

WHOLE = "sequence_accuracy"
"""Share of the targets of which every token is right under teacher forcing: each is guessed behind
the true ones, so that this is no share of right translations."""


class Translation:
    """Every position of the target predicts the next, behind the true ones (teacher forcing).

        loss = - sum_bt w_bt log p(target_bt | source_b, target_b<t) / sum_bt w_bt

    The loss is in nats per target token, <eos> among them.
    """

    metric_names = ("loss", "accuracy", WHOLE)
    unit = "token"

    def __init__(self, config: TranslationConfig) -> None:
        self.label_smoothing = config.label_smoothing

    def make_spec(self, encoding: PairTokenizer) -> DataSpec:
        """What the model reads and puts out."""
        target = encoding.target_input
        return DataSpec(target, VocabOutput(target.vocab_size), source=encoding.source_input)

    def make_source(self, source: BatchSource, encoding: PairTokenizer, seed: int) -> BatchSource:
        """The batches to train on."""
        return source

    def show(self, batch: Batch, row: int, encoding: PairTokenizer) -> str:
        """Source -> target."""
        if not batch.loss_weights[row].any():
            return "(padding)"
        source = batch.source[row][batch.source_segment_ids[row] > 0]
        target = batch.targets[row][batch.segment_ids[row] > 0]
        return f"{encoding.source.decode(source)} -> {encoding.decode_target(target)}"

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
        """Encodes the sources and runs the decoder over whole targets.

        Args:
          carry: None: there is none.
          key: of dropout; None where train is False.

        Returns:
          The summed loss that training descends, the number of target tokens, the metrics as
          (sum, weight) pairs (`loss` without label smoothing), and None.
        """
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
        metrics = score(logits, batch.targets, weights)
        loss, weight = metrics["loss"]
        if train and self.label_smoothing:
            loss = total_loss(logits, batch.targets, weights, self.label_smoothing)
        right = (jnp.argmax(logits, axis=-1) == batch.targets) | (weights == 0)
        counts = (weights > 0).any(axis=1).astype(jnp.float32)
        metrics[WHOLE] = ((right.all(axis=1) * counts).sum(), counts.sum())
        return loss, weight, metrics, carry

    def summarize(
        self, sums: dict[str, tuple[float, float]], num_bytes: float | None
    ) -> dict[str, float]:
        """Turns sums over a split into its figures.

        Returns:
          loss (nats per target token), perplexity, accuracy (of tokens), the share of targets
          without a wrong token, num_targets (tokens) and num_sequences.
        """
        del num_bytes
        right, sequences = sums[WHOLE]
        return {**figures(sums), WHOLE: right / sequences, "num_sequences": int(sequences)}

    def baseline(
        self, train: PairSplit, split: PairSplit, encoding: PairTokenizer
    ) -> dict[str, Any]:
        """Figures of the unigram of the training split's target tokens.

        Every token counts once more than it occurs, so that none is impossible.
        """
        size, eos = encoding.target_input.vocab_size, encoding.eos_id
        counts = train.count_targets(size, eos) + 1
        found = split.count_targets(size, eos)
        loss = float((found * -np.log(counts / counts.sum())).sum() / found.sum())
        return {
            "model": "unigram",
            "loss": loss,
            "perplexity": float(np.exp(loss)),
            "accuracy": float(found[counts.argmax()] / found.sum()),
        }
