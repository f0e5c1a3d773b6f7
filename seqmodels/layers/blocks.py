"""Transformer blocks and stacks of them."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from seqmodels.config.transformers import Activation, NormPlacement
from seqmodels.layers.attention import Cache, SelfAttention, Surroundings
from seqmodels.layers.embedding import ACTIVATIONS
from seqmodels.layers.feedforward import FeedForward
from seqmodels.layers.norms import make_norm

UNROLL_UP_TO = 12
"""Layers up to which the scan over them is unrolled: faster steps, longer compilation."""


class Block(nn.Module):
    """One layer of a Transformer.

        pre:   x = x + attention(norm(x));   x = x + feedforward(norm(x))
        post:  x = norm(x + attention(x));   x = norm(x + feedforward(x))

    pre: Xiong et al., 2020, arXiv:2002.04745; post: Vaswani et al., 2017, arXiv:1706.03762.
    Dropout on the attention weights and on what both parts add. The call suits `nn.scan`.

    Attributes:
      num_heads: H.
      mlp_dim: F.
      num_layers: L; what is added starts with a deviation of 0.02 / sqrt(2 L), as in GPT-2.
      train: whether there is dropout.
      causal: whether later tokens are hidden.
      norm_placement: pre or post.
      activation: gelu or swiglu.
      use_rotary: whether queries and keys are turned by their positions.
      use_bias: whether linear maps and norms have biases.
      dropout_rate: of all dropouts.
      dtype: dtype of the arithmetic; norms, scores and softmax are float32.
    """

    num_heads: int
    mlp_dim: int
    num_layers: int
    train: bool
    causal: bool = True
    norm_placement: NormPlacement = NormPlacement.PRE
    activation: Activation = Activation.GELU
    use_rotary: bool = False
    use_bias: bool = False
    dropout_rate: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        state: tuple[Float[Array, "B T D"], Cache | None, Int[Array, ""]],
        around: Surroundings,
    ) -> tuple[tuple[Float[Array, "B T D"], Cache | None, Int[Array, ""]], None]:
        x, cache, layer = state
        pre = self.norm_placement == NormPlacement.PRE
        common = {
            "use_bias": self.use_bias,
            "output_init": nn.initializers.normal(0.02 / math.sqrt(2 * self.num_layers)),
            "dtype": self.dtype,
        }
        norms = [
            make_norm(use_bias=self.use_bias, dtype=self.dtype, name=f"{part}_norm")
            for part in ("attention", "feedforward")
        ]
        drop = nn.Dropout(self.dropout_rate, deterministic=not self.train)
        attend = SelfAttention(
            self.num_heads,
            self.train,
            self.causal,
            self.use_rotary,
            dropout_rate=self.dropout_rate,
            name="attention",
            **common,
        )
        feed = FeedForward(self.mlp_dim, self.activation, name="feedforward", **common)

        added, cache = attend(norms[0](x) if pre else x, cache, layer, around)
        x = x + drop(added)
        x = x if pre else norms[0](x)
        x = x + drop(feed(norms[1](x) if pre else x))
        x = x if pre else norms[1](x)
        return (nn.with_logical_constraint(x, ACTIVATIONS), cache, layer + 1), None


class TransformerStack(nn.Module):
    """L blocks, one scan; parameters are stacked along an axis named "layers".

    Attributes:
      num_layers: L.
      block: keyword arguments of `Block`, all but `num_layers`, `train` and `dtype`; `use_bias` is
        the final norm's too.
      remat: whether the backward pass computes a block again instead of keeping its insides.
      final_norm: whether a norm stands behind the last block.
      dtype: dtype of the arithmetic.
    """

    num_layers: int
    block: dict[str, Any]
    remat: bool = False
    final_norm: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        cache: Cache | None,
        around: Surroundings,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], Cache | None]:
        block = nn.remat(Block) if self.remat else Block
        unroll = self.num_layers if self.num_layers <= UNROLL_UP_TO else 1
        blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType]
            length=self.num_layers,
            unroll=unroll,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        stack = blocks(
            num_layers=self.num_layers, train=train, dtype=self.dtype, name="blocks", **self.block
        )
        # The cache goes with the scan's state: as its input and output it would be copied.
        (x, cache, _), _ = stack((x, cache, jnp.int32(0)), around)
        if self.final_norm:
            norm = make_norm(use_bias=self.block["use_bias"], dtype=self.dtype, name="final_norm")
            x = norm(x)
        return x, cache
