"""Beam search: one implementation for every model that has a carry (law 1)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import RunFailure, UserError
from seqmodels.decoding.prefill import Prefill, Prompts, choose_capacity, position_limit, readout
from seqmodels.decoding.unstacked import Stacks
from seqmodels.protocols import Model
from seqmodels.types import Carry, Params

_WIDTH_STEP = 64  # room for tokens is a multiple, so that few programs are compiled
_BLOCK = 8  # steps that the device makes before the host looks for certain tokens
_LEAST_ATTENTION = 1e-9  # a source token without attention costs log of this, not infinity

TokenCallback = Callable[[np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One result of a search.

    Attributes:
      tokens: [n] int32, without prompt and end.
      log_probability: in nats, that of the end included.
      score: the number that hypotheses are ranked by; see `Beam`.
    """

    tokens: np.ndarray
    log_probability: float
    score: float


class _Finished(NamedTuple):
    """Best finished hypotheses of each row, best first; score -inf = none."""

    tokens: Int[Array, "B K W"]
    lengths: Int[Array, "B K"]
    totals: Float[Array, "B K"]
    scores: Float[Array, "B K"]


class _State(NamedTuple):
    """State of a search: live hypotheses (total -inf = none) and finished ones.

    Attributes:
      step: number of tokens of each live hypothesis.
      carry, logits: of the model after those tokens; axis 0 is B * K, and B of a memory.
      totals: log probabilities of the live hypotheses.
    """

    step: Int[Array, ""]
    carry: Carry
    logits: Float[Array, "BK V"]
    tokens: Int[Array, "B K W"]
    totals: Float[Array, "B K"]
    finished: _Finished


class _Settings(NamedTuple):
    """Settings that are traced: other values need no other program."""

    end: Any
    never: Any
    num_ranked: Any
    length_penalty: Any
    min_tokens: Any
    max_tokens: Any


def _penalty(length: Any, settings: _Settings) -> Array:
    return ((5.0 + length) / 6.0) ** settings.length_penalty


def _map_hypotheses(change: Callable[[Array], Array], carry: Carry) -> Carry:
    """Changes the rows of a carry but for its memory, which all hypotheses of a row share."""
    if not isinstance(carry, Mapping) or "memory" not in carry:
        return jax.tree.map(change, carry)
    own = {name: part for name, part in carry.items() if name != "memory"}
    return {**jax.tree.map(change, own), "memory": carry["memory"]}


def _repeat_rows(tree: Any, size: int) -> Any:
    """Repeats each row `size` times, next to itself."""
    return jax.tree.map(lambda x: jnp.repeat(x, size, axis=0), tree)


def _take(x: Array, index: Int[Array, "B K"]) -> Array:
    """Takes the hypotheses `index` of each row of x [B, K, ...]."""
    return jnp.take_along_axis(x, index.reshape(*index.shape, *[1] * (x.ndim - 2)), axis=1)


def _merge(finished: _Finished, new: _Finished) -> _Finished:
    """Keeps the best of both; among equal scores the older first."""
    both = jax.tree.map(lambda *pair: jnp.concatenate(pair, axis=1), finished, new)
    _, best = jax.lax.top_k(both.scores, finished.scores.shape[1])
    return jax.tree.map(lambda x: _take(x, best), both)


def _continuations(state: _State, settings: _Settings) -> Float[Array, "B KV"]:
    """Log probabilities of the live hypotheses followed by each token."""
    batch, size = state.totals.shape
    logs = jax.nn.log_softmax(state.logits, axis=-1).reshape(batch, size, -1)
    token = jnp.arange(logs.shape[-1])
    grows = (token != settings.never) & (state.step < settings.max_tokens)
    allowed = jnp.where(token == settings.end, state.step >= settings.min_tokens, grows)
    totals = jnp.where(allowed[None, None], state.totals[..., None] + logs, -jnp.inf)
    return totals.reshape(batch, -1)


