"""Linear recurrences h_t = a_t h_(t-1) + b_t over a chunk, and attention as one of them.

Where the mesh has an axis `sequence` that divides the chunk, its devices each compute a part of it.

A document starts where a = 0, and padding has a = 1 and b = 0: see `with_segments`.
"""

from __future__ import annotations

import enum
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Inexact

from seqmodels.ops.sequence_axis import SEQUENCE, sequence_devices

CHUNK = 64
"""Number of steps in a chunk of the chunked form."""

Parts = tuple[Array, ...]
"""A real array, or the real and the imaginary part of a complex one. An associative scan over
complex numbers compiles ten times slower than one over two real arrays."""


class ScanForm(enum.Enum):
    """Algorithms for a linear recurrence; all agree up to rounding.

    sequential: T steps, each on [B, N]; least work, best on a CPU.
    associative: log2(T) rounds over all of [B, T, N]; twice the work.
    chunked: associative inside chunks of `CHUNK`, then one step per chunk.
    """

    SEQUENTIAL = "sequential"
    ASSOCIATIVE = "associative"
    CHUNKED = "chunked"


def choose_form() -> ScanForm:
    """The form for the platform that programs are traced for.

    On a CPU the form with the least work is fastest, and an associative scan takes seconds to
    compile. On a GPU or TPU each of T small steps costs a launch, so few rounds are faster.
    """
    return ScanForm.SEQUENTIAL if jax.default_backend() == "cpu" else ScanForm.ASSOCIATIVE


def linear_scan(
    a: Inexact[Array, "B T N"],
    b: Inexact[Array, "B T N"],
    initial: Inexact[Array, "B N"],
    form: ScanForm | None = None,
) -> Inexact[Array, "B T N"]:
    """h_t = a_t * h_(t-1) + b_t, element by element, all real or all complex.

    Where a_t is 0, h_t is b_t, even after a NaN. The gradient (reverse mode only) is written by
    hand for all forms, and is the same recurrence from the end:

        g_t = dh_t + conj(a_(t+1)) g_(t+1),   db_t = g_t,   da_t = conj(h_(t-1)) g_t

    Sources: Blelloch, 1990, CMU-CS-90-190; Martin and Cundy, 2018, arXiv:1709.04057.

    Args:
      a: [B, T, N], T > 0.
      b: [B, T, N].
      initial: h before the chunk [B, N].
      form: None = `choose_form()`.

    Returns:
      h [B, T, N]; the state after the chunk is h[:, -1].
    """
    split = lambda x: (x.real, x.imag) if jnp.iscomplexobj(x) else (x,)
    hs: Any = _scan(form or choose_form(), split(a), split(b), split(initial))
    return hs[0] if len(hs) == 1 else lax.complex(*hs)


def with_segments(
    a: Inexact[Array, "B T N"],
    b: Inexact[Array, "B T N"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart: Inexact[Array, "R N"] | None = None,
) -> tuple[Inexact[Array, "B T N"], Inexact[Array, "B T N"]]:
    """Coefficients of a recurrence that restarts with each document and skips padding.

    Args:
      a: [B, T, N].
      b: [B, T, N].
      starts: of `ops.positions.advance`: where True, a becomes 0 and b grows by a * restart.
      valid: of `ops.positions.advance`: where False, a becomes 1 and b 0.
      restart: state [B or 1, N] before a document; None = zeros.
    """
    if starts is not None:
        start = starts[..., None]
        if restart is not None:
            b = b + jnp.where(start, a * jnp.broadcast_to(restart[:, None], a.shape), 0.0)
        a = jnp.where(start, 0.0, a)
    if valid is not None:
        a, b = jnp.where(valid[..., None], a, 1.0), jnp.where(valid[..., None], b, 0.0)
    return a, b


def _times(x: Parts, y: Parts) -> Parts:
    if len(x) == 1:
        return (x[0] * y[0],)
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def _conjugate(x: Parts) -> Parts:
    return x if len(x) == 1 else (x[0], -x[1])


def _step(a: Parts, b: Parts, h: Parts) -> Parts:
    """a h + b, and b alone where a is 0, so that a NaN in h is not passed on."""
    return tuple(x + y for x, y in zip(_passed(a, h), b, strict=True))


def _passed(a: Parts, h: Parts) -> Parts:
    """a h, and 0 where a is 0, even where h is NaN."""
    stops = functools.reduce(jnp.logical_and, [part == 0 for part in a])
    return tuple(jnp.where(stops, 0.0, x) for x in _times(a, h))


def _join(early: tuple[Parts, Parts], late: tuple[Parts, Parts]) -> tuple[Parts, Parts]:
    """Two steps combined into one: (a_2 a_1, a_2 b_1 + b_2)."""
    return _passed(late[0], early[0]), _step(late[0], late[1], early[1])


def _sequential(a: Parts, b: Parts, initial: Parts, reverse: bool) -> Parts:
    def body(h: Parts, moment: tuple[Parts, Parts]) -> tuple[Parts, Parts]:
        a, b = moment
        h = _step(a, b, h)
        return h, h

    moments = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (a, b))
    _, hs = lax.scan(body, initial, moments, reverse=reverse)
    return tuple(jnp.swapaxes(h, 0, 1) for h in hs)


