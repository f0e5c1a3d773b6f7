"""The parameters a model starts with."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Key

from seqmodels.types import ImageInput, Input, Params, TokenInput, ValueInput


def init_params(model: nn.Module, key: Key[Array, ""]) -> Params:
    """Makes the parameters, boxed with their logical axis names (`nn.unbox` gives the arrays).

    Call it through jit: `jax.jit(lambda key: init_params(model, key))(key)`.

    Args:
      model: any model of the registry that is trained.
      key: the only source of chance.
    """

    def run(model: nn.Module, inputs: Array, source: Array | None) -> Array:
        memory = None if source is None else model.encode(source, train=False)
        features, _ = model(inputs, memory=memory, train=False)
        return model.readout(features)

    source = None if model.spec.source is None else _dummy(model.spec.source)
    return model.init(key, _dummy(model.spec.inputs), source, method=run)["params"]


def _dummy(inputs: Input) -> Array:
    match inputs:
        case TokenInput():
            return jnp.zeros((1, 2), jnp.int32)
        case ValueInput(num_features):
            return jnp.zeros((1, 2, num_features), jnp.float32)
        case ImageInput(height, width, channels):
            return jnp.zeros((1, height, width, channels), jnp.float32)
