"""Recurrent cells.

A cell is itself a function of a chunk, a subclass of `RecurrentCell` with

    initial_state(batch_size) -> state
    __call__(x [B, T, D], state, starts=None, valid=None) -> (y [B, T, N], state)
    output_of(state) -> y [B, N] of the last step, or None
    merge(forward, backward, join) -> state

where the state is a pytree of float32 arrays whose axis 0 is the batch. No two leaves share a
buffer, because a carry is donated. Where `starts` [B, T] is True, a document begins: the state is
again the one that `initial_state` returns. Where `valid` [B, T] is False, there is padding: the
state stays as it is and y is 0. None means nowhere and everywhere. With `learned_initial_state` the
state before a document is a parameter, shared by `initial_state` and every restart.

Only the cell knows the structure of its state. The cells here multiply the state by a full matrix
(`DenseCell`); those of `layers.linear_recurrent` do not.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.layers.dense import Initializer
from seqmodels.layers.record import record, record_all
from seqmodels.layers.sharding import parameter
from seqmodels.ops.gates import gru_gates, lstm_gates
from seqmodels.ops.lstm import (
    LayerNormLSTMParams,
    LSTMState,
    layer_norm_lstm,
    lstm,
    projected_lstm,
)
from seqmodels.ops.rnn import gru, gru_reset_before, rnn

ZEROS, ONES = nn.initializers.zeros, nn.initializers.ones

Join = Callable[[str, Array, Array], Array]


def gate_init(init: Initializer, num_gates: int) -> Initializer:
    """Initializes the [D, gates * N] kernel of several gates, one gate at a time."""

    def initialize(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        keys = jax.random.split(key, num_gates)
        size = (shape[0], shape[1] // num_gates)
        return jnp.concatenate([init(k, size, dtype) for k in keys], axis=1)

    return initialize


def identity_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """The identity matrix."""
    del key
    return jnp.eye(*shape, dtype=dtype)


def chrono_times(key: Array, size: int, length: int) -> Float[Array, " N"]:
    """log u with u uniform in 1 .. length - 1 (Tallec and Ollivier, 2018, arXiv:1804.11188).

    A gate with bias b keeps sigmoid(b) of the state per step, and so forgets over about 1 + exp(b)
    steps.
    """
    return jnp.log(jax.random.uniform(key, (size,), jnp.float32, 1.0, length - 1.0))


class RecurrentCell(nn.Module):
    """Base of all cells.

    Attributes:
      hidden_dim: N, width of the state.
      learned_initial_state: whether the state before a document is learned, starting from zeros;
        otherwise it is zero.
      dtype: dtype of the products; the state is float32.
      splits_time: whether the steps of a row may be split over devices.
    """

    splits_time: ClassVar[bool] = False
    hidden_dim: int
    learned_initial_state: bool = False
    dtype: Any = jnp.float32

    @property
    def output_dim(self) -> int:
        """Width of the output, N unless the cell projects it."""
        return self.hidden_dim

    @abc.abstractmethod
    def initial_state(self, batch_size: int) -> Any:
        """The state before a document, every leaf [B, ...]."""

    @classmethod
    def output_of(cls, state: Any) -> Float[Array, "B N"] | None:
        """The output of the step that left `state`, or None where the state does not hold it.

        By default a state of one array is the output.
        """
        return state if isinstance(state, jax.Array) else None

    @classmethod
    def merge(cls, forward: Any, backward: Any, join: Join) -> Any:
        """Makes one state of the final states of two directions.

        By default each leaf is joined separately. A cell whose leaves are not free numbers
        overrides this.

        Args:
          forward: state of the cell that reads from the beginning.
          backward: state of the cell that reads from the end.
          join: `join(name, a, b)` maps two arrays of one shape to one of that shape, by parameters
            of that name.
        """
        paths, structure = jax.tree_util.tree_flatten_with_path(forward)
        joined = [
            join(jax.tree_util.keystr(path, simple=True, separator="_") or "state", a, b)
            for (path, a), b in zip(paths, jax.tree.leaves(backward), strict=True)
        ]
        return jax.tree.unflatten(structure, joined)


class DenseCell(RecurrentCell):
    """Cells with one kernel for the input and one for the state, whose arrays are [B, width]."""

    num_gates: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("state",)

    def setup(self) -> None:
        if self.learned_initial_state:
            sizes = zip(self.state_names, self.state_sizes, strict=True)
            self.learned = [
                self._param(f"initial_{name}", ZEROS, ("hidden",), size) for name, size in sizes
            ]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each array of the state."""
        return (self.hidden_dim,) * len(self.state_names)

    def pack(self, *leaves: Float[Array, "B _"]) -> Any:
        """Builds the state from its leaves."""
        return leaves[0]

    def initial_state(self, batch_size: int) -> Any:
        """The state before a document, [B, width] each."""
        if self.learned_initial_state:
            shapes = ((first, (batch_size, *first.shape)) for first in self.learned)
            return self.pack(*(jnp.broadcast_to(first[None], shape) for first, shape in shapes))
        # Separate arrays, because a donated carry must not hold the same buffer twice.
        return self.pack(*(jnp.zeros((batch_size, size)) for size in self.state_sizes))

    def restart_state(self) -> Any:
        """The state before a document, [1, width] each; None = zeros."""
        return self.initial_state(1) if self.learned_initial_state else None

    def bias_init(self, key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        """Initializer of the biases of all gates, [gates * N]."""
        return ZEROS(key, shape, dtype)

    def _param(self, name: str, init: Initializer, names: tuple[str, ...], *shape: int) -> Any:
        return parameter(self, name, init, names, shape)

    def _weights(
        self,
        input_dim: int,
        kernel_init: Initializer | None = None,
        recurrent_kernel_init: Initializer | None = None,
    ) -> tuple[Array, Array, Array]:
        """W [D, gates * N], U [P, gates * N] and b [gates * N]; Glorot and orthogonal gates."""
        spread = kernel_init or gate_init(nn.initializers.glorot_uniform(), self.num_gates)
        square = recurrent_kernel_init or gate_init(nn.initializers.orthogonal(), self.num_gates)
        size, width = self.output_dim, self.num_gates * self.hidden_dim
        kernel = self._param("kernel", spread, ("embed", "gates"), input_dim, width)
        recurrent_kernel = self._param("recurrent_kernel", square, ("hidden", "gates"), size, width)
        return kernel, recurrent_kernel, self._param("bias", self.bias_init, ("gates",), width)


class RNNCell(DenseCell):
    """Elman's network; equation in `ops.rnn.rnn`.

    Attributes:
      relu: max(0, .) in place of tanh.
      identity: with `relu`, whether the recurrent kernel starts as the identity and the kernel with
        a standard deviation of 0.001, so that the state at first adds up its inputs (IRNN: Le et
        al., 2015, arXiv:1504.00941).
    """

    relu: bool = False
    identity: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: Float[Array, "B N"],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
        inits = (nn.initializers.normal(0.001), identity_init) if self.identity else ()
        weights = self._weights(x.shape[-1], *inits)
        moments = (starts, valid, self.restart_state())
        y, state = rnn(x.astype(self.dtype), state, *weights, *moments, relu=self.relu)
        record(self, "hidden", lambda: y)
        return y, state


class _LSTMBase(DenseCell):
    """Base of the cells whose state is an `LSTMState`.

    Attributes:
      forget_bias: initial bias of the forget gate (1: Jozefowicz et al., 2015); other biases are 0.
      chrono_length: if given, forget gates start with biases log(uniform(1, chrono_length - 1))
        and input gates with the negatives of those (`chrono_times`).
    """

    forget_bias: float = 1.0
    chrono_length: int | None = None

    num_gates: ClassVar[int] = 4
    state_names: ClassVar[tuple[str, ...]] = ("hidden", "cell")

    def pack(self, *leaves: Float[Array, "B _"]) -> LSTMState:
        return LSTMState(*leaves)

    @classmethod
    def output_of(cls, state: LSTMState) -> Float[Array, "B P"]:
        return state.hidden

    def bias_init(self, key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        size, bias = self.hidden_dim, jnp.zeros(shape, dtype)
        if self.chrono_length is None:
            return bias.at[size : 2 * size].set(self.forget_bias)
        times = chrono_times(key, size, self.chrono_length)
        return bias.at[size : 2 * size].set(times).at[:size].set(-times)


class LSTMCell(_LSTMBase):
    """Long short-term memory; equations, gate order and dtypes in `ops.lstm.lstm`.

    With a projection the equations are those of `ops.lstm.projected_lstm`.

    Attributes:
      projection_dim: P, width of the output and of what is fed back; None = no projection.
    """

    projection_dim: int | None = None

    @property
    def output_dim(self) -> int:
        return self.projection_dim or self.hidden_dim

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.output_dim, self.hidden_dim

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: LSTMState,
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T P"], LSTMState]:
        weights, x = self._weights(x.shape[-1]), x.astype(self.dtype)
        marks = (starts, valid, self.restart_state())
        if self.projection_dim is None:
            record_all(self, lambda: lstm_gates(x, state, *weights, *marks))
            return lstm(x, state, *weights, *marks)
        shape, init = (self.hidden_dim, self.projection_dim), nn.initializers.glorot_uniform()
        projection = self._param("projection", init, ("gates", "hidden"), *shape)
        gates = lambda: lstm_gates(x, state, *weights, *marks, projection=projection)
        record_all(self, gates)
        return projected_lstm(x, state, *weights, projection, *marks)


class LayerNormLSTMCell(_LSTMBase):
    """LSTM with layer normalisation; equations in `ops.lstm.layer_norm_lstm`."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: LSTMState,
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], LSTMState]:
        weights, size = self._weights(x.shape[-1]), self.hidden_dim
        norms = LayerNormLSTMParams(
            self._param("input_scale", ONES, ("norm",), 4 * size),
            self._param("recurrent_scale", ONES, ("norm",), 4 * size),
            self._param("cell_scale", ONES, ("norm",), size),
            self._param("cell_bias", ZEROS, ("norm",), size),
        )
        marks, x = (starts, valid, self.restart_state()), x.astype(self.dtype)
        record_all(self, lambda: lstm_gates(x, state, *weights, *marks, norms=norms))
        return layer_norm_lstm(x, state, *weights, norms, *marks)


class _GRUBase(DenseCell):
    """Base of both forms of the GRU.

    Attributes:
      chrono_length: if given, update gates start with biases log(uniform(1, chrono_length - 1))
        (`chrono_times`), so that they keep the state for up to about that many steps.
    """

    chrono_length: int | None = None

    num_gates: ClassVar[int] = 3

    def bias_init(self, key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        size, bias = self.hidden_dim, jnp.zeros(shape, dtype)
        if self.chrono_length is None:
            return bias
        return bias.at[size : 2 * size].set(chrono_times(key, size, self.chrono_length))


class GRUCell(_GRUBase):
    """Gated recurrent unit, reset after the product; equations in `ops.rnn.gru`."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: Float[Array, "B N"],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
        weights = self._weights(x.shape[-1])
        recurrent_bias = self._param("recurrent_bias", ZEROS, ("hidden",), self.hidden_dim)
        marks, x = (starts, valid, self.restart_state()), x.astype(self.dtype)
        record_all(self, lambda: gru_gates(x, state, *weights, recurrent_bias, *marks))
        return gru(x, state, *weights, recurrent_bias, *marks)


class GRUResetBeforeCell(_GRUBase):
    """Gated recurrent unit as published; equations in `ops.rnn.gru_reset_before`."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: Float[Array, "B N"],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
        weights = self._weights(x.shape[-1])
        marks, x = (starts, valid, self.restart_state()), x.astype(self.dtype)
        record_all(self, lambda: gru_gates(x, state, *weights, None, *marks))
        return gru_reset_before(x, state, *weights, *marks)