def _advance(model: Model, params: Params, settings: _Settings, state: _State) -> _State:
    """Takes the K best continuations: those that end are finished, the others live on.

    A row is done when no live hypothesis can enter its ranked ones. A total only falls, and the
    penalty that divides it is largest at the greatest length, so that no score can exceed

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
    finished = _merge(state.finished, _Finished(tokens, lengths, totals, scores))
    totals = jnp.where(chosen == settings.end, -jnp.inf, totals)
    bound = totals.max(axis=1) / _penalty(settings.max_tokens + 1, settings)
    done = bound <= jnp.take(finished.scores, settings.num_ranked - 1, axis=1)
    totals = jnp.where(done[:, None], -jnp.inf, totals)
    rows = (jnp.arange(batch)[:, None] * size + parents).reshape(-1)
    carry = _map_hypotheses(lambda x: x[rows], state.carry)
    features, carry = model.apply({"params": params}, chosen.reshape(-1, 1), carry, train=False)
    logits = readout(model, params, features[:, 0])
    return _State(state.step + 1, carry, logits, tokens, totals, finished)


def _begin(carry: Carry, logits: Float[Array, "B V"], size: int, width: int) -> _State:
    """One hypothesis per row, without a token."""
    batch = len(logits)
    tokens = jnp.zeros((batch, size, width), jnp.int32)
    nothing = jnp.full((batch, size), -jnp.inf, jnp.float32)
    finished = _Finished(tokens, jnp.zeros((batch, size), jnp.int32), nothing, nothing)
    # All hypotheses of a beam are equal at first: only one counts.
    totals = nothing.at[:, 0].set(0.0)
    return _State(
        jnp.int32(0),
        _map_hypotheses(lambda x: jnp.repeat(x, size, axis=0), carry),
        _repeat_rows(logits, size),
        tokens,
        totals,
        finished,
    )


def _search(
    model: Model, params: Params, settings: _Settings, state: _State, until: Int[Array, ""]
) -> tuple[_State, Array]:
    """Searches up to the step `until`; returns the state and whether the search is unfinished.

    It is finished when every row is done, or at the greatest length.
    """
    unfinished = lambda s: (s.step <= settings.max_tokens) & jnp.any(s.totals > -jnp.inf)
    stacks = Stacks(params)
    layers = stacks.unstack(params)
    state = jax.lax.while_loop(
        lambda s: unfinished(s) & (s.step < until),
        lambda s: _advance(model, stacks.stack(layers), settings, s),
        state,
    )
    return state, unfinished(state)


def _cover(
    model: Model,
    params: Params,
    memory: Any,
    inputs: Int[Array, "B K T"],
    finished: _Finished,
    weight: Float[Array, ""],
) -> _Finished:
    """Ranks finished hypotheses again, with the coverage penalty (Wu et al., 2016).

        score + weight * sum_s log(min(sum_t attention[t, s], 1))

    Args:
      memory: of the encoder.
      inputs: the hypotheses after their prompts of one token each.
    """
    batch, size, length = inputs.shape
    memory = _repeat_rows(memory, size)
    flat = inputs.reshape(batch * size, length)
    attention = model.apply({"params": params}, flat, memory, method="align")  # [BK, T, S]
    steps = jnp.arange(length)[None] <= finished.lengths.reshape(-1, 1)
    coverage = jnp.where(steps[..., None], attention, 0.0).sum(axis=1)
    costs = jnp.log(jnp.clip(coverage, _LEAST_ATTENTION, 1.0))
    costs = jnp.where(memory["segments"] > 0, costs, 0.0).sum(axis=1)
    scores = finished.scores + weight * costs.reshape(batch, size)
    nothing = jax.tree.map(lambda x: x[:, :0], finished)
    return _merge(finished._replace(scores=scores), nothing)


class BeamSearch:
    """Searches with one model, and keeps the programs that it compiles.

    The results of a row are a function of params, prompt and source: they do not depend on other
    rows or on padding (except for the rounding of other shapes). There is one program for each
    number of rows, beam size, capacity and width of the source; prompts are read by `Prefill`.
    """

    def __init__(self, model: Model) -> None:
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
        on_certain: TokenCallback | None = None,
    ) -> list[list[Hypothesis]]:
        """Finds the best continuations of each prompt.

        Args:
          params: arrays, unboxed.
          prompts: one or more arrays of tokens, of any lengths above 0.
          end: the token that ends a text.
          beam: settings of the search.
          source: tokens and segment ids [B, S], for a model with an encoder.
          never: a token that no text contains, such as <bos>; -1 = none.
          on_certain: called with the next tokens [n] of the first row's best text, as soon as all
            texts that can still become the best begin with them.

        Returns:
          Up to `beam.num_best` hypotheses for each row, at least one, best first.

        Raises:
          UserError: prompt and max_tokens need more positions than the model has, or the model
            has no alignment for a coverage penalty.
          RunFailure: no text has a finite probability.
          ValueError: a coverage penalty, and a prompt of several tokens or `on_certain`.
        """
        check_beam(self._model, beam, max(len(p) for p in prompts))
        if beam.coverage_penalty and any(len(p) != 1 for p in prompts):
            raise ValueError("a coverage penalty needs prompts of one token")
        if beam.coverage_penalty and on_certain is not None:
            raise ValueError("with a coverage penalty no token is certain before the end")
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
        finished = self._run(params, settings, state, on_certain)
        if covers:
            first = np.array([p[-1:] for p in prompts], np.int32)[:, None]
            first = np.repeat(first, beam.size, axis=1)
            inputs = jnp.concatenate([first, finished.tokens], axis=2)
            weight = np.float32(beam.coverage_penalty)
            finished = self._cover(params, memory, inputs, finished, weight)
        return _collect(jax.device_get(finished), beam.num_best)

    def _run(
        self, params: Params, settings: _Settings, state: _State, on_certain: TokenCallback | None
    ) -> _Finished:
        """Searches to the end, and reports the certain tokens in between."""
        block = int(settings.max_tokens) + 1 if on_certain is None else _BLOCK
        step, reported, unfinished = 0, 0, True
        while unfinished:
            step += block
            state, unfinished = self._search(params, settings, state, np.int32(step))
            if on_certain is not None:
                certain = _certain_prefix(jax.device_get(state._replace(carry=None, logits=None)))
                if len(certain) > reported:
                    on_certain(certain[reported:])
                reported = len(certain)
        return state.finished


def _certain_prefix(state: Any) -> np.ndarray:
    """Tokens that the best text of the first row begins with, whichever it will be.

    It is the best finished one, or a continuation of a live one.
    """
    live = np.flatnonzero(np.isfinite(state.totals[0]))
    texts = [state.tokens[0, k, : state.step] for k in live]
    if np.isfinite(state.finished.scores[0, 0]):
        texts.append(state.finished.tokens[0, 0, : state.finished.lengths[0, 0]])
    shortest = min(map(len, texts), default=0)
    if not shortest:
        return np.zeros(0, np.int32)
    parts = np.stack([text[:shortest] for text in texts])
    equal = (parts == parts[:1]).all(axis=0)
    return parts[0, : np.cumprod(equal).sum()]


def _encode(model: Model, params: Params, source: Array, segment_ids: Array) -> Any:
    return model.apply(
        {"params": params}, source, segment_ids=segment_ids, train=False, method="encode"
    )


def check_beam(model: Model, beam: Beam, prompt_length: int) -> None:
    """Rejects a search that the model cannot do, before anything is computed.

    Raises:
      UserError: see `BeamSearch`.
    """
    limit, needed = position_limit(model), prompt_length + beam.max_tokens
    if limit is not None and needed > limit:
        raise UserError(
            f"--max_tokens={beam.max_tokens}: the model has max_length = {limit}; with a prompt of "
            f"{prompt_length} it must be at most {limit - prompt_length}"
        )
    if beam.coverage_penalty and not getattr(model, "aligns", False):
        raise UserError(
            f"--coverage_penalty={beam.coverage_penalty}: this {model.config.kind} gives no "
            "weights to the tokens of a source; allowed is 0"
        )


def _collect(finished: Any, num_best: int) -> list[list[Hypothesis]]:
    """Makes hypotheses from a `_Finished` on the host."""
    if not np.isfinite(finished.scores[:, 0]).all():
        raise RunFailure("no text that ends was found: the model gives no finite probabilities")
    return [
        [
            Hypothesis(
                finished.tokens[row, k, : finished.lengths[row, k]], float(total), float(score)
            )
            for k in range(num_best)
            for total, score in [(finished.totals[row, k], finished.scores[row, k])]
            if np.isfinite(score)
        ]
        for row in range(len(finished.scores))
    ]
