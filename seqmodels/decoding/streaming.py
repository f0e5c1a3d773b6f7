"""Log-probabilities along a text without end, in memory that does not grow."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from seqmodels.decoding.prefill import (
    check_tokens,
    choose_capacity,
    position_limit,
    readout,
)
from seqmodels.protocols import Model
from seqmodels.types import Carry, Params

_BLOCK = 256  # tokens that the device reads before the host sees them


def _read(
    model: Model,
    params: Params,
    state: tuple[Carry, jax.Array],
    tokens: jax.Array,
    count: jax.Array,
) -> tuple[tuple[Carry, jax.Array], jax.Array]:
    """Reads the first `count` tokens; one program, a token at a time, serves every count."""

    def step(i: jax.Array, loop: Any) -> Any:
        carry, logits, found = loop
        log_p = logits[tokens[i]] - jax.nn.logsumexp(logits)
        features, carry = model.apply({"params": params}, tokens[None, i, None], carry, train=False)
        return carry, readout(model, params, features[:, 0])[0], found.at[i].set(log_p)

    found = jnp.zeros(len(tokens), jnp.float32)
    carry, logits, found = jax.lax.fori_loop(0, count, step, (*state, found))
    return (carry, logits), found


class StreamScorer:
    """Scores one text, which comes a piece at a time and need not end.

        log p(tokens[t] | tokens[:t])    for every t

    Only the carry of the model is kept. Every token passes through the same program, by itself, so
    that no bit of a score depends on where the text is cut.

    Args:
      model: a causal model of tokens that reads texts of any length.
      params: its arrays, unboxed.
      start: one or more tokens that precede the text.

    Raises:
      ValueError: the model has bounded positions, or there is no token to start with.
    """

    def __init__(self, model: Model, params: Params, start: Int[np.ndarray, " N"]) -> None:
        limit = position_limit(model)
        if limit is not None:
            raise ValueError(f"a text without end exceeds the {limit} positions of the model")
        if not len(start):
            raise ValueError("the first token of a text needs one before it")
        self._model, self._params = model, params
        self._read = jax.jit(functools.partial(_read, model), donate_argnums=1)
        begin = lambda p: model.apply(
            {"params": p}, 1, choose_capacity(1, limit), method="initial_carry"
        )
        size = model.spec.outputs.vocab_size  # pyright: ignore[reportAttributeAccessIssue]
        self._state = (jax.jit(begin)(params), jnp.zeros(size, jnp.float32))
        self(start)

    def __call__(self, tokens: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Log-probability of each of the next tokens of the text, in nats.

        Raises:
          ValueError: see `check_tokens`.
        """
        check_tokens(self._model, [tokens])
        found = np.zeros(len(tokens), np.float32)
        for begin in range(0, len(tokens), _BLOCK):
            part = tokens[begin : begin + _BLOCK]
            block = np.zeros(_BLOCK, np.int32)
            block[: len(part)] = part
            self._state, scores = self._read(self._params, self._state, block, np.int32(len(part)))
            found[begin : begin + _BLOCK] = np.asarray(scores)[: len(part)]
        return found
