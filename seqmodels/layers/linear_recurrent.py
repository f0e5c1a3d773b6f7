"""Cells that are linear in their state, so that a whole chunk is one scan.

See `layers.cells` for the interface of a cell.
"""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.layers.cells import Join, RecurrentCell
from seqmodels.layers.dense import Dense, Initializer
from seqmodels.layers.record import record, record_all
from seqmodels.layers.sharding import parameter
from seqmodels.ops.scan import (
    SoftmaxState,
    empty_softmax_state,
    linear_scan,
    running_softmax,
    running_weights,
    with_segments,
)


def _padded(y: Array, valid: Any) -> Array:
    return y if valid is None else jnp.where(valid[..., None], y, 0.0)


class _GatedCell(RecurrentCell):
    """Base of minGRU and minLSTM: h' = a * h + b, with a and b functions of x only, in float32."""

    num_parts: ClassVar[int]
    splits_time: ClassVar[bool] = True

    def setup(self) -> None:
        size = self.num_parts * self.hidden_dim
        common = {"dtype": self.dtype, "output_dtype": jnp.float32, "gather_once": True}
        self.gates = Dense(size, ("embed", "gates"), **common)
        if self.learned_initial_state:
            zeros = nn.initializers.zeros
            self.first = parameter(self, "initial_state", zeros, ("hidden",), (self.hidden_dim,))

    @abc.abstractmethod
    def coefficients(self, *parts: Float[Array, "B T N"]) -> tuple[Array, Array]:
        """a and b [B, T, N], computed from the parts of the product."""

    def initial_state(self, batch_size: int) -> Float[Array, "B N"]:
        """The learned state or zeros, [B, N]."""
        shape = (batch_size, self.hidden_dim)
        if self.learned_initial_state:
            return jnp.broadcast_to(self.first[None], shape)
        return jnp.zeros(shape)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: Float[Array, "B N"],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
        a, b = self.coefficients(*jnp.split(self.gates(x), self.num_parts, axis=-1))
        restart = self.first[None] if self.learned_initial_state else None
        h = linear_scan(*with_segments(a, b, starts, valid, restart), state)
        record_all(self, lambda: {"decay": a, "input": b, "hidden": _padded(h, valid)})
        return _padded(h, valid).astype(self.dtype), h[:, -1]


class MinGRUCell(_GatedCell):
    """A GRU whose gate does not see the state (Feng et al., 2024, arXiv:2410.01201).

        z, n = split(x W + b, 2)                               # [B, N]
        h' = (1 - sigmoid(z)) * h + sigmoid(z) * n

    n is as in the paper's equations. The paper's log-space form applies a positive function to n,
    has an error of 5e-3 at T = 4096, and has no zero to restart from.
    """

    num_parts: ClassVar[int] = 2

    def coefficients(self, *parts: Float[Array, "B T N"]) -> tuple[Array, Array]:
        z, new = parts
        return nn.sigmoid(-z), nn.sigmoid(z) * new


class MinLSTMCell(_GatedCell):
    """An LSTM whose gates do not see the state and add up to 1 (Feng et al., 2024,
    arXiv:2410.01201).

        f, i, n = split(x W + b, 3)                            # [B, N]
        f, i = sigmoid(f), sigmoid(i)
        h' = f / (f + i) * h + i / (f + i) * n

    As in `MinGRUCell`, no positive function is applied to n.
    """

    num_parts: ClassVar[int] = 3

    def coefficients(self, *parts: Float[Array, "B T N"]) -> tuple[Array, Array]:
        forget, take, new = parts
        # f / (f + i) = sigmoid(log f - log i), accurate where both gates are nearly closed.
        odds = nn.log_sigmoid(forget) - nn.log_sigmoid(take)
        return nn.sigmoid(odds), nn.sigmoid(-odds) * new


class LRUState(NamedTuple):
    """Real and imaginary part of the state of an LRU, each [B, N] float32."""

    real: Float[Array, "B N"]
    imaginary: Float[Array, "B N"]


