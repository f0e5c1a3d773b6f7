"""Programs of single layers: a recurrent layer, attention, a linear recurrence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.benchmark.arrays import NUM_SETS, draw, draw_weight
from seqmodels.benchmark.flops import hardware_flops
from seqmodels.benchmark.layer_inputs import (
    attention_flops,
    attention_inputs,
    positions_of,
    recurrent_inputs,
    segments_of,
    visible,
)
from seqmodels.benchmark.program import Program, compile_program, with_gradient
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.models.build import make_cell
from seqmodels.ops.attention import attention
from seqmodels.ops.masks import Positions
from seqmodels.ops.scan import ScanForm, linear_scan
from seqmodels.registry import CELLS


def recurrent(params: dict[str, Any], seed: int) -> Program:
    """One recurrent layer over whole rows from the zero state.

    Args:
      params: {"cell": of the registry, "shape": (B, T, D, N), "gradient": bool}. A gradient is by
        the input and every weight.
    """
    b, t, d, n = params["shape"]
    has_heads = "num_heads" in CELLS[params["cell"]].reads
    heads: dict[str, Any] = {"num_heads": max(1, n // 64)} if has_heads else {}
    cell = make_cell(RecurrentConfig(cell=params["cell"], model_dim=d, hidden_dim=n, **heads))

    def layer(x: Any, weights: Any) -> Any:
        state = cell.apply({"params": weights}, x.shape[0], method="initial_state")
        return cell.apply({"params": weights}, x, state)[0]

    def start(key: Any, x: Any) -> Any:
        first = cell.init_with_output(key, x.shape[0], method="initial_state")[0]
        return cell.init(key, x, first)["params"]

    x = jax.ShapeDtypeStruct((b, t, d), jnp.float32)
    shapes = nn.unbox(jax.eval_shape(start, jax.random.key(0), x))
    weights = _draw_tree(shapes, seed, start, (1, 1, d))
    inputs = [(c, x, weights) for c, x in recurrent_inputs(params, seed)]
    function = with_gradient(layer, params["gradient"])
    forward = hardware_flops(layer, inputs[0][1], weights)
    flops = forward * (3 if params["gradient"] else 1)
    return compile_program(function, inputs, named_leaves, flops=flops, items=b * t)


def _draw_tree(shapes: Any, seed: int, start: Callable[..., Any], shape: tuple[int, ...]) -> Any:
    """Weights of a cell: drawn by name where it has kernels alone, else its own initial ones, whose
    values are bound to a range (the radii of an LRU)."""
    names = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(shapes)}
    if names <= {"kernel", "recurrent_kernel", "bias", "recurrent_bias"}:
        return jax.tree_util.tree_map_with_path(
            lambda path, x: draw_weight(path[-1].key, x.shape, seed), shapes
        )
    made = jax.jit(start)(jax.random.key(seed), jnp.zeros(shape, jnp.float32))
    return jax.tree.map(np.asarray, nn.unbox(made))


def named_leaves(result: Any) -> list[np.ndarray]:
    """The outputs, or the gradients by x and by the weights in the order of their names."""
    if not isinstance(result, tuple):
        return [np.asarray(result)]
    x, weights = result
    paths = jax.tree_util.tree_leaves_with_path(weights)
    order = sorted(paths, key=lambda pair: jax.tree_util.keystr(pair[0]))
    return [np.asarray(x), *(np.asarray(leaf) for _, leaf in order)]


def attention_layer(params: dict[str, Any], seed: int) -> Program:
    """Causal attention of all queries to all keys of a row (`ops.attention.attention`).

    Args:
      params: {"shape": (B, T, H, K), "gradient": bool, "window": None or tokens, "documents": None
        or number per row}.
    """
    segments = segments_of(params)
    held = None if segments is None else jnp.asarray(segments)
    at = Positions(jnp.asarray(positions_of(params)), held)
    function = functools.partial(_attend, at, params.get("window"))
    return _compile_attention(function, params, seed)


def _attend(at: Positions, window: int | None, q: Any, k: Any, v: Any) -> Any:
    return attention(q, k, v, at, causal=True, window=window)


def plain_attention(params: dict[str, Any], seed: int) -> Program:
    """The same by jax.nn.dot_product_attention, which holds all scores at once on a CPU."""
    mask = None if not (params.get("window") or params.get("documents")) else visible(params)

    def attend(q: Any, k: Any, v: Any) -> Any:
        turned = (jnp.swapaxes(x, 1, 2) for x in (q, k, v))
        held = None if mask is None else jnp.asarray(mask)[None, None]
        y = jax.nn.dot_product_attention(*turned, mask=held, is_causal=mask is None)
        return jnp.swapaxes(y, 1, 2)

    return _compile_attention(attend, params, seed)


def _compile_attention(function: Any, params: dict[str, Any], seed: int) -> Program:
    b, t, _, _ = params["shape"]
    return compile_program(
        with_gradient(function, params["gradient"]),
        attention_inputs(params, seed),
        flops=attention_flops(params),
        items=b * t,
    )


def scan(params: dict[str, Any], seed: int) -> Program:
    """A linear recurrence h' = a h + b over [B, T, N] (`ops.scan.linear_scan`).

    Args:
      params: {"shape": (B, T, N), "form": of `ScanForm`, none = the platform's, "gradient": bool}.
    """
    b, t, n = params["shape"]
    form = None if params.get("form") is None else ScanForm(params["form"])
    shape = (b, t, n)
    inputs = [
        (
            draw(f"cotangent {k}", shape, seed),
            1 / (1 + np.exp(-2 - draw(f"a {k}", shape, seed))),
            draw(f"b {k}", shape, seed),
            draw(f"h {k}", (b, n), seed),
        )
        for k in range(NUM_SETS)
    ]
    function = with_gradient(lambda a, b, h: linear_scan(a, b, h, form), params["gradient"])
    # Two operations per element, and three times that with a gradient; products do not occur.
    return compile_program(function, inputs, items=b * t, flops=0)
