"""Generation of tokens: one implementation for every model that has a carry (law 1)."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.decoding.prefill import Prompts, Reader, choose_capacity, position_limit, readout
from seqmodels.decoding.sampling import Sampling, choose, forbid_end, row_keys
from seqmodels.types import Carry, Params

_log = logging.getLogger(__name__)

_MAX_BLOCK = 32  # tokens a row between two looks of the host

TokenCallback = Callable[[np.ndarray], None]


@runtime_checkable
class Ending(Protocol):
    """Rule by which rows end before max_tokens; see `text_ends.GrowingTexts`.

    Attributes:
      ended: [B] bool, which have.
    """

    ended: np.ndarray

    def take(self, new: np.ndarray) -> None:
        """Reads the next tokens [B, n]; overwrites with -1 those behind the end of a row."""
        ...

    def forbidden(self) -> tuple[np.ndarray, np.ndarray, int]:
        """What ends a row too early: a table [S, V] from states and tokens to states.

        It has -1 where a token ends the row; the states that the rows [B] begin in; and the least
        tokens of a row, before which no token may end it.
        """
        ...


@dataclasses.dataclass
class Generation:
    """What was generated.

    Attributes:
      tokens: [B, max_tokens] int32, without the prompts; -1 behind the end of a row.
      tokens_per_second: over all rows, without prompt and compilation.
    """

    tokens: np.ndarray
    tokens_per_second: float


def check_request(prompts: Prompts, max_tokens: int, limit: int | None, strict: bool) -> None:
    """Refuses a request that cannot be served, before anything is computed.

    Raises:
      UserError: max_tokens below 1, or (`strict`) a text longer than the model's positions.
      ValueError: no prompt, or an empty one.
    """
    if max_tokens < 1:
        raise UserError(f"--max_tokens={max_tokens}: allowed are 1 and above")
    if not prompts or any(len(p) == 0 for p in prompts):
        raise ValueError("every prompt needs at least one token")
    longest = max(len(p) for p in prompts)
    # The last new token is never read, so it needs no position.
    needed = longest + max_tokens - 1
    if strict and limit is not None and needed > limit:
        raise UserError(
            f"--strict_length: a prompt of {longest} and {max_tokens} new tokens need {needed} "
            f"positions; the model has max_length = {limit}"
        )


def _first(
    logits: jax.Array, states: jax.Array, key: jax.Array, limits: Any, **how: bool
) -> jax.Array:
    thresholds, forbidden = limits
    logits = forbid_end(logits, states, 0, forbidden)
    return choose(logits, row_keys(key, len(logits), 0), thresholds, **how)


def _block(
    model: Any,
    params: Params,
    carry: Carry,
    last: tuple[jax.Array, jax.Array],
    key: jax.Array,
    limits: Any,
    index: jax.Array,
    count: jax.Array,
    **how: bool,
) -> tuple[Carry, tuple[jax.Array, jax.Array], jax.Array]:
    """Reads a token and makes the new tokens index .. index + count - 1.

    The count is dynamic: one program serves every block.

    Args:
      last: the token to read, and the state before it, in the table of `Ending`; [B] each.
    """
    thresholds, forbidden = limits

    def body(i: jax.Array, state: Any) -> Any:
        carry, (token, before), made = state
        features, carry = model.apply({"params": params}, token[:, None], carry, train=False)
        before = forbidden[0][before, token]
        logits = readout(model, params, features[:, 0])
        logits = forbid_end(logits, before, index + i, forbidden)
        token = choose(logits, row_keys(key, len(token), index + i), thresholds, **how)
        return carry, (token, before), made.at[:, i].set(token)

    made = jnp.zeros((len(last[0]), _MAX_BLOCK), jnp.int32)
    return jax.lax.fori_loop(0, count, body, (carry, last, made))


def _merge(refilled: jax.Array, new: Carry, old: Carry) -> Carry:
    """Takes the rows `refilled` [B] from `new`, the others from `old`."""
    rows = lambda x: refilled.reshape(-1, *[1] * (x.ndim - 1))
    return jax.tree.map(lambda n, o: jnp.where(rows(n), n, o), new, old)


class Decoder:
    """Generates with one model; what is compiled stays with the decoder.

    A prompt is read in chunks, right-padded; then each call of one compiled loop makes up to 32
    tokens. The sequence of a row is a function of params, prompt, seed and the row's number in the
    request: its neighbours do not enter (but for the rounding of other shapes).

    A model of bounded positions goes on past them: when a row's cache is full it is made anew from
    the last max_length // 2 tokens of the row, so each token has between max_length // 2 and
    max_length tokens before it.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._limit = position_limit(model)
        self._vocab_size = model.spec.outputs.vocab_size
        static = ("greedy", "truncates")
        bind = lambda function: functools.partial(function, model)
        self._reader = Reader(model)
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
    ) -> Generation:
        """Goes on from each prompt by max_tokens tokens, or to where a row ends.

        Args:
          params: arrays, unboxed.
          prompts: one or more arrays of tokens, of any lengths above 0.
          max_tokens: most new tokens of each row.
          sampling: how tokens are chosen.
          ending: where a row ends before that; None = nowhere.
          seed: of the choices.
          on_tokens: called with [B, n] new tokens as they come, n from 1 to 32; -1 behind the end
            of a row.
          on_notice: called once, with one line, where the text outgrows the model's positions.
          strict_length: refuse such a text instead.

        Raises:
          UserError: see `check_request`.
        """
        check_request(prompts, max_tokens, self._limit, strict_length)
        request = _Request(self, params, prompts, max_tokens, sampling, ending, seed)
        if request.outgrows:
            on_notice(
                f"the text outgrows the model's {self._limit} positions: where they end it goes on "
                f"from its last {request.window} tokens"
            )
        return request.run(on_tokens)


