"""The parameters a model starts with."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Key

from seqmodels.types import Params, TokenInput


def init_params(model: nn.Module, key: Key[Array, ""]) -> Params:
    """Makes the parameters, boxed with their logical axis names (`nn.unbox` gives the arrays).

    Call it through jit: `jax.jit(lambda key: init_params(model, key))(key)`.

    Args:
      model: any model of the registry that is trained.
      key: the only source of chance.
    """

    def run(model: nn.Module, inputs: Array) -> Array:
        features, _ = model(inputs, train=False)
        return model.readout(features)

    inputs = model.spec.inputs
    if isinstance(inputs, TokenInput):
        dummy = jnp.zeros((1, 2), jnp.int32)
    else:
        dummy = jnp.zeros((1, 2, inputs.num_features), jnp.float32)
    return model.init(key, dummy, method=run)["params"]
