"""Initial parameters of a model."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from seqmodels.protocols import Model
from seqmodels.types import ImageInput, Input, Params, SoundInput, TokenInput, ValueInput


def init_params(model: Model, key: Key[Array, ""]) -> Params:
    """Makes the parameters, boxed with their logical axis names (`nn.unbox` gives the arrays).

    Call it through jit: `jax.jit(lambda key: init_params(model, key))(key)`.

    Args:
      model: any model of the registry that is trained.
      key: the only source of randomness.
    """

    def run(model: nn.Module, inputs: Array, source: Array | None) -> Array:
        memory = None if source is None else model.encode(source, train=False)
        features, _ = model(inputs, memory=memory, train=False)
        return model.readout(features)

    source = None if model.spec.source is None else _dummy(model.spec.source)
    params = model.init(key, _dummy(model.spec.inputs), source, method=run)["params"]
    bound = model.config.initial_bound
    return params if bound is None else _uniform(params, key, bound)


def _uniform(params: Params, key: Key[Array, ""], bound: float) -> Params:
    """Parameters of the same shapes, in the same boxes, uniform in -bound .. bound."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jax.random.uniform(k, x.shape, x.dtype, -bound, bound)
        for k, x in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, drawn)


def _dummy(inputs: Input) -> Array:
    """An input of one position, which every model has, or of as many as all rows have."""
    match inputs:
        case TokenInput():
            return jnp.zeros((1, 1), jnp.int32)
        case ValueInput(num_features, length):
            return jnp.zeros((1, length or 1, num_features), jnp.float32)
        case SoundInput(frame_length):
            return jnp.zeros((1, 1, frame_length), jnp.float32)
        case ImageInput(height, width, channels):
            return jnp.zeros((1, height, width, channels), jnp.float32)
