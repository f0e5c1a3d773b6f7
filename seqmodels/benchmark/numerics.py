"""Whether this machine computes what it should: programs against float64 numpy, and gradients of
every registered model jitted against op by op.

Public reports of compilers that compute wrong numbers are the reason: fused products with broadcast
operands, constant cotangents and reductions over many axes have been wrong in released versions.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels import registry
from seqmodels.benchmark.arrays import draw, draw_tokens
from seqmodels.benchmark.program import Program
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import (
    ClassOutput,
    DataSpec,
    ImageInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)

Probe = tuple[str, float, float]
"""A name, the largest error relative to the largest value, and the error that is allowed."""
QUICK_MODELS = ("recurrent",)
"""Checked where there is little time."""
MODEL_GROUP = "models"
_FLOAT32 = 1e-5
_FROM_GRADIENTS = 1e-4


def numerics(params: dict[str, Any], seed: int) -> Program:
    """Runs the probes of a group of `GROUPS`; they are the fact `probes`.

    Args:
      params: {"group", "quick": of the models only `QUICK_MODELS`}.
    """
    group = params["group"]
    names = QUICK_MODELS if params["quick"] else None
    probes = list(models(seed, names) if group == MODEL_GROUP else GROUPS[group](seed))
    return Program(lambda _: None, lambda _: [], {"probes": probes})


def relative(found: Any, expected: np.ndarray) -> float:
    """Largest error, relative to the largest value; 1e30 where a number is not finite."""
    found = np.asarray(found, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return 1e30
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def products(seed: int) -> Iterator[Probe]:
    """Products with broadcast operands, inside a fusion, at full precision."""
    for b, m, k, n in ((2, 8, 16, 24), (3, 17, 33, 65), (1, 128, 64, 8), (16, 1, 64, 64)):
        x, w = draw(f"x{b}", (b, m, k), seed), draw(f"w{b}", (k, n), seed)
        bias, row = draw(f"b{b}", (n,), seed), draw(f"r{b}", (1, m, k), seed)
        wide = [np.asarray(part, np.float64) for part in (x, w, bias, row)]
        expected = np.tanh(wide[0] @ wide[1] + wide[2])
        broadcast = np.broadcast_to(wide[3], x.shape) @ wide[1] * 0.5

        def plain(x: Any, w: Any, bias: Any) -> Any:
            return jnp.tanh(x @ w + bias[None, None])

        def repeated(row: Any, w: Any, b: int = b) -> Any:
            rows = jnp.broadcast_to(row, (b, *row.shape[1:]))
            kernels = jnp.broadcast_to(w[None], (b, *w.shape))
            return 0.5 * jnp.einsum("bmk,bkn->bmn", rows, kernels)

        with jax.default_matmul_precision("highest"):
            name = f"product {b}x{m}x{k}x{n}"
            yield name, relative(jax.jit(plain)(x, w, bias), expected), _FLOAT32
            yield f"{name}, broadcast", relative(jax.jit(repeated)(row, w), broadcast), _FLOAT32


def cotangents(seed: int) -> Iterator[Probe]:
    """Gradients of a sum, whose cotangent is constant, and of a weighted sum."""
    for b, d, n in ((8, 16, 24), (33, 17, 65), (128, 64, 32)):
        x, w, u = draw("x", (b, d), seed), draw("w", (d, n), seed), draw("u", (n, d), seed)
        weights = draw("c", (b, d), seed)
        wx, ww, wu, wc = (np.asarray(part, np.float64) for part in (x, w, u, weights))
        t = np.tanh(wx @ ww)

        def loss(w: Any, u: Any, x: Any, c: Any) -> Any:
            y = jnp.tanh(x @ w) @ u
            return jnp.sum(y) if c is None else jnp.sum(c * y)

        for name, c, wide in (("constant", None, np.ones_like(wc)), ("drawn", weights, wc)):
            with jax.default_matmul_precision("highest"):
                found = jax.jit(jax.grad(loss, (0, 1)))(w, u, x, c)
            expected = wx.T @ ((wide @ wu.T) * (1 - t * t)), t.T @ wide
            error = max(relative(f, e) for f, e in zip(found, expected, strict=True))
            yield f"gradient, {name} cotangent, {b}x{d}x{n}", error, _FLOAT32


def reductions(seed: int) -> Iterator[Probe]:
    """Sums and maxima over some axes of an array of rank 7, fused with what comes before."""
    x = draw("x", (2, 3, 4, 2, 3, 5, 3), seed)
    wide = np.asarray(x, np.float64)
    for axes in ((0, 2, 4, 6), (1, 3, 5), (0, 1, 2, 3, 4, 5, 6), (5, 6), (0,), (2, 3)):

        def total(x: Any, axes: tuple[int, ...] = axes) -> Any:
            return jnp.sum(jnp.exp(x) * x, axes)

        def turned(x: Any, axes: tuple[int, ...] = axes) -> Any:
            return jnp.max(jnp.transpose(x) * 2, tuple(6 - axis for axis in axes))

        yield (
            f"sum over {axes}",
            relative(jax.jit(total)(x), np.sum(np.exp(wide) * wide, axes)),
            (_FLOAT32),
        )
        expected = np.transpose(np.max(2 * wide, axes))
        yield f"maximum over {axes}, transposed", relative(jax.jit(turned)(x), expected), _FLOAT32


def softmax(seed: int) -> Iterator[Probe]:
    """Softmax, its logarithm and its gradient, of scores up to 10^4."""
    scores = draw("s", (16, 257), seed, 1e4 / 3)
    scores[0], scores[1, 0] = -1e4, 1e4
    wide = np.asarray(scores, np.float64)
    moved = wide - wide.max(-1, keepdims=True)
    logs = moved - np.log(np.exp(moved).sum(-1, keepdims=True))
    yield "softmax of +-1e4", relative(jax.jit(jax.nn.softmax)(scores), np.exp(logs)), _FLOAT32
    yield "log_softmax of +-1e4", relative(jax.jit(jax.nn.log_softmax)(scores), logs), _FLOAT32
    c = draw("c", scores.shape, seed)
    probabilities = np.exp(logs)
    expected = probabilities * (c - (probabilities * c).sum(-1, keepdims=True))
    found = jax.jit(jax.grad(lambda s: jnp.sum(c * jax.nn.softmax(s))))(scores)
    yield "gradient of softmax of +-1e4", relative(found, expected), _FROM_GRADIENTS


def bfloat16(seed: int) -> Iterator[Probe]:
    """Sums of 4096 bfloat16 numbers, which have to be added up in float32."""
    a = jnp.asarray(np.abs(draw("a", (8, 4096), seed)), jnp.bfloat16)
    b = jnp.asarray(np.abs(draw("b", (4096, 8), seed)), jnp.bfloat16)
    wide = np.asarray(a, np.float64) @ np.asarray(b, np.float64)
    product = jax.jit(lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.float32))
    yield "bfloat16 product into float32", relative(product(a, b), wide), _FROM_GRADIENTS
    rounded = 2.0**-8  # half a unit of the last place of bfloat16
    yield "bfloat16 product", relative(jax.jit(jnp.matmul)(a, b), wide), rounded
    added = np.asarray(a, np.float64).sum(-1)
    yield "bfloat16 sum", relative(jax.jit(lambda a: jnp.sum(a, -1))(a), added), rounded


def tensor_float32(seed: int) -> Iterator[Probe]:
    """Products of float32 at the precision that programs use unless they are asked for another."""
    a, b = draw("a", (256, 256), seed), draw("b", (256, 256), seed)
    wide = np.asarray(a, np.float64) @ np.asarray(b, np.float64)
    yield "float32 product, default precision", relative(jax.jit(jnp.matmul)(a, b), wide), _FLOAT32


def scans(seed: int) -> Iterator[Probe]:
    """A recurrence as a loop and unrolled, and its gradients, against float64."""
    x, u, c = (draw(n, s, seed) for n, s in (("x", (12, 4, 8)), ("u", (8, 8)), ("c", (4, 8))))
    u *= 0.5

    def looped(x: Any, u: Any) -> Any:
        step = lambda h, x: (jnp.tanh(h @ u + x), None)
        return jnp.sum(c * jax.lax.scan(step, jnp.zeros((4, 8)), x)[0])

    def unrolled(x: Any, u: Any) -> Any:
        h = jnp.zeros((4, 8))
        for moment in x:
            h = jnp.tanh(h @ u + moment)
        return jnp.sum(c * h)

    h, states = np.zeros((4, 8)), []
    for moment in np.asarray(x, np.float64):
        states.append(h)
        h = np.tanh(h @ np.asarray(u, np.float64) + moment)
    d_h, d_u = np.asarray(c, np.float64), np.zeros((8, 8))
    for before, moment in zip(reversed(states), reversed(x), strict=True):
        after = np.tanh(before @ np.asarray(u, np.float64) + moment)
        d_z = d_h * (1 - after * after)
        d_u, d_h = d_u + before.T @ d_z, d_z @ np.asarray(u, np.float64).T
    with jax.default_matmul_precision("highest"):
        for name, function in (("scan", looped), ("unrolled", unrolled)):
            value, grads = jax.jit(jax.value_and_grad(function, 1))(x, u)
            expected = np.asarray((c * h).sum())
            yield f"recurrence, {name}", relative(value, expected), _FROM_GRADIENTS
            yield f"gradient of a recurrence, {name}", relative(grads, d_u), _FROM_GRADIENTS


_SMALL = {
    "num_layers": 1,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "model_dim": 16,
    "hidden_dim": 16,
    "mlp_dim": 32,
    "attention_dim": 8,
    "num_heads": 2,
    "dropout_rate": 0.0,
}
_ROWS, _STEPS, _VOCAB, _SIDE = 2, 8, 11, 8
_INPUTS = {
    "tokens": TokenInput(_VOCAB),
    "values": ValueInput(3, _STEPS),
    "image": ImageInput(_SIDE, _SIDE, 3),
}
_OUTPUTS: dict[str, Any] = {
    "vocab": VocabOutput(_VOCAB),
    "classes": ClassOutput(5, per_step=False),
    "values": ValueOutput(4, 3),
}


def models(seed: int, names: Collection[str] | None) -> Iterator[Probe]:
    """The gradient of every registered model and cell, jitted against op by op.

    Each operation is compiled by itself, which takes about five seconds per model.

    Args:
      names: of the models; None = all.
    """
    configs: dict[str, ModelConfig] = {}
    for name, entry in registry.MODELS.items():
        kind: type[ModelConfig] = registry.resolve(entry.config)
        if not kind.fitted:
            configs[name] = shrunk(kind())
    for cell in registry.CELLS:
        configs[f"recurrent, {cell}"] = shrunk(RecurrentConfig(cell=cell))
    for name in configs if names is None else names:
        config = configs[name]
        yield f"gradient of {name}", model_error(config, seed), _FROM_GRADIENTS


def shrunk(config: ModelConfig) -> ModelConfig:
    """A config with small sizes, for the fields that it has."""
    names = {field.name for field in dataclasses.fields(config)}
    sizes = {name: size for name, size in _SMALL.items() if name in names}
    made = dataclasses.replace(config, **sizes)
    # A number of heads that the cell does not read is refused.
    wrong = {field for field, _ in made.problems()} & sizes.keys()
    return dataclasses.replace(made, **{name: getattr(config, name) for name in wrong})


def model_error(config: ModelConfig, seed: int) -> float:
    """The largest relative difference of the gradients."""
    read, source = config.inputs[0], next(iter(config.source), None)
    spec = DataSpec(
        _INPUTS[read], _OUTPUTS[config.outputs[0]], None if source is None else _INPUTS[source]
    )
    model = build_model(config, spec)
    boxed = jax.jit(lambda key: init_params(model, key))(jax.random.key(seed))
    leaves, tree = jax.tree.flatten(boxed)
    # Away from the first values, among which there are zeros.
    params = jax.tree.unflatten(
        tree, [x + draw(f"{n}", x.shape, seed, 0.3) for n, x in enumerate(leaves)]
    )
    inputs, encoded = (_array(kind, seed) for kind in (read, source))

    def forward(model: Any) -> Any:
        memory = None if encoded is None else model.encode(encoded, train=False)
        features, _ = model(inputs, memory=memory, train=False)
        return model.readout(features)

    shape = jax.eval_shape(lambda p: model.apply({"params": p}, method=forward), params).shape
    cotangent = draw("c", shape, seed)

    def loss(params: Any) -> Any:
        return jnp.sum(cotangent * model.apply({"params": params}, method=forward))

    with jax.default_matmul_precision("highest"):
        jitted = jax.tree.leaves(jax.jit(jax.grad(loss))(params))
        with jax.disable_jit(), _quick_compilation():
            plain = jax.tree.leaves(jax.grad(loss)(params))
    largest = max(float(np.abs(x).max()) for x in plain)
    errors = [
        relative(a, np.asarray(b, np.float64)) * min(1.0, float(np.abs(b).max()) / largest)
        for a, b in zip(jitted, plain, strict=True)
    ]
    return max(errors)


@contextlib.contextmanager
def _quick_compilation() -> Iterator[None]:
    """Compiles single operations quickly, which have nothing to optimise."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def _array(kind: str | None, seed: int) -> Any:
    if kind is None:
        return None
    shapes: dict[str, Callable[[], Any]] = {
        "tokens": lambda: draw_tokens("tokens", (_ROWS, _STEPS), seed, _VOCAB),
        "values": lambda: draw("values", (_ROWS, _STEPS, 3), seed),
        "image": lambda: draw("image", (_ROWS, _SIDE, _SIDE, 3), seed),
    }
    return jnp.asarray(shapes[kind]())


GROUPS: dict[str, Callable[[int], Iterator[Probe]]] = {
    "products": products,
    "cotangents": cotangents,
    "reductions": reductions,
    "softmax": softmax,
    "bfloat16": bfloat16,
    "tensor_float32": tensor_float32,
    "scans": scans,
}
