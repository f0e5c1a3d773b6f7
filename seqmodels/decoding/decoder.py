"""Generation of tokens, with any model that has a carry (law 1)."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.decoding.prefill import (
    Prefill,
    Prompts,
    check_request,
    choose_capacity,
    next_capacity,
    position_limit,
)
from seqmodels.decoding.sampling import Sampling, draw_tokens, forbid_end, row_keys
from seqmodels.decoding.text_state import RECENT, TextState
from seqmodels.decoding.unroll import unroll
from seqmodels.protocols import Model
from seqmodels.types import Carry, Params, VocabOutput

_log = logging.getLogger(__name__)

_MAX_BLOCK = 32  # tokens per row that the device generates before the host reads them

TokenCallback = Callable[[np.ndarray], None]


@runtime_checkable
class Ending(Protocol):
    """Rule by which rows end before max_tokens; see `text_ends.GrowingTexts`.

    Attributes:
      ended: [B] bool, whether a row has ended.
      can_end: whether a row may end before max_tokens at all.
    """

    ended: np.ndarray
    can_end: bool

    def take(self, new: np.ndarray) -> None:
        """Appends the next tokens [B, n]; sets those after the end of a row to -1."""
        ...

    def forbidden(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Returns the tokens that would end a row, as an automaton.

        Returns:
          A table [S, V] of the next state for each state and token, -1 if the token ends the row;
          the first state of each row [B]; and the fewest tokens of a row: no token may end it
          before that.
        """
        ...


@dataclasses.dataclass
class Generation:
    """Result of a request.

    Attributes:
      tokens: [B, max_tokens] int32, without the prompts; -1 after the end of a row.
      tokens_per_second: over all rows, without prompt and compilation.
      state: of the only row after its last token, if it was asked for.
    """

    tokens: np.ndarray
    tokens_per_second: float
    state: TextState | None = None