def _associative(a: Parts, b: Parts, initial: Parts, reverse: bool) -> Parts:
    first = -1 if reverse else 0
    begun = _step(tuple(x[:, first] for x in a), tuple(x[:, first] for x in b), initial)
    b = tuple(x.at[:, first].set(y) for x, y in zip(b, begun, strict=True))
    return lax.associative_scan(_join, (a, b), axis=1, reverse=reverse)[1]


def _chunked(a: Parts, b: Parts, initial: Parts, reverse: bool) -> Parts:
    if reverse:
        flip = lambda parts: tuple(jnp.flip(x, 1) for x in parts)
        return flip(_chunked(flip(a), flip(b), initial, False))
    batch_size, length, size = a[0].shape
    padding = ((0, 0), (0, -length % CHUNK), (0, 0))
    cut = lambda x: jnp.pad(x, padding).reshape(batch_size, -1, CHUNK, size)
    a, b = (tuple(cut(x) for x in parts) for parts in (a, b))
    a, b = lax.associative_scan(_join, (a, b), axis=2)  # [B, chunks, CHUNK, N], from h = 0
    last = lambda parts: tuple(x[:, :, -1] for x in parts)
    after = _sequential(last(a), last(b), initial, False)
    before = tuple(
        jnp.concatenate([first[:, None], h[:, :-1]], axis=1)[:, :, None]
        for first, h in zip(initial, after, strict=True)
    )
    before = tuple(jnp.broadcast_to(h, a[0].shape) for h in before)
    return tuple(h.reshape(batch_size, -1, size)[:, :length] for h in _step(a, b, before))


_FORMS = {
    ScanForm.SEQUENTIAL: _sequential,
    ScanForm.ASSOCIATIVE: _associative,
    ScanForm.CHUNKED: _chunked,
}


def _run(form: ScanForm, a: Parts, b: Parts, initial: Parts, reverse: bool) -> Parts:
    """The recurrence; where the mesh splits time and divides it, over devices."""
    size = sequence_devices()
    if size == 1 or a[0].shape[1] % size:
        return _FORMS[form](a, b, initial, reverse)
    parts = PartitionSpec(None, SEQUENCE)
    across = jax.shard_map(
        functools.partial(_across, form, reverse),
        in_specs=(parts, parts, PartitionSpec()),
        out_specs=parts,
        axis_names={SEQUENCE},
        check_vma=False,
    )
    return across(a, b, initial)


def _across(form: ScanForm, reverse: bool, a: Parts, b: Parts, initial: Parts) -> Parts:
    """The steps of one device, [B, T / n, N].

    A device summarises its steps as h -> A h + B: A is the product of its decays, B the state that
    it reaches from 0. The n pairs (A, B) are gathered, and an associative scan over them gives the
    state before each device, from which its steps are computed.
    """
    last = 0 if reverse else -1
    alone = _FORMS[form](a, b, tuple(map(jnp.zeros_like, initial)), reverse)
    pair = (_product(a), tuple(x[:, last] for x in alone))
    pairs = jax.tree.map(lambda x: lax.all_gather(x, SEQUENCE), pair)  # [n, B, N]
    upto = lax.associative_scan(_join, pairs, axis=0, reverse=reverse)
    here, count = lax.axis_index(SEQUENCE), len(upto[0][0])
    previous = here + (1 if reverse else -1)
    is_first = (previous < 0) | (previous >= count)
    at = lambda parts: tuple(x[jnp.clip(previous, 0, count - 1)] for x in parts)
    reached = _step(at(upto[0]), at(upto[1]), initial)
    before = tuple(jnp.where(is_first, *both) for both in zip(initial, reached, strict=True))
    return _FORMS[form](a, b, before, reverse)


