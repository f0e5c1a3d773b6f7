"""Comparison with `torch.nn.RNN`, `LSTM` and `GRU`: shapes, parameters, and our results."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.layers.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers.recurrent import Bidirectional, RecurrentStack
from seqmodels.ops.lstm import LSTMState

B, T, D, N = 3, 6, 5, 4
LENGTHS = np.array([4, 6, 1])
MODULES = {"rnn": "RNN", "rnn_relu": "RNN", "lstm": "LSTM", "gru": "GRU"}
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: RNNCell(N),
    "rnn_relu": lambda: RNNCell(N, relu=True),
    "lstm": lambda: LSTMCell(N),
    "gru": lambda: GRUCell(N),
}


@dataclasses.dataclass(frozen=True)
class Shape:
    """A module of PyTorch, and whether its rows have the lengths LENGTHS or all have T.

    `projection` is its `proj_size`, 0 for none.
    """

    module: str
    num_layers: int
    bidirectional: bool
    ragged: bool
    projection: int = 0

    @property
    def output_dim(self) -> int:
        """Width of the output of one direction."""
        return self.projection or N

    @property
    def num_states(self) -> int:
        """Number of leaves of a state."""
        return 2 if self.module == "lstm" else 1

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Our name and PyTorch's suffix of each direction."""
        return [("forward", ""), ("backward", "_reverse")][: 1 + self.bidirectional]


GOLDEN = {
    "rnn": Shape("rnn", 3, False, True),
    "rnn_relu": Shape("rnn_relu", 2, True, True),
    "lstm": Shape("lstm", 1, True, True),
    "gru": Shape("gru", 1, False, False),
    "gru_bidirectional": Shape("gru", 2, True, True),
    "lstm_projected": Shape("lstm", 2, True, True, projection=3),
}
"""Shape by name in torch_recurrent.npz."""


def inputs_of(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    """x, the initial states, and the weights of the loss sum(weights * (y, last states))."""
    draw = np.random.default_rng(seed)
    sides = 1 + shape.bidirectional
    shapes = {"x": (B, T, D), "weights_y": (B, T, sides * shape.output_dim)}
    for n in range(shape.num_states):
        state = (shape.num_layers * sides, B, N if n else shape.output_dim)
        shapes |= {f"state_{n}": state, f"weights_{n}": state}
    return {name: draw.normal(size=size).astype(np.float32) for name, size in shapes.items()}


def params_of(shape: Shape, p: dict[str, np.ndarray], *, gradient: bool = False) -> dict[str, Any]:
    """Converts PyTorch's parameters or gradients to the layout of `RecurrentStack`.

    PyTorch has two biases. They are added, and each has the gradient of the sum, except for the
    GRU's n, whose second bias is multiplied by r.
    """

    def cell(end: str) -> dict[str, np.ndarray]:
        first, second = p[f"bias_ih_{end}"], p[f"bias_hh_{end}"]
        added = first if gradient else first + second
        params = {"kernel": p[f"weight_ih_{end}"].T, "recurrent_kernel": p[f"weight_hh_{end}"].T}
        if shape.projection:
            params["projection"] = p[f"weight_hr_{end}"].T
        if shape.module != "gru":
            return {**params, "bias": added}
        bias = np.concatenate([added[: 2 * N], first[2 * N :]])
        return {**params, "bias": bias, "recurrent_bias": second[2 * N :]}

    layers = {}
    for n in range(shape.num_layers):
        cells = {name: cell(f"l{n}{suffix}") for name, suffix in shape.directions}
        layers[f"cells_{n}"] = cells if shape.bidirectional else cells["forward"]
    return layers


def pack(shape: Shape, leaves: tuple[Any, ...]) -> dict[str, Any]:
    """Converts PyTorch's states [layers * directions, B, N] to a state of `RecurrentStack`."""
    sides = len(shape.directions)

    def one(n: int) -> Any:
        parts = [leaf[n] for leaf in leaves]
        return LSTMState(*parts) if shape.num_states == 2 else parts[0]

    state = {}
    for n in range(shape.num_layers):
        cells = {name: one(n * sides + m) for m, (name, _) in enumerate(shape.directions)}
        state[f"layer_{n}"] = cells if shape.bidirectional else cells["forward"]
    return state


def unpack(shape: Shape, state: dict[str, Any]) -> tuple[Any, ...]:
    """The inverse of `pack`."""
    layers = [state[f"layer_{n}"] for n in range(shape.num_layers)]
    sides = shape.directions
    cells = [c[name] for c in layers for name, _ in sides] if shape.bidirectional else layers
    rows = [tuple(c) if shape.num_states == 2 else (c,) for c in cells]
    return tuple(jnp.stack(leaves) for leaves in zip(*rows, strict=True))


def ours(shape: Shape, params: Any, inputs: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """(y, last states) and the gradients with respect to params, x and initial states."""
    make = MAKERS[shape.module]
    if shape.projection:
        make = lambda: LSTMCell(N, projection_dim=shape.projection)
    make_layer = functools.partial(Bidirectional, make) if shape.bidirectional else make
    stack = RecurrentStack(make_layer, shape.num_layers)
    valid = jnp.asarray(np.arange(T)[None] < LENGTHS[:, None]) if shape.ragged else None

    def loss(params: Any, x: Any, states: tuple[Any, ...]) -> tuple[Any, Any]:
        call = functools.partial(stack.apply, {"params": params})
        y, last = call(x, pack(shape, states), None, valid, train=False)
        outputs = (y, *unpack(shape, last))
        weights = [inputs[f"weights_{n}"] for n in ("y", *range(shape.num_states))]
        return sum((w * o).sum() for w, o in zip(weights, outputs, strict=True)), outputs

    states = tuple(inputs[f"state_{n}"] for n in range(shape.num_states))
    call = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    gradients, outputs = call(params, inputs["x"], states)
    return outputs, gradients
