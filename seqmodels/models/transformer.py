"""Encoder-decoder Transformers."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.transformers import EmbeddingTying, Position, TransformerConfig
from seqmodels.layers.attention import Memory
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.decoding_cache import empty_cache, finish_chunk, start_chunk
from seqmodels.layers.dense import Dense
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.positions import PositionTable, add_positions
from seqmodels.layers.sharding import constrain
from seqmodels.layers.source import make_source_embedding
from seqmodels.ops.attention import contain
from seqmodels.ops.masks import Positions
from seqmodels.types import Carry, DataSpec, ImageInput

XAVIER = nn.initializers.xavier_uniform()


class Transformer(nn.Module):
    """Encoder and decoder (Vaswani et al., 2017, arXiv:1706.03762).

        memory = encoder(positions + source)                   # [B, S, D]
        k, v = memory W + b                                    # for all layers, [B, L, H, S, K]
        features = decoder(positions + target, k, v)           # [B, T, D]

    `encode` returns {"keys", "values": k, v, "finite": [B, L, S] of `ops.attention.contain`,
    "segments": [B, S]}; target document n attends to source document n. The carry is the decoder's
    cache (see `decoding_cache`) and, under "memory", the result of `encode`, so a step computes
    nothing of the source. Past the capacity, and from position `max_length` on, the outputs are
    NaN.

    Norms come after the sums (2017) or before the parts (Xiong et al., 2020, arXiv:2002.04745).
    With sinusoidal positions the token vectors, which start with a deviation of 1 / sqrt(D), are
    multiplied by sqrt(D). Kernels start Xavier-uniform over a product as it is stored: [D, 3 D] for
    self-attention, as in PyTorch, and [D, 2 D] for each layer's k and v.

    Attributes:
      config: hyper-parameters.
      spec: inputs, outputs and source of the data.
      dtype: dtype of the arithmetic; parameters, norms, softmax and logits are float32.
    """

    config: TransformerConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype, spec = self.config, self.dtype, self.spec
        if spec.source is None:
            raise ValueError("a transformer has an encoder, so its data must have a source")
        dim, tying = config.model_dim, config.tie_embeddings
        init = nn.initializers.normal(dim**-0.5)
        self.embedding = make_embedding(spec, dim, init, dtype)
        if tying == EmbeddingTying.ALL:
            if spec.source != spec.inputs:
                raise ValueError(
                    f"tie_embeddings=all needs one vocabulary on both sides, not {spec}"
                )
            self.source_embedding = self.embedding
        else:
            self.source_embedding = make_source_embedding(
                spec, dim, init, dtype, patch_size=config.patch_size, stem=config.stem
            )
        self.position_table = self.source_position_table = None
        if config.position == Position.LEARNED:
            self.position_table = PositionTable(config.max_length, dim, dtype)
            self.source_position_table = PositionTable(config.max_length, dim, dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        stack = {"remat": config.remat, "final_norm": config.final_norm, "dtype": dtype}
        block = self._block()
        both_ways = {**block, "causal": False}
        self.encoder = TransformerStack(config.num_encoder_layers, both_ways, **stack)
        self.decoder = TransformerStack(config.num_decoder_layers, block, **stack)
        self.memory_key_value = Dense(
            (config.num_decoder_layers, config.num_heads, 2, dim // config.num_heads),
            ("embed", "layers", "heads", None, "kv"),
            kernel_init=self._init_memory,
            dtype=dtype,
        )
        self.head = make_head(
            spec, tied=tying != EmbeddingTying.NONE, use_bias=True, init=XAVIER, dtype=dtype
        )

    @nn.nowrap
    def _block(self) -> dict[str, Any]:
        config = self.config
        return {
            "num_heads": config.num_heads,
            "mlp_dim": config.mlp_dim,
            "norm_epsilon": config.norm_epsilon,
            "norm_placement": config.norm_placement,
            "activation": config.activation,
            "position": config.position,
            "use_bias": True,
            "dropout_rate": config.dropout_rate,
            "kernel_init": XAVIER,
            "output_init": XAVIER,
        }

    @nn.nowrap
    def _init_memory(self, key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
        """Xavier-uniform for the keys and values of each layer separately, [D, 2 D]."""
        layers = self.config.num_decoder_layers
        each = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", batch_axis=(0,))
        kernels = each(key, (layers, shape[0], shape[1] // layers), dtype)
        return jnp.swapaxes(kernels, 0, 1).reshape(shape)

    def encode(
        self,
        source: Num[Array, "B _ *features"],
        *,
        segment_ids: Integer[Array, "B S"] | None = None,
        train: bool,
    ) -> dict[str, Array]:
        """Reads the source and computes the keys and values for all layers of the decoder."""
        config, x = self.config, self.source_embedding(source, segment_ids)
        shape, is_image = (x.shape[0], x.shape[1]), isinstance(self.spec.source, ImageInput)
        limit = x.shape[1] if is_image else config.max_length
        chunk = start_chunk(shape, None, segment_ids, max_length=limit)
        if not is_image:  # whose patches have their places
            positions = chunk.context.queries.positions
            x = add_positions(x, positions, config.position, self.source_position_table)
        x = self.dropout(x, deterministic=not train)
        x, _ = self.encoder(x, None, chunk.context, train=train)
        x, _ = finish_chunk(chunk, x, None)
        pairs = self.memory_key_value(x)  # [B, S, L, H, 2, K]
        pairs = jnp.transpose(pairs, (4, 0, 2, 3, 1, 5))  # [2, B, L, H, S, K]
        pairs = constrain(pairs, (None, "batch", "layers", "heads", "time", None))
        if segment_ids is None:
            segment_ids = jnp.ones(shape, jnp.int32)
        return {**contain(*pairs)._asdict(), "segments": segment_ids.astype(jnp.int32)}

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """An empty cache of `capacity` tokens per row, and the memory."""
        config = self.config
        if memory is None:
            raise ValueError("a transformer decodes from a memory; encode the source first")
        cache = empty_cache(
            batch_size,
            capacity,
            num_layers=config.num_decoder_layers,
            num_kv_heads=config.num_heads,
            head_dim=config.model_dim // config.num_heads,
            dtype=self.dtype,
        )
        return {**cache, "memory": memory}

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], Carry]:
        """Runs a chunk of the target; `carry=None` is the parallel form, which returns no carry.

        Args:
          memory: result of `encode`; not needed with a carry, which contains it.

        Raises:
          ValueError: there is neither carry nor memory.
        """
        config, shape = self.config, (inputs.shape[0], inputs.shape[1])
        memory = memory if carry is None else carry["memory"]
        if memory is None:
            raise ValueError("a transformer decodes from a memory; encode the source first")
        chunk = start_chunk(shape, carry, segment_ids, max_length=config.max_length)
        positions = chunk.context.queries.positions
        x = self.embedding(inputs, segment_ids)
        x = add_positions(x, positions, config.position, self.position_table)
        x = self.dropout(x, deterministic=not train)
        segments = memory["segments"]
        # Only documents count in cross attention.
        at = Positions(jnp.zeros((1, segments.shape[1]), jnp.int32), segments)
        held = Memory(memory["keys"], memory["values"], memory["finite"], at)
        context = chunk.context._replace(memory=held)
        x, cache = self.decoder(x, chunk.cache, context, train=train)
        features, carry = finish_chunk(chunk, x, cache)
        return features, None if carry is None else {**carry, "memory": memory}

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V]."""
        return self.embedding.attend(features) if self.head is None else self.head(features)