class _Request:
    """One call of `Decoder.generate`: the state of its rows on the host."""

    def __init__(
        self,
        decoder: Decoder,
        params: Params,
        prompts: Prompts,
        max_tokens: int,
        sampling: Sampling,
        ending: Ending | None,
        seed: int,
    ) -> None:
        self._decoder, self._params, self._max_tokens = decoder, params, max_tokens
        self._key, self._ending = jax.random.key(seed), ending
        none = np.zeros((1, decoder._vocab_size)), np.zeros(len(prompts)), 0
        table, states, least = none if ending is None else ending.forbidden()
        table, self._states = jnp.asarray(table, jnp.int32), jnp.asarray(states, jnp.int32)
        self._limits = (sampling.thresholds(decoder._vocab_size), (table, np.int32(least)))
        self._how = {"greedy": sampling.greedy, "truncates": sampling.truncates}
        self._prompts = [np.asarray(p, np.int32) for p in prompts]
        limit, longest = decoder._limit, max(len(p) for p in prompts)
        needed = longest + max_tokens - 1
        self._bound = needed if limit is None else limit
        self.outgrows = needed > self._bound
        self.window = max(self._bound // 2, 1)
        self._capacity = choose_capacity(needed, limit)
        self._made = np.full((len(prompts), max_tokens), -1, np.int32)

    def run(self, on_tokens: TokenCallback | None) -> Generation:
        decoder, how = self._decoder, self._how
        texts = [p if len(p) <= self._bound else p[-self.window :] for p in self._prompts]
        used = np.array([len(t) for t in texts])  # positions taken, a row
        carry, logits = decoder._reader(self._params, texts, self._capacity)
        token = decoder._first(logits, self._states, self._key, self._limits, **how)
        self._deliver((token, 1, 0), on_tokens)
        # No token yet: compiles the loop, so that the clock below times generation alone.
        carry, last, _ = self._run_block(carry, (token, self._states), 1, 0)
        if self.outgrows:  # the same for refills, and no row is refilled
            blank = [np.zeros(self.window - 1, np.int32)] * len(texts)
            carry = self._take_over(np.zeros(len(texts), bool), blank, carry)
        jax.block_until_ready((carry, last))
        started = time.perf_counter()
        done, block, unread = 1, 1, None
        while done < self._max_tokens and not self._all_ended():
            if (used == self._bound).any():
                unread = self._deliver(unread, on_tokens)
                carry = self._refill(carry, used, done)
            count = min(block, self._max_tokens - done, self._bound - int(used.max()))
            carry, last, made = self._run_block(carry, last, done, count)
            # The block before is read while the device works on this one.
            self._deliver(unread, on_tokens)
            unread = (made, count, done)
            used, done, block = used + count, done + count, min(2 * block, _MAX_BLOCK)
        self._deliver(unread, on_tokens)
        seconds = time.perf_counter() - started
        rate = len(texts) * (done - 1) / seconds if done > 1 else 0.0
        return Generation(self._made, rate)

    def _all_ended(self) -> bool:
        return self._ending is not None and bool(self._ending.ended.all())

    def _run_block(self, carry: Carry, last: Any, index: int, count: int) -> Any:
        return self._decoder._block(
            self._params,
            carry,
            last,
            self._key,
            self._limits,
            np.int32(index),
            np.int32(count),
            **self._how,
        )

    def _refill(self, carry: Carry, used: np.ndarray, done: int) -> Carry:
        """Makes full rows anew from their last tokens; the very last one is yet to be read."""
        full = used == self._bound
        texts = []
        for row, prompt in enumerate(self._prompts):
            # A row that has ended is made longer by anything.
            made = np.maximum(self._made[row, :done], 0)
            text = np.concatenate([prompt, made])[-self.window : -1]
            texts.append(text if full[row] else text[:0])
        used[full] = self.window - 1
        return self._take_over(full, texts, carry)

    def _take_over(self, refilled: np.ndarray, texts: list[np.ndarray], carry: Carry) -> Carry:
        """Lets the rows `refilled` have read their texts anew, and the others go on."""
        new, _ = self._decoder._reader(self._params, texts, self._capacity)
        return self._decoder._merge(refilled, new, carry)

    def _deliver(
        self, block: tuple[jax.Array, int, int] | None, on_tokens: TokenCallback | None
    ) -> None:
        """Waits for the new tokens at .. at + count - 1 and hands them on."""
        if block is None:
            return
        tokens, count, at = block
        host = np.array(tokens).reshape(len(self._prompts), -1)[:, :count]
        if self._ending is not None:
            self._ending.take(host)
        self._made[:, at : at + count] = host
        if on_tokens is not None:
            on_tokens(host)


_decoders: list[Decoder] = []


def generate(
    model: Any,
    params: Params,
    prompts: Prompts,
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    ending: Ending | None = None,
    seed: int = 0,
    on_tokens: TokenCallback | None = None,
    strict_length: bool = False,
) -> list[np.ndarray]:
    """The new tokens of each row, up to its end; see `Decoder.generate`.

    The decoder of a model object is kept, so that further calls compile nothing.
    """
    decoder = next((d for d in _decoders if d._model is model), None)
    if decoder is None:
        decoder = Decoder(model)
        _decoders[:] = [decoder, *_decoders[:3]]
    generation = decoder.generate(
        params,
        prompts,
        max_tokens=max_tokens,
        sampling=Sampling(temperature, top_k, top_p),
        ending=ending,
        seed=seed,
        on_tokens=on_tokens,
        strict_length=strict_length,
    )
    return [row[row >= 0] for row in generation.tokens]
