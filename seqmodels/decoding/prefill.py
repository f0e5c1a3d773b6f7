"""Prefill: prompts of any lengths into a carry, before sampling or beam search."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from seqmodels.config.errors import UserError
from seqmodels.protocols import Model
from seqmodels.types import Carry, Params, TokenInput, VocabOutput

_MAX_CHUNK = 256  # tokens of a prompt in one call
_CAPACITY_STEP = 64  # capacities are multiples of it, so that few programs are compiled
_FIRST_CAPACITY = 512  # below it a compilation takes longer than what a smaller cache would save

Prompts = Sequence[Integer[np.ndarray, " _"]]


def position_limit(model: Model) -> int | None:
    """Returns how many tokens a carry of the model can read; None = any number."""
    return None if model.config.unbounded else model.config.max_length


def check_tokens(model: Model, texts: Prompts) -> None:
    """Refuses texts with tokens that the model does not have; inside jit they would give NaN.

    Raises:
      ValueError: names the first of them.
    """
    inputs = model.spec.inputs
    assert isinstance(inputs, TokenInput)
    size = inputs.vocab_size
    for number, text in enumerate(texts):
        outside = np.asarray(text)[(np.asarray(text) < 0) | (np.asarray(text) >= size)]
        if len(outside):
            raise ValueError(
                f"text {number} has the token {outside[0]}; the model has 0 to {size - 1}"
            )


def check_request(
    prompts: Prompts, max_tokens: int, limit: int | None, strict: bool, begun: int = 0
) -> None:
    """Rejects a request that cannot be served, before anything is computed.

    Args:
      begun: tokens before the prompts, of a text that is resumed.

    Raises:
      UserError: max_tokens below 1, or (`strict`) a text longer than the model's positions.
      ValueError: no prompt, or an empty one.
    """
    if max_tokens < 1:
        raise UserError(f"--max_tokens={max_tokens}: must be 1 or more")
    if not prompts or (not begun and any(len(p) == 0 for p in prompts)):
        raise ValueError("every prompt needs at least one token")
    longest = begun + max(len(p) for p in prompts)
    # The last new token is never read, so it needs no position.
    needed = longest + max_tokens - 1
    if strict and limit is not None and needed > limit:
        raise UserError(
            f"--strict_length: a prompt of {longest} and {max_tokens} new tokens need {needed} "
            f"positions; the model has max_length = {limit}"
        )


def choose_capacity(needed: int, limit: int | None) -> int:
    """Returns the capacity of a carry: one of few different numbers, and at most `limit`."""
    rounded = -(-needed // _CAPACITY_STEP) * _CAPACITY_STEP
    return _MAX_CHUNK if limit is None else min(limit, rounded)


def next_capacity(used: int, final: int) -> int:
    """Returns the capacity of a carry that grows to `final`, with room for more than `used` tokens.

    A step of decoding reads the whole capacity, filled or not. Each capacity is a program.
    """
    capacity = _FIRST_CAPACITY
    while capacity <= used:
        capacity *= 2
    return min(capacity, final)


def readout(model: Model, params: Params, features: jax.Array) -> jax.Array:
    """Returns outputs [B, ...] of features [B, D]: logits [B, V] of a model of tokens."""
    return model.apply({"params": params}, features, method="readout")


def _start(
    model: Model, params: Params, rows: int, capacity: int, memory: Any
) -> tuple[Carry, jax.Array]:
    """Returns a carry that has read nothing, and zeros for the logits [B, V]."""
    assert isinstance(model.spec.outputs, VocabOutput)
    carry = model.apply({"params": params}, rows, capacity, memory, method="initial_carry")
    return carry, jnp.zeros((rows, model.spec.outputs.vocab_size), jnp.float32)


def _read(
    model: Model,
    params: Params,
    carry: Carry,
    logits: jax.Array,
    chunk: jax.Array,
    lengths: jax.Array,
) -> tuple[Carry, jax.Array]:
    """Reads lengths[b] <= T tokens of row b; a row that reads none keeps its logits."""
    real = jnp.arange(chunk.shape[1])[None] < lengths[:, None]
    features, carry = model.apply(
        {"params": params}, chunk, carry, segment_ids=real.astype(jnp.int32), train=False
    )
    last = features[jnp.arange(chunk.shape[0]), jnp.maximum(lengths - 1, 0)]
    return carry, jnp.where(lengths[:, None] > 0, readout(model, params, last), logits)


def _grow(model: Model, params: Params, carry: Carry, rows: int, capacity: int) -> Carry:
    """The carry with more room: what a row has read stays at the beginning."""
    larger = model.apply({"params": params}, rows, capacity, method="initial_carry")

    def place(new: jax.Array, old: jax.Array) -> jax.Array:
        if new.shape == old.shape:
            return old
        return jax.lax.dynamic_update_slice(new, old, (0,) * new.ndim)

    return jax.tree.map(place, larger, carry)


class Prefill:
    """Reads texts into carries of one model, and keeps the programs that it compiles."""

    def __init__(self, model: Model) -> None:
        self._model = model
        bind = lambda function: functools.partial(function, model)
        self._start = jax.jit(bind(_start), static_argnums=(1, 2))
        self._read = jax.jit(bind(_read), donate_argnums=(1, 2))
        self._grow = jax.jit(bind(_grow), static_argnums=(2, 3))

    def grow(self, params: Params, carry: Carry, rows: int, capacity: int) -> Carry:
        """Returns the carry of a model without an encoder with room for `capacity` tokens."""
        return self._grow(params, carry, rows, capacity)

    def __call__(
        self,
        params: Params,
        texts: Prompts,
        capacity: int,
        memory: Any = None,
        carry: Carry = None,
    ) -> tuple[Carry, jax.Array]:
        """Returns a carry that has read the text of each row, and the logits [B, V] after it.

        Args:
          params: arrays, unboxed.
          texts: one per row, of any lengths including 0; read in right-padded chunks.
          capacity: number of tokens that the carry has room for.
          memory: what `encode` returned, for a model with an encoder.
          carry: of rows that have read something before the texts, which is donated; None = none
            has.

        Raises:
          ValueError: see `check_tokens`.
        """
        check_tokens(self._model, texts)
        rows, longest = len(texts), max(len(t) for t in texts)
        start, logits = self._start(params, rows, capacity, memory)
        carry = start if carry is None else carry
        if not longest:
            return carry, logits
        # Widths are powers of two: few programs, little padding.
        width = min(_MAX_CHUNK, 1 << (longest - 1).bit_length(), capacity)
        for begin in range(0, longest, width):
            chunk, lengths = np.zeros((rows, width), np.int32), np.zeros(rows, np.int32)
            for row, text in enumerate(texts):
                part = text[begin : begin + width]
                chunk[row, : len(part)], lengths[row] = part, len(part)
            carry, logits = self._read(params, carry, logits, chunk, lengths)
        return carry, logits