def _draw(
    key: jax.Array,
    limits: Any,
    how: dict[str, bool],
    logits: jax.Array,
    index: jax.Array | int,
    states: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Draws the `index`-th new token of each row; a `Choose` once the first three are bound.

    Args:
      states: states of the rows before the token, in the table of `Ending`; [B].
    """
    thresholds, (table, least) = limits
    logits = forbid_end(logits, states, index, (table, least))
    tokens = draw_tokens(logits, row_keys(key, len(logits), index), thresholds, **how)
    return tokens, table[states, tokens]


def _first(
    logits: jax.Array,
    states: jax.Array,
    key: jax.Array,
    limits: Any,
    index: jax.Array,
    **how: bool,
) -> tuple[jax.Array, jax.Array]:
    return _draw(key, limits, how, logits, index, states)


def _block(
    model: Model,
    params: Params,
    carry: Carry,
    last: tuple[jax.Array, jax.Array],
    key: jax.Array,
    limits: Any,
    index: jax.Array,
    count: jax.Array,
    **how: bool,
) -> tuple[Carry, tuple[jax.Array, jax.Array], jax.Array]:
    """Generates the new tokens index .. index + count - 1; one program serves every count.

    Args:
      last: the token to read and the state after it; [B] each.
    """
    draw = functools.partial(_draw, key, limits, how)
    carry, token, states, tokens = unroll(
        model, params, carry, *last, draw, count, start=index, size=_MAX_BLOCK
    )
    return carry, (token, states), tokens


def _merge(refilled: jax.Array, new: Carry, old: Carry) -> Carry:
    """Takes the rows `refilled` [B] from `new`, the others from `old`."""
    rows = lambda x: refilled.reshape(-1, *[1] * (x.ndim - 1))
    return jax.tree.map(lambda n, o: jnp.where(rows(n), n, o), new, old)


class Decoder:
    """Generates tokens with one model, and keeps the programs that it compiles.

    Prompts are read in right-padded chunks; each call of one compiled loop then generates up to 32
    tokens per row. The tokens of a row are a function of params, prompt, seed and the number of the
    row in the request: they do not depend on other rows (except for the rounding of other shapes).

    A model with bounded positions continues past them: when the cache of a row is full, it is
    replaced by one that has read the last max_length // 2 tokens of the row. So each token is
    predicted from between max_length // 2 and max_length tokens.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._limit = position_limit(model)
        assert isinstance(model.spec.outputs, VocabOutput)
        self._vocab_size = model.spec.outputs.vocab_size
        static = ("greedy", "truncates")
        bind = lambda function: functools.partial(function, model)
        self._prefill = Prefill(model)
        self._first = jax.jit(_first, static_argnames=static)
        self._block = jax.jit(bind(_block), static_argnames=static, donate_argnums=1)
        self._merge = jax.jit(_merge, donate_argnums=2)

    def generate(
        self,
        params: Params,
        prompts: Prompts,
        *,
        max_tokens: int,
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        ending: Ending | None = None,
        seed: int = 0,
        on_tokens: TokenCallback | None = None,
        on_notice: Callable[[str], None] = _log.warning,
        strict_length: bool = False,
        state: TextState | None = None,
        keep_state: bool = False,
    ) -> Generation:
        """Continues each prompt by max_tokens tokens, or until a row ends.

        Args:
          params: arrays, unboxed.
          prompts: one or more arrays of tokens, of any lengths above 0; with a state also 0.
          max_tokens: most new tokens of each row.
          sampling: how tokens are drawn.
          ending: rule by which a row ends before max_tokens; None = never.
          seed: of the draws.
          on_tokens: called with [B, n] new tokens as soon as they are generated, n from 1 to 32;
            -1 after the end of a row.
          on_notice: called once, with one line, if the text grows past the model's positions.
          strict_length: reject such a text instead.
          state: of a text that every row resumes; its prompt follows. With the seed of that text,
            without prompts and with the same sampling, the first row gets the tokens that it would
            have had without the interruption.
          keep_state: return the state of the text, which must be a single one.

        Raises:
          UserError: see `check_request`.
          ValueError: the state of several texts is asked for.
        """
        if keep_state and len(prompts) > 1:
            raise ValueError(f"one state is kept, of one text; there are {len(prompts)}")
        begun = 0 if state is None else state.num_read + 1
        check_request(prompts, max_tokens, self._limit, strict_length, begun)
        request = _Request(
            *(self, params, prompts, max_tokens, sampling, ending, seed), state, keep_state
        )
        if request.outgrows:
            on_notice(
                f"the text outgrows the model's {self._limit} positions: past them it continues "
                f"from its last {request.window} tokens"
            )
        return request.run(on_tokens)


class _Request:
    """One call of `Decoder.generate`: the state of its rows, on the host."""

    def __init__(
        self,
        decoder: Decoder,
        params: Params,
        prompts: Prompts,
        max_tokens: int,
        sampling: Sampling,
        ending: Ending | None,
        seed: int,
        state: TextState | None,
        keeps: bool,
    ) -> None:
        self._decoder, self._params, self._max_tokens = decoder, params, max_tokens
        self._seed, self._ending, self._keeps = seed, ending, keeps
        self._key, self._state = jax.random.key(seed), state
        # Number of the first draw; `least` counts the tokens of this request alone.
        self._start = 0 if state is None else state.num_drawn
        none = np.zeros((1, decoder._vocab_size)), np.zeros(len(prompts)), 0
        table, states, least = none if ending is None else ending.forbidden()
        table, self._states = jnp.asarray(table, jnp.int32), jnp.asarray(states, jnp.int32)
        least = np.int32(least + self._start)
        self._limits = (sampling.thresholds(decoder._vocab_size), (table, least))
        self._how = {"greedy": sampling.greedy, "truncates": sampling.truncates}
        self._given = [np.asarray(p, np.int32) for p in prompts]
        before = np.zeros(0, np.int32) if state is None else state.tokens
        self._prompts = [np.concatenate([before, p]) for p in self._given]
        begun = 0 if state is None else state.num_read + 1
        self._lengths = np.array([begun + len(p) for p in self._given])  # positions once all read
        limit, needed = decoder._limit, int(self._lengths.max()) + max_tokens - 1
        self._bound = needed if limit is None else limit
        self.outgrows = needed > self._bound
        self.window = max(self._bound // 2, 1)
        # The shapes of a cache that is kept do not depend on the request.
        whole = keeps or state is not None
        self._final = choose_capacity(self._bound if whole else needed, limit)
        grows = not (whole or self.outgrows or limit is None)
        read = int(self._lengths.max())
        self._capacity = next_capacity(read, self._final) if grows else self._final
        # A state is that of the last token, so no block may run past the end of the text.
        self._most = 1 if keeps and ending is not None and ending.can_end else _MAX_BLOCK
        self._made = np.full((len(prompts), max_tokens), -1, np.int32)

    def run(self, on_tokens: TokenCallback | None) -> Generation:
        carry, last, used, done = self._begin(on_tokens)
        # A block without tokens compiles the loop, so that the clock times generation alone.
        carry, last, _ = self._run_block(carry, last, 1, 0)
        if self.outgrows:  # the same for a refill, of no row
            blank = [np.zeros(self.window - 1, np.int32)] * len(used)
            carry = self._replace(np.zeros(len(used), bool), blank, carry)
        jax.block_until_ready((carry, last))
        started = time.perf_counter()
        first, block, unread = done, 1, None
        while done < self._max_tokens and not self._all_ended():
            if (used == self._bound).any():
                unread = self._deliver(unread, on_tokens)
                carry = self._refill(carry, used, done)
            most = int(used.max())
            if most == self._capacity < self._final:
                unread = self._deliver(unread, on_tokens)
                carry, last, compiled = self._grow(carry, last, most)
                started += compiled
            end = self._capacity if self._capacity < self._final else self._bound
            count = min(block, self._max_tokens - done, end - most)
            carry, last, made = self._run_block(carry, last, done, count)
            # The host reads the previous block while the device works on this one.
            self._deliver(unread, on_tokens)
            unread = (made, count, done)
            if self._most == 1:
                unread = self._deliver(unread, on_tokens)
            used, done, block = used + count, done + count, min(2 * block, self._most)
        self._deliver(unread, on_tokens)
        seconds = time.perf_counter() - started
        rate = len(used) * (done - first) / seconds if done > first else 0.0
        return Generation(self._made, rate, self._keep(carry, int(used[0]), done))

    def _begin(self, on_tokens: TokenCallback | None) -> tuple[Carry, Any, np.ndarray, int]:
        """Reads the prompts and draws the first token of each row, or resumes where a state is.

        Returns:
          The carry, the last tokens and the states after them, the positions taken in each row,
          and how many tokens are drawn.
        """
        decoder, state, rows, used = self._decoder, self._state, len(self._given), self._lengths
        carry = None if state is None else state.carry_of(rows)
        if state is not None and not any(map(len, self._given)):
            token = jnp.full(rows, state.tokens[-1], jnp.int32)
            return carry, (token, self._states), used - 1, 0
        texts = self._given if state is None else [p[-len(g) - 1 :] for p, g in self._pairs()]
        if used.max() > self._bound:
            carry = None
            kept = np.where(used > self._bound, self.window, used)
            texts = [p[-n:] for p, n in zip(self._prompts, kept.tolist(), strict=True)]
            used = kept
        carry, logits = decoder._prefill(self._params, texts, self._capacity, carry=carry)
        index = np.int32(self._start)
        last = decoder._first(logits, self._states, self._key, self._limits, index, **self._how)
        self._deliver((last[0], 1, 0), on_tokens)
        return carry, last, used, 1

    def _pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each text so far, and the prompt that is its end."""
        return zip(self._prompts, self._given, strict=True)

    def _keep(self, carry: Carry, used: int, done: int) -> TextState | None:
        """The state after `done` tokens of the only row."""
        if not self._keeps:
            return None
        text = np.concatenate([self._prompts[0], self._made[0, :done]])
        most = max(self._bound, 1) if self._decoder._limit is not None else RECENT
        host = jax.tree.map(np.asarray, carry)
        return TextState(host, text[-most:], used, self._start + done, self._seed)

    def _all_ended(self) -> bool:
        return self._ending is not None and bool(self._ending.ended.all())

    def _run_block(self, carry: Carry, last: Any, index: int, count: int) -> Any:
        return self._decoder._block(
            self._params,
            carry,
            last,
            self._key,
            self._limits,
            np.int32(self._start + index),
            np.int32(count),
            **self._how,
        )

    def _grow(self, carry: Carry, last: Any, used: int) -> tuple[Carry, Any, float]:
        """Enlarges a full cache; also returns the seconds that the loop took to compile for it."""
        self._capacity = next_capacity(used, self._final)
        carry = self._decoder._prefill.grow(self._params, carry, len(self._given), self._capacity)
        jax.block_until_ready((carry, last))
        started = time.perf_counter()
        carry, last, _ = self._run_block(carry, last, 1, 0)
        jax.block_until_ready((carry, last))
        return carry, last, time.perf_counter() - started

    def _refill(self, carry: Carry, used: np.ndarray, done: int) -> Carry:
        """Refills rows whose cache is full with their last tokens, but for the next one to read."""
        full = used == self._bound
        texts = []
        for row, prompt in enumerate(self._prompts):
            # Which tokens follow the end of a row does not matter.
            made = np.maximum(self._made[row, :done], 0)
            text = np.concatenate([prompt, made])[-self.window : -1]
            texts.append(text if full[row] else text[:0])
        used[full] = self.window - 1
        return self._replace(full, texts, carry)

    def _replace(self, refilled: np.ndarray, texts: list[np.ndarray], carry: Carry) -> Carry:
        """Replaces the carry of the rows `refilled` by one that has read their texts."""
        new, _ = self._decoder._prefill(self._params, texts, self._capacity)
        return self._decoder._merge(refilled, new, carry)

    def _deliver(
        self, block: tuple[jax.Array, int, int] | None, on_tokens: TokenCallback | None
    ) -> None:
        """Waits for the new tokens at .. at + count - 1 and delivers them."""
        if block is None:
            return
        tokens, count, at = block
        host = np.array(tokens).reshape(len(self._prompts), -1)[:, :count]
        if self._ending is not None:
            self._ending.take(host)
        self._made[:, at : at + count] = host
        if on_tokens is not None:
            on_tokens(host)