def _product(a: Parts) -> Parts:
    """The product over time, [B, N]."""
    if len(a) == 1:
        return (jnp.prod(a[0], axis=1),)
    product = jnp.prod(lax.complex(*a), axis=1)
    return product.real, product.imag


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(form: ScanForm, a: Parts, b: Parts, initial: Parts) -> Parts:
    return _run(form, a, b, initial, False)


def _scan_forward(form: ScanForm, a: Parts, b: Parts, initial: Parts) -> tuple[Parts, Any]:
    hs: Any = _scan(form, a, b, initial)
    return hs, (a, initial, hs)


def _scan_backward(form: ScanForm, saved: Any, d_hs: Parts) -> tuple[Parts, Parts, Parts]:
    a, initial, hs = saved
    a = _conjugate(a)
    # Step t is followed by a_(t+1); nothing follows the last step.
    shifted = tuple(jnp.concatenate([x[:, 1:], jnp.zeros_like(x[:, :1])], axis=1) for x in a)
    g = _run(form, shifted, d_hs, tuple(map(jnp.zeros_like, initial)), True)
    before = tuple(
        jnp.concatenate([first[:, None], h[:, :-1]], axis=1)
        for first, h in zip(initial, hs, strict=True)
    )
    d_initial = _times(tuple(x[:, 0] for x in a), tuple(x[:, 0] for x in g))
    return _times(_conjugate(before), g), g, d_initial


_scan.defvjp(_scan_forward, _scan_backward)


class SoftmaxState(NamedTuple):
    """State of running attention: the largest score, and two sums over exp(score - largest).

    Attributes:
      maximum: [B, H], the largest score so far; `NOTHING` where there was none.
      total: [B, H], sum of the exponentials.
      weighted: [B, H, K], sum of the values weighted by them.
    """

    maximum: Float[Array, "B H"]
    total: Float[Array, "B H"]
    weighted: Float[Array, "B H K"]

    def average(self) -> Float[Array, "B H K"]:
        """The result of the attention; 0 where there was no score."""
        total = self.total[..., None]
        return self.weighted / jnp.where(total > 0, total, 1.0)


NOTHING = -1e30
"""Maximum over no scores; finite, so that the difference of two is finite too."""


def empty_softmax_state(batch_size: int, num_heads: int, head_dim: int) -> SoftmaxState:
    """The state before any score."""
    rows = (batch_size, num_heads)
    maximum = jnp.full(rows, NOTHING, jnp.float32)
    return SoftmaxState(maximum, jnp.zeros(rows), jnp.zeros((*rows, head_dim)))


