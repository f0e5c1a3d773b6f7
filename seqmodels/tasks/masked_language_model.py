"""Guessing hidden tokens from both sides: forward, loss and metrics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.tasks import MaskedLanguageModelConfig
from seqmodels.data.masking import Masked, Masking, mask_token
from seqmodels.data.sources import BatchSource
from seqmodels.tasks.language_model import documents, figures, score
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


class MaskedLanguageModel:
    """Some tokens of a row are chosen, and most of those changed; the model says what they were.

        loss = - sum_chosen log p(token | the changed row) / number chosen

    Source: Devlin et al., 2019, arXiv:1810.04805; the rule is `data.masking.Masking`. A tokenizer
    without a mask token gets one behind its vocabulary, so inputs and outputs have V + 1 tokens.
    """

    metric_names = ("loss", "accuracy")
    unit = "token"

    def __init__(self, config: MaskedLanguageModelConfig) -> None:
        self._config = config

    def make_spec(self, tokenizer: Tokenizer) -> DataSpec:
        """What the model reads and puts out: the vocabulary and the mask token."""
        size = max(tokenizer.vocab_size, mask_token(tokenizer) + 1)
        return DataSpec(TokenInput(size), VocabOutput(size))

    def _masking(self, tokenizer: Tokenizer) -> Masking:
        config = self._config
        return Masking(
            mask_token(tokenizer),
            tokenizer.vocab_size,
            rate=config.mask_rate,
            mask_share=config.mask_share,
            random_share=config.random_share,
        )

    def make_source(self, source: BatchSource, tokenizer: Tokenizer, seed: int) -> BatchSource:
        """The batches to train on, masked anew at each step."""
        return Masked(source, self._masking(tokenizer), seed)

    def make_rows(self, batch: Batch, first: int, tokenizer: Tokenizer, seed: int) -> Batch:
        """The rows first, first + 1, .. of an evaluation, masked alike in each evaluation."""
        return self._masking(tokenizer).fixed(batch, first, seed)

    def show(self, batch: Batch, row: int, tokenizer: Tokenizer) -> str:
        """A row as text, a chosen token as {what is read>what it was}, [MASK] for the mask."""
        mask, parts = mask_token(tokenizer), []
        for at in documents(batch, row):
            inputs, targets, weights = (
                x[row][at] for x in (batch.inputs, batch.targets, batch.loss_weights)
            )
            text, start = "", 0
            for place in np.flatnonzero(weights):
                was = tokenizer.decode(targets[place : place + 1])
                read = tokenizer.decode(inputs[place : place + 1]) if inputs[place] != mask else ""
                text += tokenizer.decode(inputs[start:place]) + f"{{{read or '[MASK]'}>{was}}}"
                start = place + 1
            parts.append(text + tokenizer.decode(inputs[start:]))
        return "\n".join(parts)

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
        """Runs the model over whole rows.

        Args:
          carry: None: there is none.
          key: of dropout; None where train is False.

        Returns:
          The summed loss that training descends, the number of chosen tokens, the metrics as
          (sum, weight) pairs, and None.
        """
        types = {} if batch.token_types is None else {"token_types": batch.token_types}
        features, carry = model.apply(
            {"params": params},
            batch.inputs,
            carry,
            segment_ids=batch.segment_ids,
            train=train,
            rngs={} if key is None else {"dropout": key},
            **types,
        )
        # Logits of the chosen alone: most of a large head's work and memory is saved.
        most = max(1, round(self._config.mask_rate * batch.inputs.shape[1]))
        weights, at = jax.lax.top_k(batch.loss_weights, most)
        pick = jax.vmap(lambda values, at: values[at])
        logits = model.apply({"params": params}, pick(features, at), method="readout")
        metrics = score(logits, pick(batch.targets, at), weights)
        loss, weight = metrics["loss"]
        # More than the rule ever chooses would be left out unseen.
        loss = jnp.where(weight == batch.loss_weights.sum(), loss, jnp.nan)
        return loss, weight, {**metrics, "loss": (loss, weight)}, carry

    def summarize(
        self, sums: dict[str, tuple[float, float]], num_bytes: float | None
    ) -> dict[str, float]:
        """Turns sums over a split into its figures.

        Args:
          sums: (sum, weight) by name, over all chosen tokens of the split.
          num_bytes: not used; a chosen token stands for no part of the text by itself.

        Returns:
          loss (nats per chosen token), perplexity, accuracy and num_targets.
        """
        return figures(sums)
