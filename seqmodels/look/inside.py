"""A model with everything that it computes for one example."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from seqmodels.layers.blocks import BLOCKS
from seqmodels.layers.record import CALL, RECORDED, SHIFTS
from seqmodels.protocols import Example, Model
from seqmodels.types import Batch, Params

BACKWARD = "backward"
"""Name of cells that read from the end, and record their steps in that order."""
ENCODERS = ("encoder", "source")
"""Beginnings of names that say where they belong."""


@dataclasses.dataclass(frozen=True)
class Inside:
    """A model with all inner values of one example.

    Attributes:
      model, params, example: as they are.
      values: inner values by name, such as `blocks.0.attention.pattern` [H, T, S], without the axis
        of rows.
      recorded: the same as the model recorded it, of the encoder and of the rest.
      outputs: what the model puts out, [T, V] or [C].
      features: what `readout` reads, [T, D] or [D].
    """

    model: Model
    params: Params
    example: Example
    values: dict[str, np.ndarray]
    recorded: Sequence[Any]
    outputs: np.ndarray
    features: np.ndarray

    def named(self, ending: str) -> dict[str, np.ndarray]:
        """The values whose names end with `.ending`."""
        return {
            name: value
            for name, value in self.values.items()
            if name == ending or name.endswith(f".{ending}")
        }

    @property
    def steps(self) -> list[str]:
        """A label of each step of the inputs."""
        return self.example.steps

    @functools.cached_property
    def log_probabilities(self) -> np.ndarray:
        """Of every output, in nats, float64."""
        return log_softmax(self.outputs.astype(np.float64))


def log_softmax(x: np.ndarray) -> np.ndarray:
    """x - log sum exp(x) over the last axis."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def call(
    model: Model, params: Params, batch: Batch, shifts: Any = None, record: bool = False
) -> tuple[jax.Array, jax.Array, list[Any]]:
    """Outputs, features and, with `record`, the inner values of the encoder and of the rest.

    Args:
      shifts: pair of trees of modules, for the encoder and for the rest; None = no shifts.
    """
    found: list[Any] = [{}, {}]
    memory, keywords = None, {"mutable": [RECORDED]} if record else {}
    given = [{"params": params}, {"params": params}]
    if shifts is not None:
        given = [{"params": params, SHIFTS: tree} for tree in shifts]
    if batch.source is not None:
        encoded = model.apply(given[0], batch.source, train=False, method="encode", **keywords)
        memory, found[0] = encoded if record else (encoded, {})
    done = model.apply(given[1], batch.inputs, memory=memory, train=False, **keywords)
    (features, _), found[1] = done if record else (done, {})
    outputs = model.apply({"params": params}, features, method="readout")
    return outputs, features, [part.get(RECORDED, {}) for part in found]


def on_device(batch: Batch) -> Batch:
    """A batch of arrays of jax."""
    return jax.tree.map(jnp.asarray, batch)


def look_inside(model: Model, params: Params, example: Example) -> Inside:
    """Runs a model over an example and keeps all that it computes."""
    run = jax.jit(lambda params, batch: call(model, params, batch, record=True))
    outputs, features, parts = jax.device_get(run(params, on_device(example.batch)))
    return Inside(model, params, example, name_values(parts), parts, outputs[0], features[0])


def name_values(parts: Sequence[Any]) -> dict[str, np.ndarray]:
    """Inner values, or their gradients, by name; of the encoder, with a prefix if need be."""
    values: dict[str, np.ndarray] = {}
    for part, prefix in zip(parts, ("source.", ""), strict=True):
        for path, value in jax.tree_util.tree_leaves_with_path(part):
            for name, one in split_layers(tuple(key.key for key in path), np.asarray(value)):
                values[prefix + name if prefix and not name.startswith(ENCODERS) else name] = one
    return values


def split_layers(keys: tuple[str, ...], value: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Names and values without the axis of rows; those of a scan over layers one by one."""
    last, _, further = keys[-1].partition(CALL)
    if further:
        if last == "lens":  # of other rows than the features
            return []
        if value.ndim == 3 and value.shape[1] == 1:
            value = value[None, :, 0]  # with one row per step
        return [(f"{further}.{n}", x) for n, x in split_layers((*keys[:-1], last), value)]
    if keys[-1] == "lens":  # [L, B, T, D]; a decoder that steps records none as a whole
        return [(name_of(keys), value[:, 0])] if value.shape[1] == 1 else []
    if BLOCKS in keys:
        at = keys.index(BLOCKS)
        return [
            (name_of((*keys[:at], f"{BLOCKS}_{layer}", *keys[at + 1 :])), value[layer, 0])
            for layer in range(len(value))
        ]
    value = value[0]
    if keys[-1] == "pattern" and value.ndim == 4:
        value = unroll_pattern(value[..., 0, 0])
    if value.ndim == 3 and value.shape[1] == 1 and not keys[-1].endswith("pattern"):
        value = value[:, 0]  # of a decoder that steps, [T, 1, ...]
    if BACKWARD in keys:  # in the order of the text again
        value = value[..., ::-1, ::-1] if keys[-1] == "pattern" else value[::-1]
    return [(name_of(keys), value)]


def name_of(keys: tuple[str, ...]) -> str:
    """The path of an inner value, as in `blocks.0.attention.pattern` or `cells.1.forget_gate`."""
    layer = re.fullmatch(r"(resid_pre)_(\d+)", keys[-1])
    if layer:
        keys = (*keys[:-1], f"cells_{layer[2]}", layer[1])
    dotted = ".".join(keys).replace("alignment_pattern", "alignment.pattern")
    dotted = re.sub(r"_(\d+)(?=\.|$)", r".\1", dotted)
    return re.sub(r"^(stack|layers|values)\.", "", dotted)


def unroll_pattern(shares: Float[np.ndarray, "T H"]) -> Float[np.ndarray, "H T T"]:
    """The map of an attention that is a recurrence, of what each step takes of its own token.

        w[t, t] = p_t,   w[t, i] = w[t - 1, i] (1 - p_t),   i < t

    A row adds up to 1 less the weight of what came before the first step.
    """
    length, heads = shares.shape
    weights = np.zeros((heads, length, length), shares.dtype)
    for t, share in enumerate(shares):
        weights[:, t] = weights[:, t - 1] * (1 - share[:, None])  # zeros before the first
        weights[:, t, t] = share
    return weights


def sites(inside: Inside, word: str) -> list[dict[str, Any]]:
    """Zeros for all hooks of one name, such as `embed`, in the form of the shifts of `call`."""

    def prune(tree: Any) -> dict[str, Any]:
        kept = {}
        for key, value in tree.items():
            if isinstance(value, Mapping):
                if below := prune(value):
                    kept[key] = below
            elif key == word or re.fullmatch(rf"{word}_\d+", key):
                kept[key] = jnp.zeros_like(value)
        return kept

    return [prune(part) for part in inside.recorded]
