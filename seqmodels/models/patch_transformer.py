"""Transformer encoders over the patches of a window of a series."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.config.forecasting import PatchTransformerConfig
from seqmodels.config.models import Activation
from seqmodels.layers.attention import AttentionContext
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.dense import Dense
from seqmodels.layers.embedding import make_head
from seqmodels.layers.positions import PositionTable
from seqmodels.layers.windows import WindowModel, cut_overlapping
from seqmodels.ops.masks import Positions
from seqmodels.types import DataSpec

INIT = nn.initializers.normal(0.02)


class PatchTransformer(WindowModel):
    """Transformer encoder whose tokens are patches of p steps, one every s steps.

        x = patches W + b + positions                          # [B, P, D]
        x = norm(blocks(x)), with pre-norms
        y = concat(x_1 .. x_P) U + c                           # [B, H C Q]

    Differs from the paper: layer norms before the parts of a block instead of batch norms after
    them, because no output of a row may depend on other rows; and no attention of the layer before
    is added to the scores. Source: Nie et al., 2023, arXiv:2211.14730.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the arithmetic; parameters, norms, softmax and outputs are float32.
    """

    config: PatchTransformerConfig
    spec: DataSpec
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.check_spec()
        config, dtype = self.config, self.dtype
        self.embedding = Dense(config.model_dim, (None, "embed"), dtype=dtype)
        self.position_table = PositionTable(self._num_patches(), config.model_dim, dtype, INIT)
        self.dropout = nn.Dropout(config.dropout_rate)
        block = {
            "num_heads": config.num_heads,
            "mlp_dim": config.mlp_dim,
            "causal": False,
            "norm_epsilon": config.norm_epsilon,
            "activation": Activation.GELU_EXACT,
            "use_bias": True,
            "dropout_rate": config.dropout_rate,
            "kernel_init": nn.initializers.normal(config.model_dim**-0.5),
        }
        self.stack = TransformerStack(config.num_layers, block, False, True, dtype)
        self.head: Any = make_head(self.spec, dtype=dtype)

    def _num_patches(self) -> int:
        length, stride = self.config.patch_length, self.config.stride
        steps = max(self.spec.inputs.length, length)  # type: ignore[union-attr]
        return (steps + stride - length) // stride + 1

    def transform(self, x: Float[Array, "B T C"], train: bool) -> Float[Array, "B D"]:
        x = self.embedding(cut_overlapping(x, self.config.patch_length, self.config.stride))
        places = jnp.arange(x.shape[1])[None]
        x = x + jnp.broadcast_to(self.position_table(places), x.shape)
        x = self.dropout(x, deterministic=not train)
        x, _ = self.stack(x, None, AttentionContext(Positions(places)), train=train)
        return self.dropout(x.reshape(x.shape[0], -1), deterministic=not train)

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Values in float32, [B, H, C, Q]."""
        return self.head(features)
