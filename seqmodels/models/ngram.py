"""The n-gram model as a function of a chunk and a carry."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from seqmodels.config.errors import UserError
from seqmodels.config.models import NgramConfig
from seqmodels.ops.ngram import (
    Tables,
    count_tables,
    empty_tables,
    find_contexts,
    log_probabilities,
    log_probability,
    recent_tokens,
)
from seqmodels.types import DataSpec, TokenInput, VocabOutput


@runtime_checkable
class Split(Protocol):
    """A tokenised corpus: tokens [N]."""

    tokens: np.ndarray


def fit_ngram(
    config: NgramConfig, spec: DataSpec, tokens: np.ndarray, offsets: np.ndarray | None = None
) -> Tables:
    """Counts `tokens` and returns the params of `Ngram`.

    Args:
      config: the order.
      spec: the vocabulary.
      tokens: the corpus.
      offsets: start of each document, then the number of tokens; contexts do not cross them.
        None: one stream.

    Raises:
      UserError: order below 1, no tokens, too many distinct n-grams, or data that are not tokens.
      ValueError: a token outside the vocabulary, or offsets that do not cover the corpus.
    """
    return count_tables(tokens, _vocab_size(spec), config.order, offsets)


def _vocab_size(spec: DataSpec) -> int:
    if not (isinstance(spec.inputs, TokenInput) and isinstance(spec.outputs, VocabOutput)):
        raise UserError("model ngram counts tokens, so it needs tokens as inputs and as outputs")
    if spec.inputs.vocab_size != spec.outputs.vocab_size:
        raise UserError("model ngram needs one vocabulary for its inputs and its outputs")
    return spec.outputs.vocab_size


class Ngram(nn.Module):
    """Interpolated modified Kneser-Ney n-gram (Chen & Goodman, 1998).

        P(w | h) = max(c(h w) - D, 0) / c(h .) + g(h) P(w | h without its oldest token)

    h is the last order - 1 tokens of the segment, or as many as there are; see
    `seqmodels.ops.ngram` for the counts, the discounts and the tables. The features are the nodes
    of the contexts of 0, 1, .. order - 1 tokens [B, T, order] (-1: never seen), and the logits are
    log probabilities. The params are fitted, not trained, and their shapes depend on the corpus;
    `init` returns those of an empty corpus, a uniform distribution.

    The carry is {"tokens": [B, order - 1] newest last, -1 = none; "segments": [B], 0 = none yet}.

    Attributes:
      config: the order.
      spec: inputs and outputs are tokens of one vocabulary.
      dtype: ignored; probabilities are float32.
    """

    config: NgramConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        empty = empty_tables(_vocab_size(self.spec), self.config.order)
        # `self.param` would require the fitted tables to have the shapes of the empty ones.
        self.tables = {
            name: jnp.asarray(self.variable("params", name, jnp.asarray, value).value)
            for name, value in empty.items()
        }

    @nn.nowrap
    def fit(self, split: Split) -> Tables:
        """Returns the params counted in `split`, read as one stream, as in evaluation."""
        return fit_ngram(self.config, self.spec, np.asarray(split.tokens))

    @nn.nowrap
    def initial_carry(
        self, batch_size: int, capacity: int, memory: None = None
    ) -> dict[str, Int[Array, "..."]]:
        """The carry before the first token; `capacity` and `memory` are not used."""
        return {
            "tokens": jnp.full((batch_size, self.config.order - 1), -1, jnp.int32),
            "segments": jnp.zeros(batch_size, jnp.int32),
        }

    def __call__(
        self,
        inputs: Int[Array, "B T"],
        carry: dict[str, Int[Array, "..."]] | None = None,
        *,
        segment_ids: Int[Array, "B T"] | None = None,
        memory: None = None,
        train: bool,
    ) -> tuple[Int[Array, "B T order"], dict[str, Int[Array, "..."]] | None]:
        """Returns the contexts that predict the token after each input, and the carry."""
        streaming = carry is not None
        if carry is None:
            carry = self.initial_carry(inputs.shape[0], 0)
        if segment_ids is None:
            current = jnp.maximum(carry["segments"], 1)
            segment_ids = jnp.broadcast_to(current[:, None], inputs.shape)
        windows, tokens, segments = recent_tokens(
            inputs, segment_ids, carry["tokens"], carry["segments"]
        )
        features = find_contexts(self.tables, windows)
        return features, {"tokens": tokens, "segments": segments} if streaming else None

    def readout(self, features: Int[Array, "*batch order"]) -> Float[Array, "*batch V"]:
        """Returns log P(next token), logits whose softmax is their exponential."""
        return log_probabilities(self.tables, features)

    def log_likelihood(
        self, features: Int[Array, "*batch order"], targets: Int[Array, "*batch"]
    ) -> Float[Array, "*batch"]:
        """Returns log P(target), the entries of `readout` at the targets."""
        return log_probability(self.tables, features, targets)
