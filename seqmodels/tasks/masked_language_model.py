"""Guessing hidden tokens from both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.data.masking import Masked, Masking, mask_token
from seqmodels.data.text import tokenizer_of
from seqmodels.protocols import BatchSource, Example, Features, Given, Model, Trial
from seqmodels.tasks.language_model import documents
from seqmodels.tasks.looking import name_tokens, text_tokens
from seqmodels.tasks.ngram_baseline import unigram
from seqmodels.tasks.scores import score_features, summarize_tokens
from seqmodels.tasks.task import Task
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


class MaskedLanguageModel(Task):
    """Some tokens of a row are chosen and most of them changed; the model predicts the originals.

        loss = - sum_chosen log p(token | the changed row) / number chosen

    Source: Devlin et al., 2019, arXiv:1810.04805; the rule is `data.masking.Masking`. A tokenizer
    without a mask token gets one after its vocabulary, so inputs and outputs have V + 1 tokens.
    """

    rate_unit: ClassVar[str] = "token"

    def unit(self, features: Features) -> str:
        """The tokenizer's unit."""
        return tokenizer_of(features).unit

    def make_spec(self, features: Features) -> DataSpec:
        """The vocabulary and the mask token."""
        tokenizer = tokenizer_of(features)
        size = max(tokenizer.vocab_size, mask_token(tokenizer) + 1)
        return DataSpec(TokenInput(size), VocabOutput(size, tokenizer.unknown_id))

    def _masking(self, tokenizer: Tokenizer) -> Masking:
        config = self.config
        return Masking(
            mask_token(tokenizer),
            tokenizer.vocab_size,
            rate=config.mask_rate,
            mask_share=config.mask_share,
            random_share=config.random_share,
        )

    def make_source(self, source: BatchSource, features: Features, seed: int) -> BatchSource:
        """The batches to train on, masked differently at each step."""
        return Masked(source, self._masking(tokenizer_of(features)), seed)

    def make_rows(self, batch: Batch, first: int, features: Features, seed: int) -> Batch:
        """The rows first, first + 1, .., masked the same way in every evaluation."""
        return self._masking(tokenizer_of(features)).fixed(batch, first, seed)

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """A row as text, a chosen token as {what is read>what it was}, [MASK] for the mask."""
        tokenizer = tokenizer_of(features)
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

    def example(
        self, model: Model, params: Params, features: Features, config: Any, given: Given
    ) -> Example:
        """The tokens of a text, none of them masked: each is its own target."""
        del params, config
        tokenizer = tokenizer_of(features)
        tokens = text_tokens(model, tokenizer, given, 0).astype(np.int32)
        labels = name_tokens(tokenizer, tokens[0])
        batch = Batch(tokens, tokens, np.ones(tokens.shape, np.float32))
        return Example(batch, labels, targets=labels)

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
        """Runs the model over whole rows; see `Task.forward`. There is no carry."""
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
        most = max(1, round(self.config.mask_rate * batch.inputs.shape[1]))
        weights, at = jax.lax.top_k(batch.loss_weights, most)
        pick = jax.vmap(lambda values, at: values[at])
        chosen = (pick(features, at), pick(batch.targets, at), weights)
        loss, metrics = score_features(model, params, *chosen, train=train)
        weight = metrics["loss"][1]
        # More than the rule ever chooses would be left out unseen.
        loss = jnp.where(weight == batch.loss_weights.sum(), loss, jnp.nan)
        return loss, weight, {**metrics, "loss": (loss, weight)}, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures.

        Args:
          sums: (sum, weight) by name, over all chosen tokens of the split.
          num_bytes: not used; a chosen token is not a part of the text by itself.

        Returns:
          what `summarize_tokens` does, of the chosen tokens.
        """
        del num_bytes
        return summarize_tokens(sums)

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """The unigram of the training split, on the very same tokens."""
        return unigram(trial)
