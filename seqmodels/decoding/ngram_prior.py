"""An n-gram model of text as the prior of a search for transcripts."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from seqmodels.ops.ngram import Tables, find_contexts, log_probabilities


class NgramPrior:
    """weight log P(symbol | the last order - 1 symbols of the prefix) + bonus, for each symbol.

    Args:
      tables: a counted corpus of symbols, in which each text is a document; see `ops.ngram`.
      order: n of the n-grams.
      weight: of the model's log-probability.
      bonus: added for each symbol.
    """

    def __init__(self, tables: Tables, order: int, weight: float, bonus: float) -> None:
        self._num_context, self._weight, self._bonus = order - 1, weight, bonus
        self._tables = {name: jnp.asarray(value) for name, value in tables.items()}
        self._known: dict[tuple[int, ...], Float[np.ndarray, " U"]] = {}

        def log_p(tables: Mapping[str, jax.Array], context: jax.Array) -> jax.Array:
            return log_probabilities(tables, find_contexts(tables, context))

        self._log_p = jax.jit(log_p)

    def __call__(self, prefix: tuple[int, ...]) -> Float[np.ndarray, " U"]:
        """Addition of each symbol to the score of the prefix."""
        context = prefix[len(prefix) - min(len(prefix), self._num_context) :]
        if context not in self._known:
            newest_first = np.full(self._num_context, -1, np.int32)
            newest_first[: len(context)] = context[::-1]
            log_p = np.asarray(self._log_p(self._tables, newest_first), np.float64)
            self._known[context] = self._weight * log_p + self._bonus
        return self._known[context]
