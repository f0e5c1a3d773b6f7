"""Decoder-only Transformers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.transformers import GPTConfig, NormPlacement, Position
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.decoding_cache import empty_cache, finish_chunk, start_chunk
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.positions import PositionTable, add_positions
from seqmodels.ops.positions import RotaryScaling
from seqmodels.types import Carry, DataSpec


class GPT(nn.Module):
    """Embedding, masked Transformer blocks, head (GPT-2: Radford et al., 2019).

    The carry is a cache of `capacity` tokens per row, see `decoding_cache`. Past the capacity, and
    from position `max_length` on, the outputs are NaN. With a window that is not
    wider than the capacity, S is the window and the capacity is never exceeded.

    GPT-1 (Radford et al., 2018) has post-norms. Llama (Touvron et al., 2023, arXiv:2302.13971) has
    RMS norms, rotary positions, a gated feed-forward part, no biases and, from Llama 2 on, grouped
    queries. Windows are Mistral's (Jiang et al., 2023, arXiv:2310.06825): the receptive field
    grows by window - 1 tokens per layer. With sinusoidal positions, and with `scale_embeddings`,
    token vectors are multiplied by sqrt(D), as in Vaswani et al. and in Gemma (2024,
    arXiv:2403.08295).

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the arithmetic; parameters, norms, softmax and logits are float32.
    """

    config: GPTConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype, init = self.config, self.dtype, nn.initializers.normal(0.02)
        self.embedding = make_embedding(self.spec, config.model_dim, init, dtype)
        self.position_table = None
        if config.position == Position.LEARNED:
            self.position_table = PositionTable(config.max_length, config.model_dim, dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        block = {
            "num_heads": config.num_heads,
            "num_kv_heads": config.num_kv_heads,
            "head_dim": config.head_dim,
            "mlp_dim": config.mlp_dim,
            "window": config.window,
            "norm": config.norm,
            "norm_epsilon": config.norm_epsilon,
            "norm_placement": config.norm_placement,
            "activation": config.activation,
            "position": config.position,
            "rotary_base": config.rotary_base,
            "rotary_scaling": self._rotary_scaling(),
            "use_bias": config.use_bias,
            "dropout_rate": config.dropout_rate,
        }
        final_norm = config.norm_placement == NormPlacement.PRE
        self.stack = TransformerStack(config.num_layers, block, config.remat, final_norm, dtype)
        self.head = make_head(
            self.spec, tied=config.tie_embeddings, use_bias=config.use_bias, init=init, dtype=dtype
        )

    @nn.nowrap
    def _rotary_scaling(self) -> RotaryScaling | None:
        config = self.config
        if config.rotary_factor == 1:
            return None
        return RotaryScaling(
            config.rotary_factor,
            config.rotary_original_length,
            config.rotary_low_frequency,
            config.rotary_high_frequency,
        )

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """An empty cache of `capacity` tokens per row; `memory` is not used."""
        del memory
        config = self.config
        return empty_cache(
            batch_size,
            capacity,
            num_layers=config.num_layers,
            num_kv_heads=config.num_kv_heads or config.num_heads,
            head_dim=config.head_dim or config.model_dim // config.num_heads,
            window=config.window,
            dtype=self.dtype,
        )

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], Carry]:
        """Runs a chunk; `carry=None` is the parallel form, which returns no carry."""
        config, shape = self.config, (inputs.shape[0], inputs.shape[1])
        chunk = start_chunk(
            shape, carry, segment_ids, max_length=config.max_length, window=config.window
        )
        positions = chunk.context.queries.positions
        x = self.embedding(inputs, segment_ids)
        if config.scale_embeddings:
            x = x * math.sqrt(config.model_dim)
        x = add_positions(x, positions, config.position, self.position_table)
        x = self.dropout(x, deterministic=not train)
        features, cache = self.stack(x, chunk.cache, chunk.context, train=train)
        return finish_chunk(chunk, features, cache)

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V] for a language model."""
        return self.embedding.attend(features) if self.head is None else self.head(features)
