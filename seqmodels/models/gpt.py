"""Decoder-only Transformers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer, Num

from seqmodels.config.transformers import GPTConfig, NormPlacement, Position
from seqmodels.layers.attention import Cache, Surroundings
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.ops.masks import Places
from seqmodels.ops.positions import advance, continued, sinusoidal
from seqmodels.types import Carry, DataSpec


class PositionTable(nn.Module):
    """A learned vector for each position, [max_length, D]."""

    max_length: int
    model_dim: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, positions: Int[Array, "R T"]) -> Float[Array, "R T D"]:
        init = nn.with_logical_partitioning(nn.initializers.normal(0.02), (None, "embed"))
        table = self.param("table", init, (self.max_length, self.model_dim), jnp.float32)
        table = nn.with_logical_constraint(table, (None, None))
        return table.at[positions].get(mode="fill", fill_value=0.0).astype(self.dtype)


class GPT(nn.Module):
    """Embedding, masked Transformer blocks, head (Radford et al., 2019).

    The carry is a cache of `capacity` tokens a row: {"keys", "values": [B, L, H, S, K],
    "positions", "segments": [B, S], "length", "last_segment", "last_position": [B]}. Past the
    capacity, and from position `max_length` on, the outputs are NaN.

    Differs from GPT-2: positions may be sinusoidal or rotary, norms stand behind the sums, the
    feed-forward part be gated, and biases are left out, where the config says so. With sinusoidal
    positions the token vectors are multiplied by sqrt(D), as Vaswani et al. do.

    Attributes:
      config: hyper-parameters.
      spec: what the data decide.
      dtype: dtype of the arithmetic; parameters, norms, softmax and logits are float32.
    """

    config: GPTConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype, init = self.config, self.dtype, nn.initializers.normal(0.02)
        if config.model_dim % config.num_heads:
            raise ValueError(f"{config.num_heads} heads do not divide width {config.model_dim}")
        if config.position == Position.ROTARY and config.model_dim // config.num_heads % 2:
            raise ValueError("rotary positions need heads of an even width")
        self.embedding = make_embedding(self.spec, config.model_dim, init, dtype)
        if config.position == Position.LEARNED:
            self.position_table = PositionTable(config.max_length, config.model_dim, dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        block = {
            "num_heads": config.num_heads,
            "mlp_dim": config.mlp_dim,
            "norm_placement": config.norm_placement,
            "activation": config.activation,
            "use_rotary": config.position == Position.ROTARY,
            "use_bias": config.use_bias,
            "dropout_rate": config.dropout_rate,
        }
        final_norm = config.norm_placement == NormPlacement.PRE
        self.stack = TransformerStack(config.num_layers, block, config.remat, final_norm, dtype)
        self.head = make_head(
            self.spec, tied=config.tie_embeddings, use_bias=config.use_bias, init=init, dtype=dtype
        )

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """An empty cache of `capacity` tokens a row; `memory` is not used."""
        del memory
        config, rows = self.config, (batch_size,)
        size = config.model_dim // config.num_heads
        shape = (batch_size, config.num_layers, config.num_heads, capacity, size)
        return {
            "keys": jnp.zeros(shape, self.dtype),
            "values": jnp.zeros(shape, self.dtype),
            "positions": jnp.zeros((batch_size, capacity), jnp.int32),
            "segments": jnp.zeros((batch_size, capacity), jnp.int32),
            "length": jnp.zeros(rows, jnp.int32),
            "last_segment": jnp.zeros(rows, jnp.int32),
            "last_position": jnp.full(rows, -1, jnp.int32),
        }

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
        length = inputs.shape[1]
        max_length = self.config.max_length
        if carry is None and segment_ids is None and length > max_length:
            raise ValueError(f"{length} tokens exceed max_length = {max_length}")
        around, cache, after, lost = self._look_around(inputs, carry, segment_ids)
        x = self._embed(inputs, around.queries.positions)
        x = self.dropout(x, deterministic=not train)
        features, cache = self.stack(x, cache, around, train=train)
        if lost is not None:
            features = jnp.where(lost[..., None], jnp.nan, features)
        if carry is None or cache is None:
            return features, None
        return features, {"keys": cache.keys, "values": cache.values, **after}

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V] for a language model."""
        return self.embedding.attend(features) if self.head is None else self.head(features)

    def _embed(self, inputs: Array, positions: Array) -> Float[Array, "B T D"]:
        x = self.embedding(inputs)
        match self.config.position:
            case Position.LEARNED:
                return x + self._over_rows(self.position_table(positions), x)
            case Position.SINUSOIDAL:
                waves = sinusoidal(positions, self.config.model_dim).astype(self.dtype)
                return x * math.sqrt(self.config.model_dim) + self._over_rows(waves, x)
        return x

    @staticmethod
    def _over_rows(vectors: Array, x: Array) -> Array:
        return jnp.broadcast_to(vectors, x.shape)

    def _look_around(
        self, inputs: Array, carry: Carry, segment_ids: Array | None
    ) -> tuple[Surroundings, Cache | None, Carry, Bool[Array, "B T"] | None]:
        """Says where queries and keys stand, what the carry becomes and which outputs are lost."""
        batch_size, length = inputs.shape[:2]
        if carry is None:
            if segment_ids is None:
                return Surroundings(Places(jnp.arange(length)[None])), None, None, None
            zeros = jnp.zeros(batch_size, jnp.int32)
            step = advance(segment_ids.astype(jnp.int32), zeros, zeros - 1)
            lost = step.valid & (step.positions >= self.config.max_length)
            return Surroundings(Places(step.positions, segment_ids)), None, None, lost
        if segment_ids is None:
            segment_ids = continued(carry["last_segment"], length)
        segment_ids = segment_ids.astype(jnp.int32)
        step = advance(segment_ids, carry["last_segment"], carry["last_position"])
        count = jnp.cumsum(step.valid, axis=1, dtype=jnp.int32)
        capacity = carry["keys"].shape[3]
        slots = carry["length"][:, None] + count - 1
        lost = step.valid & ((step.positions >= self.config.max_length) | (slots >= capacity))
        slots = jnp.where(step.valid, slots, capacity)
        rows = jnp.arange(batch_size)[:, None]
        after = {
            "positions": carry["positions"].at[rows, slots].set(step.positions, mode="drop"),
            "segments": carry["segments"].at[rows, slots].set(segment_ids, mode="drop"),
            "length": carry["length"] + jnp.sum(step.valid, axis=1, dtype=jnp.int32),
            "last_segment": step.last_segment,
            "last_position": step.last_position,
        }
        keys = Places(after["positions"], after["segments"])
        around = Surroundings(Places(step.positions, segment_ids), keys, slots)
        return around, Cache(carry["keys"], carry["values"]), after, lost
