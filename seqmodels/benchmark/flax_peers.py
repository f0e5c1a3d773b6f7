"""Flax's own recurrent layers, with the same weights and inputs."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from seqmodels.benchmark.layer_inputs import GATES, packed_weights, recurrent_inputs
from seqmodels.benchmark.program import Program, compile_program, with_gradient


def recurrent(params: dict[str, Any], seed: int) -> Program:
    """nn.RNN over SimpleCell, OptimizedLSTMCell or GRUCell; arguments as of `layers.recurrent`."""
    _, _, d, n = params["shape"]
    kind = params["cell"]
    cells = {"rnn": nn.SimpleCell, "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}
    layer = nn.RNN(cells[kind](n))
    weights = packed_weights(kind, d, n, seed)

    # The packed weights are the arguments, so that their gradients have our layout.
    def function(x: Any, weights: Any) -> Any:
        return layer.apply({"params": {"cell": spread(kind, weights)}}, x)

    inputs = [(c, x, weights) for c, x in recurrent_inputs(params, seed)]
    return compile_program(with_gradient(function, params["gradient"]), inputs, gradients)


def spread(kind: str, weights: Any) -> Any:
    """Flax's parameters of a cell from ours, whose gates are packed along the last axis."""
    kernels, recurrent, biases = (
        jnp.split(weights[name], GATES[kind], axis=-1)
        for name in ("kernel", "recurrent_kernel", "bias")
    )
    if kind == "rnn":
        return {
            "i": {"kernel": kernels[0], "bias": biases[0]},
            "h": {"kernel": recurrent[0]},
        }
    cell: dict[str, Any] = {}
    names = "ifgo" if kind == "lstm" else "rzn"
    for gate, w, u, bias in zip(names, kernels, recurrent, biases, strict=True):
        cell[f"i{gate}"], cell[f"h{gate}"] = {"kernel": w}, {"kernel": u}
        cell[f"h{gate}" if kind == "lstm" else f"i{gate}"]["bias"] = bias
    if kind == "gru":
        cell["hn"]["bias"] = weights["recurrent_bias"]
    return cell


def gradients(result: Any) -> list[np.ndarray]:
    """As `layers.named_leaves`."""
    if not isinstance(result, tuple):
        return [np.asarray(result)]
    x, weights = result
    return [np.asarray(x), *(np.asarray(weights[name]) for name in sorted(weights))]