class LRUCell(RecurrentCell):
    """Linear recurrent unit: a diagonal, complex recurrence (Orvieto et al., 2023,
    arXiv:2303.06349).

        lambda = exp(-exp(nu) + i exp(theta))                  # [N], inside the unit circle
        h' = lambda * h + exp(gamma) * (x B)                   # [B, N], B complex [D, N]
        y  = Re(h' C) + x S                                    # C complex [N, N], S real [D, N]

    The eigenvalues start spread evenly over the ring between two radii, and exp(gamma) starts at
    sqrt(1 - |lambda|^2), which keeps the state as large as its input. All parameters are real; a
    complex one is stored as its real and imaginary part. In the paper's blocks, where D = N, S is
    diagonal.

    Attributes:
      min_radius, max_radius: radii of the ring.
    """

    splits_time: ClassVar[bool] = True
    min_radius: float = 0.9
    max_radius: float = 0.999

    def setup(self) -> None:
        size, names = self.hidden_dim, ("hidden",)
        self.nu = parameter(self, "nu", self._ring_init, names, (size,))
        self.theta = parameter(self, "theta", self._angle_init, names, (size,))
        self.gamma = parameter(self, "gamma", self._scale_init, names, (size,))
        normal = lambda scale: nn.initializers.variance_scaling(scale, "fan_in", "normal")
        common = {"use_bias": False, "dtype": self.dtype, "output_dtype": jnp.float32}
        common |= {"gather_once": True}
        # Standard deviations 1 / sqrt(2 D) and 1 / sqrt(N) of each part, as in the authors' code.
        self.input = Dense(2 * size, ("embed", "gates"), kernel_init=normal(0.5), **common)
        self.output = Dense(size, ("gates", "hidden"), kernel_init=normal(2.0), **common)
        self.skip = Dense(size, ("embed", "gates"), **common)
        if self.learned_initial_state:
            zeros = nn.initializers.zeros
            self.first = parameter(self, "initial_state", zeros, (None, "hidden"), (2, size))

    def _ring_init(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        """log(-log r) with uniform r^2, which is even over the area of the ring."""
        low, high = self.min_radius**2, self.max_radius**2
        tiny = float(jnp.finfo(dtype).tiny)
        square = jax.random.uniform(key, shape, dtype, max(low, tiny), high)
        return jnp.log(-0.5 * jnp.log(square))

    def _angle_init(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        return jnp.log(jax.random.uniform(key, shape, dtype, 1e-6, 2 * math.pi))

    def _scale_init(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        del key, shape
        return (0.5 * jnp.log(-jnp.expm1(-2 * jnp.exp(self.nu)))).astype(dtype)

    def initial_state(self, batch_size: int) -> LRUState:
        """The learned state or zeros, [B, N] each."""
        shape = (batch_size, self.hidden_dim)
        if self.learned_initial_state:
            return LRUState(*(jnp.broadcast_to(part[None], shape) for part in self.first))
        return LRUState(*(jnp.zeros(shape) for _ in range(2)))

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: LRUState,
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], LRUState]:
        size = jnp.exp(-jnp.exp(self.nu))
        angle = jnp.exp(self.theta)
        eigenvalue = jax.lax.complex(size * jnp.cos(angle), size * jnp.sin(angle))
        driven = self.input(x) * jnp.tile(jnp.exp(self.gamma), 2)[None, None]
        b = jax.lax.complex(*jnp.split(driven, 2, axis=-1))
        a = jnp.broadcast_to(eigenvalue[None, None], b.shape)
        restart = jax.lax.complex(*self.first)[None] if self.learned_initial_state else None
        h = linear_scan(*with_segments(a, b, starts, valid, restart), jax.lax.complex(*state))
        # Re(h C) as one real product: [Re h, -Im h] times the stacked parts of C.
        y = self.output(jnp.concatenate([h.real, -h.imag], axis=-1)) + self.skip(x)
        after = LRUState(h[:, -1].real, h[:, -1].imag)
        states = {"real": h.real, "imaginary": h.imag}
        record_all(self, lambda: {"decay": jnp.broadcast_to(size, h.shape), **states})
        return _padded(y, valid).astype(self.dtype), after


class RunningScores(nn.Module):
    """Scores of each token for a learned query: (t W_q + b_q) (x W_k + b_k) / sqrt(K).

    No keys are computed: W_k times the query is one vector per head.

    Attributes:
      num_heads: H.
      head_dim: K.
      use_bias: whether there are biases b_q and b_k.
      kernel_init: initializer of W_q and W_k.
      dtype: dtype of the product with x; the scores are float32.
    """

    num_heads: int
    head_dim: int
    use_bias: bool
    kernel_init: Initializer
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T H"]:
        size, heads = x.shape[-1], (self.num_heads, self.head_dim)
        flat_init = self.kernel_init

        def kernel_init(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
            return flat_init(key, (size, math.prod(heads)), dtype).reshape(shape)

        zeros, names = nn.initializers.zeros, ("embed", "gates", None)
        token = parameter(self, "query_token", nn.initializers.normal(1.0), ("embed",), (size,))
        query = token @ parameter(self, "query_kernel", kernel_init, names, (size, *heads)).reshape(
            size, -1
        )
        query = query.reshape(heads)
        if self.use_bias:
            query = query + parameter(self, "query_bias", zeros, names[1:], heads)
        query = query / math.sqrt(self.head_dim)
        key_kernel = parameter(self, "key_kernel", kernel_init, names, (size, *heads))
        direction = jnp.einsum("dhk,hk->dh", key_kernel, query)
        scores = jnp.einsum(
            "btd,dh->bth",
            x.astype(self.dtype),
            direction.astype(self.dtype),
            preferred_element_type=jnp.float32,
        )
        if self.use_bias:
            key_bias = parameter(self, "key_bias", zeros, names[1:], heads)
            scores = scores + jnp.einsum("hk,hk->h", key_bias, query)[None, None]
        return scores


class AarenCell(RecurrentCell):
    """Attention as a recurrence: one learned query attends to all tokens so far (Feng et al.,
    2024, arXiv:2405.13956).

        q = t W_q + b_q,   k = x W_k + b_k,   v = x W_v + b_v  # heads of K = N / H
        s = q k / sqrt(K)                                      # [B, H]
        o = sum_(i<=t) exp(s_i) v_i / sum_(i<=t) exp(s_i)      # `ops.scan.running_softmax`
        y = concat(o) W_o + b_o                                # [B, N]

    t is the learned query token [D], the only parameter that a Transformer's attention lacks.

    With `learned_initial_state` a document starts as if a token of learned score and value had been
    read.

    Attributes:
      num_heads: H.
      use_bias: whether the four products have biases.
      kernel_init: initializer of W_q, W_k and W_v.
      output_init: initializer of W_o.
    """

    splits_time: ClassVar[bool] = True
    num_heads: int = 1
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    output_init: Initializer = nn.initializers.lecun_normal()

    def setup(self) -> None:
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"{self.num_heads} heads do not divide width {self.hidden_dim}")
        heads = (self.num_heads, self.hidden_dim // self.num_heads)
        self.scores = RunningScores(*heads, self.use_bias, self.kernel_init, self.dtype)
        common = {"use_bias": self.use_bias, "dtype": self.dtype, "gather_once": True}
        names = ("embed", "gates", None)
        self.value = Dense(heads, names, kernel_init=self.kernel_init, **common)
        names = ("gates", "embed")
        self.out = Dense(self.hidden_dim, names, kernel_init=self.output_init, **common)
        if self.learned_initial_state:
            zeros = nn.initializers.zeros
            self.first_score = parameter(self, "initial_score", zeros, ("gates",), heads[:1])
            self.first_value = parameter(self, "initial_value", zeros, ("gates", None), heads)

    def initial_state(self, batch_size: int) -> SoftmaxState:
        """The empty state, or the state after the learned token."""
        heads = (self.num_heads, self.hidden_dim // self.num_heads)
        if not self.learned_initial_state:
            return empty_softmax_state(batch_size, *heads)
        score = jnp.broadcast_to(self.first_score[None], (batch_size, heads[0]))
        maximum = jax.lax.stop_gradient(score)
        total = jnp.exp(score - maximum)  # 1, but with a gradient
        value = jnp.broadcast_to(self.first_value[None], (batch_size, *heads))
        return SoftmaxState(maximum, total, total[..., None] * value)

    @classmethod
    def merge(cls, forward: SoftmaxState, backward: SoftmaxState, join: Join) -> SoftmaxState:
        """The state after one token of score 0 whose value joins the two averages."""
        value = join("value", forward.average(), backward.average())
        heads = forward.total.shape
        return SoftmaxState(jnp.zeros(heads), jnp.ones(heads), value)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: SoftmaxState,
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], SoftmaxState]:
        restart = self.initial_state(x.shape[0]) if self.learned_initial_state else None
        marks = (starts, valid, restart)
        scores = self.scores(x)
        record(self, "pattern", lambda: running_weights(scores, state, *marks))
        attended, state = running_softmax(scores, self.value(x), state, *marks)
        attended = attended.astype(self.dtype).reshape(*x.shape[:2], -1)
        return _padded(self.out(attended), valid), state
