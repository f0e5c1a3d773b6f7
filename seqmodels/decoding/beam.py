"""Beam search: one implementation for every model that has a carry (law 1)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import RunFailure, UserError
from seqmodels.decoding.prefill import Prefill, Prompts, choose_capacity, position_limit, readout
from seqmodels.types import Carry, Params

_WIDTH_STEP = 64  # room for tokens is a multiple, so that few programs are compiled
_BLOCK = 8  # steps between two looks of the host
_LEAST_ATTENTION = 1e-9  # a source token that nothing looked at costs log of this, not infinity

TokenCallback = Callable[[np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A text that was found.

    Attributes:
      tokens: [n] int32, without prompt and end.
      log_probability: in nats, the end among what is counted.
      score: what it is ranked by; see `Beam`.
    """

    tokens: np.ndarray
    log_probability: float
    score: float


class _Ended(NamedTuple):
    """The best hypotheses of each row that ended, best first; score -inf = none."""

    tokens: Int[Array, "B K W"]
    lengths: Int[Array, "B K"]
    totals: Float[Array, "B K"]
    scores: Float[Array, "B K"]


class _State(NamedTuple):
    """Of the search: the live hypotheses (total -inf = none), and those that ended.

    Attributes:
      step: tokens of each live hypothesis.
      carry, logits: behind them; axis 0 is B * K.
      totals: their log probabilities.
    """

    step: Int[Array, ""]
    carry: Carry
    logits: Float[Array, "BK V"]
    tokens: Int[Array, "B K W"]
    totals: Float[Array, "B K"]
    ended: _Ended


class _Settings(NamedTuple):
    """What of a `Beam` compiles nothing anew."""

    end: Any
    never: Any
    num_ranked: Any
    length_penalty: Any
    min_tokens: Any
    max_tokens: Any


def _penalty(length: Any, settings: _Settings) -> Array:
    return ((5.0 + length) / 6.0) ** settings.length_penalty


def _spread(tree: Any, size: int) -> Any:
    """Each row `size` times, side by side."""
    return jax.tree.map(lambda x: jnp.repeat(x, size, axis=0), tree)


def _take(x: Array, index: Int[Array, "B K"]) -> Array:
    """Hypotheses `index` of each row of x [B, K, ...]."""
    return jnp.take_along_axis(x, index.reshape(*index.shape, *[1] * (x.ndim - 2)), axis=1)


def _merge(ended: _Ended, new: _Ended) -> _Ended:
    """The best of both; of equal scores the older first."""
    both = jax.tree.map(lambda *pair: jnp.concatenate(pair, axis=1), ended, new)
    _, best = jax.lax.top_k(both.scores, ended.scores.shape[1])
    return jax.tree.map(lambda x: _take(x, best), both)


def _continuations(state: _State, settings: _Settings) -> Float[Array, "B KV"]:
    """Log probabilities of the live hypotheses with each token behind them."""
    batch, size = state.totals.shape
    logs = jax.nn.log_softmax(state.logits, axis=-1).reshape(batch, size, -1)
    token = jnp.arange(logs.shape[-1])
    goes_on = (token != settings.never) & (state.step < settings.max_tokens)
    allowed = jnp.where(token == settings.end, state.step >= settings.min_tokens, goes_on)
    totals = jnp.where(allowed[None, None], state.totals[..., None] + logs, -jnp.inf)
    return totals.reshape(batch, -1)