def running_softmax(
    scores: Float[Array, "B T H"],
    values: Float[Array, "B T H K"],
    state: SoftmaxState,
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart: SoftmaxState | None = None,
    form: ScanForm | None = None,
) -> tuple[Float[Array, "B T H K"], SoftmaxState]:
    """Attention of one query to all tokens so far, at every step (Aaren's reduction).

        m_t = max(m_(t-1), s_t)
        u_t = exp(m_(t-1) - m_t) u_(t-1) + exp(s_t - m_t)
        w_t = exp(m_(t-1) - m_t) w_(t-1) + exp(s_t - m_t) v_t
        o_t = w_t / u_t  =  sum_(i<=t) exp(s_i) v_i / sum_(i<=t) exp(s_i)

    Source: Feng et al., 2024, arXiv:2405.13956. They scan over (m, u, w) at once; here m is scanned
    first, and the rest is `linear_scan`. No exponent is above 0 and u >= 1, so no score overflows.
    o is the same for any m, which is therefore treated as a constant by the gradient.

    Args:
      scores: s [B, T, H].
      values: v [B, T, H, K].
      state: of the tokens before the chunk.
      starts: where a document starts; None = nowhere.
      valid: False at padding, which leaves the state unchanged and gives 0; None = all True.
      restart: state before a document, axis 0 as in `state`; None = the empty state.
      form: None = `choose_form()`.

    Returns:
      o [B, T, H, K] float32, and the state after the chunk.
    """
    batch_size, length, num_heads, head_dim = values.shape
    flat = (batch_size, length, num_heads * (head_dim + 1))
    form = form or choose_form()
    if restart is None:
        restart = empty_softmax_state(batch_size, num_heads, head_dim)
    scores = scores.astype(jnp.float32)
    before, maximum = _running_maximum(scores, state, restart, starts, valid, form)
    exponent = scores - maximum
    if valid is not None:
        exponent = jnp.where(valid[..., None], exponent, 0.0)
    weight = jnp.exp(exponent)[..., None]
    # The sum is the weighted sum of ones.
    b = jnp.concatenate([weight, weight * values.astype(jnp.float32)], axis=-1)
    a = jnp.broadcast_to(jnp.exp(before - maximum)[..., None], b.shape)
    a, b = with_segments(a.reshape(flat), b.reshape(flat), starts, valid, _sums(restart))
    sums = linear_scan(a, b, _sums(state), form)
    sums = sums.reshape(batch_size, length, num_heads, head_dim + 1)
    total, weighted = sums[..., :1], sums[..., 1:]
    outputs = weighted / jnp.where(total > 0, total, 1.0)
    if valid is not None:
        outputs = jnp.where(valid[..., None, None], outputs, 0.0)
    after = SoftmaxState(maximum[:, -1], total[:, -1, :, 0], weighted[:, -1])
    return outputs, after


def running_weights(
    scores: Float[Array, "B T H"],
    state: SoftmaxState,
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart: SoftmaxState | None = None,
) -> Float[Array, "B H T S"]:
    """The weight of each token of the chunk at every step of `running_softmax`.

    A row adds up to 1 less the weight of what came before the chunk or is learned.
    """
    batch_size, length, heads = scores.shape
    nothing = lambda of: of._replace(weighted=jnp.zeros((*of.total.shape, length)))
    places = jnp.broadcast_to(jnp.eye(length)[None, :, None], (batch_size, length, heads, length))
    again = None if restart is None else nothing(restart)
    weights, _ = running_softmax(scores, places, nothing(state), starts, valid, again)
    return jnp.swapaxes(weights, 1, 2)


def _sums(state: SoftmaxState) -> Float[Array, "B N"]:
    joined = jnp.concatenate([state.total[..., None], state.weighted], axis=-1)
    return joined.reshape(joined.shape[0], -1)


def _running_maximum(
    scores: Array, state: SoftmaxState, restart: SoftmaxState, starts: Any, valid: Any, form: Any
) -> tuple[Float[Array, "B T H"], Float[Array, "B T H"]]:
    """m before and after each token, [B, T, H] each; constants to the gradient."""
    scores, first, begin = map(lax.stop_gradient, (scores, state.maximum, restart.maximum))
    if valid is not None:
        scores = jnp.where(valid[..., None], scores, NOTHING)
    if starts is None:
        reached = lax.cummax(jnp.concatenate([first[:, None], scores], axis=1), axis=1)
        return reached[:, :-1], reached[:, 1:]
    fresh = jnp.broadcast_to(starts[..., None], scores.shape)
    begin = jnp.broadcast_to(begin[:, None], scores.shape)
    scores = jnp.where(fresh, jnp.maximum(scores, begin), scores)

    def join(early: tuple[Array, Array], late: tuple[Array, Array]) -> tuple[Array, Array]:
        largest = jnp.where(late[0], late[1], jnp.maximum(early[1], late[1]))
        return early[0] | late[0], largest

    start = (jnp.zeros_like(fresh[:, 0]), first)
    if form is ScanForm.SEQUENTIAL:
        step = lambda state, moment: ((state := join(state, moment)), state[1])
        moments = (jnp.swapaxes(fresh, 0, 1), jnp.swapaxes(scores, 0, 1))
        reached = jnp.swapaxes(lax.scan(step, start, moments)[1], 0, 1)
    else:
        scores = scores.at[:, 0].set(join(start, (fresh[:, 0], scores[:, 0]))[1])
        reached = lax.associative_scan(join, (fresh, scores), axis=1)[1]
    before = jnp.concatenate([first[:, None], reached[:, :-1]], axis=1)
    return jnp.where(fresh, begin, before), reached
