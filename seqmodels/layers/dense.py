"""The linear map, with logical axis names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Num

from seqmodels.layers.sharding import gathered, gathers_again, parameter, splits_time, stored
from seqmodels.ops.linear import add_bias

Initializer = Callable[..., Any]


class Dense(nn.Module):
    """x W + b over the last axis, as one product of [rows, D] by [D, F].

    Attributes:
      features: F, or several axes, as (3, H, K).
      names: logical names of the kernel's axes, the input's first.
      use_bias: whether there is a bias b.
      kernel_init: initializer of W, called with the shape [D, prod(F)].
      dtype: dtype of the operands; parameters are float32.
      output_dtype: dtype of the result and of the sums in the product; None = `dtype`.
      gather_once: on a mesh, whether the backward pass keeps the kernel gathered in the forward
        pass. A layer called in a loop over time would otherwise gather it at each step.
    """

    features: int | tuple[int, ...]
    names: tuple[str | None, ...]
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32
    output_dtype: Any = None
    gather_once: bool = False

    @nn.compact
    def __call__(self, x: Num[Array, "*rows D"]) -> Num[Array, "*outputs"]:
        shape = (self.features,) if isinstance(self.features, int) else tuple(self.features)
        output_dtype = self.output_dtype or self.dtype
        size = x.shape[-1]

        def init(key: Array, full_shape: tuple[int, ...], dtype: Any) -> Array:
            return self.kernel_init(key, (size, math.prod(shape)), dtype).reshape(full_shape)

        def product(rows: Array, kernel: Any) -> Array:
            kernel = gathered(kernel, self.names, self.dtype)
            return jnp.tensordot(rows, kernel, axes=1, preferred_element_type=output_dtype)

        kernel = stored(self, "kernel", init, self.names, (size, *shape))
        product = product if self.gather_once else gathers_again(product)
        keeps_axes = splits_time()
        rows = x if keeps_axes else x.reshape(-1, size)
        y = product(rows.astype(self.dtype), kernel)
        if self.use_bias:
            bias = parameter(self, "bias", nn.initializers.zeros, self.names[1:], shape)
            y = y + bias.astype(y.dtype) if keeps_axes else add_bias(y, bias)
        return y.reshape(*x.shape[:-1], *shape)