def _advance(model: Any, params: Params, settings: _Settings, state: _State) -> _State:
    """Of all continuations the K best: those with the end have ended, the others live on.

    A row is done when no live hypothesis can enter its ranked ones. Their total only falls, and the
    penalty that divides it is largest at the greatest length, so that none ends with more than

        max_k total_k / lp(max_tokens + 1)
    """
    batch, size = state.totals.shape
    continuations = _continuations(state, settings)
    totals, index = jax.lax.top_k(continuations, size)
    parents, chosen = jnp.divmod(index, continuations.shape[1] // size)
    chosen = chosen.astype(jnp.int32)
    tokens = _take(state.tokens, parents).at[:, :, state.step].set(chosen)
    ends = (chosen == settings.end) & jnp.isfinite(totals)
    scores = jnp.where(ends, totals / _penalty(state.step + 1, settings), -jnp.inf)
    lengths = jnp.broadcast_to(state.step, scores.shape)
    ended = _merge(state.ended, _Ended(tokens, lengths, totals, scores))
    totals = jnp.where(chosen == settings.end, -jnp.inf, totals)
    bound = totals.max(axis=1) / _penalty(settings.max_tokens + 1, settings)
    done = bound <= jnp.take(ended.scores, settings.num_ranked - 1, axis=1)
    totals = jnp.where(done[:, None], -jnp.inf, totals)
    rows = (jnp.arange(batch)[:, None] * size + parents).reshape(-1)
    carry = jax.tree.map(lambda x: x[rows], state.carry)
    features, carry = model.apply({"params": params}, chosen.reshape(-1, 1), carry, train=False)
    logits = readout(model, params, features[:, 0])
    return _State(state.step + 1, carry, logits, tokens, totals, ended)


def _begin(carry: Carry, logits: Float[Array, "B V"], size: int, width: int) -> _State:
    """One hypothesis a row, without a token."""
    batch = len(logits)
    tokens = jnp.zeros((batch, size, width), jnp.int32)
    nothing = jnp.full((batch, size), -jnp.inf, jnp.float32)
    ended = _Ended(tokens, jnp.zeros((batch, size), jnp.int32), nothing, nothing)
    # All rows of a beam are alike at first: one counts.
    totals = nothing.at[:, 0].set(0.0)
    return _State(jnp.int32(0), _spread(carry, size), _spread(logits, size), tokens, totals, ended)


def _search(
    model: Any, params: Params, settings: _Settings, state: _State, until: Int[Array, ""]
) -> tuple[_State, Array]:
    """Searches up to the step `until`; tells whether anything may still come.

    Nothing does when every row is done, and at the greatest length.
    """
    goes_on = lambda s: (s.step <= settings.max_tokens) & jnp.any(s.totals > -jnp.inf)
    state = jax.lax.while_loop(
        lambda s: goes_on(s) & (s.step < until),
        functools.partial(_advance, model, params, settings),
        state,
    )
    return state, goes_on(state)


def _cover(
    model: Any,
    params: Params,
    memory: Any,
    inputs: Int[Array, "B K T"],
    ended: _Ended,
    weight: Float[Array, ""],
) -> _Ended:
    """Ranks hypotheses anew, with the coverage penalty; `inputs` are prompts of one token and they.

    A source token that was looked at once, in sum, or more often costs nothing.
    """
    batch, size, length = inputs.shape
    memory = _spread(memory, size)
    flat = inputs.reshape(batch * size, length)
    attention = model.apply({"params": params}, flat, memory, method="align")  # [BK, T, S]
    steps = jnp.arange(length)[None] <= ended.lengths.reshape(-1, 1)
    looks = jnp.where(steps[..., None], attention, 0.0).sum(axis=1)
    costs = jnp.log(jnp.clip(looks, _LEAST_ATTENTION, 1.0))
    costs = jnp.where(memory["segments"] > 0, costs, 0.0).sum(axis=1)
    scores = ended.scores + weight * costs.reshape(batch, size)
    nothing = jax.tree.map(lambda x: x[:, :0], ended)
    return _merge(ended._replace(scores=scores), nothing)


class BeamSearch:
    """Searches with one model; what is compiled stays with it.

    What is found for a row is a function of params, prompt and source: its neighbours and the
    padding do not enter (but for the rounding of other shapes). Programs are compiled by rows, beam
    size, capacity and, where there is one, the width of the source; prompts are read as in
    `prefill`.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._limit = model, position_limit(model)
        self._prefill = Prefill(model)
        bind = lambda function: functools.partial(function, model)
        self._encode = jax.jit(bind(_encode))
        self._begin = jax.jit(_begin, static_argnums=(2, 3))
        self._search = jax.jit(bind(_search), donate_argnums=2)
        self._cover = jax.jit(bind(_cover))

    def __call__(
        self,
        params: Params,
        prompts: Prompts,
        *,
        end: int,
        beam: Beam,
        source: tuple[np.ndarray, np.ndarray | None] | None = None,
        never: int = -1,
        on_settled: TokenCallback | None = None,
    ) -> list[list[Hypothesis]]:
        """Finds the best texts behind each prompt.

        Args:
          params: arrays, unboxed.
          prompts: one or more arrays of tokens, of any lengths above 0.
          end: the token that ends a text.
          source: tokens and segment ids [B, S], of a model with an encoder.
          never: a token that no text has, such as <bos>; -1 = none.
          on_settled: called with tokens [n] of the first row's best text, in their order, as soon
            as all that may still become the best begin with them.

        Returns:
          Of each row up to `beam.num_best` hypotheses, at least one, best first.

        Raises:
          UserError: prompt and max_tokens need more positions than the model has, or it aligns
            nothing that a coverage penalty could ask for.
          RunFailure: no text has a finite probability.
          ValueError: a coverage penalty, and a prompt of several tokens or `on_settled`.
        """
        check_beam(self._model, beam, max(len(p) for p in prompts))
        if beam.coverage_penalty and any(len(p) != 1 for p in prompts):
            raise ValueError("a coverage penalty is for prompts of one token: texts begun anew")
        if beam.coverage_penalty and on_settled is not None:
            raise ValueError("with a coverage penalty no text is settled before all are there")
        needed = max(len(p) for p in prompts) + beam.max_tokens
        capacity = choose_capacity(needed, self._limit)
        memory = None if source is None else self._encode(params, *source)
        carry, logits = self._prefill(params, prompts, capacity, memory)
        covers = beam.coverage_penalty > 0
        settings = _Settings(
            np.int32(end),
            np.int32(never),
            np.int32(beam.size if covers else beam.num_best),
            np.float32(beam.length_penalty),
            np.int32(beam.min_tokens),
            np.int32(beam.max_tokens),
        )
        width = -(-(beam.max_tokens + 1) // _WIDTH_STEP) * _WIDTH_STEP
        state = self._begin(carry, logits, beam.size, width)
        ended = self._finish(params, settings, state, on_settled)
        if covers:
            first = np.array([p[-1:] for p in prompts], np.int32)[:, None]
            first = np.repeat(first, beam.size, axis=1)
            inputs = jnp.concatenate([first, ended.tokens], axis=2)
            weight = np.float32(beam.coverage_penalty)
            ended = self._cover(params, memory, inputs, ended, weight)
        return _collect(jax.device_get(ended), beam.num_best)

    def _finish(
        self, params: Params, settings: _Settings, state: _State, on_settled: TokenCallback | None
    ) -> _Ended:
        """Searches to the end; looks up now and then where somebody wants to know."""
        block = int(settings.max_tokens) + 1 if on_settled is None else _BLOCK
        step, told, goes_on = 0, 0, True
        while goes_on:
            step += block
            state, goes_on = self._search(params, settings, state, np.int32(step))
            if on_settled is not None:
                settled = _settled(jax.device_get(state._replace(carry=None, logits=None)))
                if len(settled) > told:
                    on_settled(settled[told:])
                told = len(settled)
        return state.ended


def _settled(state: Any) -> np.ndarray:
    """What the best text of the first row begins with, whichever it will be.

    It is the best of those that ended, or goes on from one that lives.
    """
    live = np.flatnonzero(np.isfinite(state.totals[0]))
    texts = [state.tokens[0, k, : state.step] for k in live]
    if np.isfinite(state.ended.scores[0, 0]):
        texts.append(state.ended.tokens[0, 0, : state.ended.lengths[0, 0]])
    shortest = min(map(len, texts), default=0)
    if not shortest:
        return np.zeros(0, np.int32)
    parts = np.stack([text[:shortest] for text in texts])
    alike = (parts == parts[:1]).all(axis=0)
    return parts[0, : np.cumprod(alike).sum()]


def _encode(model: Any, params: Params, source: Array, segment_ids: Array) -> Any:
    return model.apply(
        {"params": params}, source, segment_ids=segment_ids, train=False, method="encode"
    )


def check_beam(model: Any, beam: Beam, prompt_length: int) -> None:
    """Refuses a search that the model cannot do, before anything is computed.

    Raises:
      UserError: see `BeamSearch`.
    """
    limit, needed = position_limit(model), prompt_length + beam.max_tokens
    if limit is not None and needed > limit:
        raise UserError(
            f"--max_tokens={beam.max_tokens}: the model has max_length = {limit}; with a prompt of "
            f"{prompt_length} allowed are up to {limit - prompt_length}"
        )
    if beam.coverage_penalty and not getattr(model, "aligns", False):
        raise UserError(
            f"--coverage_penalty={beam.coverage_penalty}: this {model.config.kind} gives no "
            "weights to the tokens of a source; allowed is 0"
        )


def _collect(ended: Any, num_best: int) -> list[list[Hypothesis]]:
    """Makes texts of an `_Ended` on the host."""
    if not np.isfinite(ended.scores[:, 0]).all():
        raise RunFailure("no text that ends was found: the model gives no finite probabilities")
    return [
        [
            Hypothesis(ended.tokens[row, k, : ended.lengths[row, k]], float(total), float(score))
            for k in range(num_best)
            for total, score in [(ended.totals[row, k], ended.scores[row, k])]
            if np.isfinite(score)
        ]
        for row in range(len(ended.scores))
    ]
