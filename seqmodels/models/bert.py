"""Transformer encoders over tokens."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.transformers import BERTConfig, NormPlacement
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.decoding_cache import finish_chunk, start_chunk
from seqmodels.layers.dense import Dense
from seqmodels.layers.embedding import TokenEmbedding, make_embedding, make_head
from seqmodels.layers.feedforward import ACTIVATION_FUNCTIONS
from seqmodels.layers.norms import make_norm
from seqmodels.layers.positions import PositionTable
from seqmodels.layers.sharding import parameter
from seqmodels.types import Carry, ClassOutput, DataSpec, VocabOutput

INIT = nn.initializers.normal(0.02)


class BERT(nn.Module):
    """Bidirectional Transformer encoder (Devlin et al., 2019, arXiv:1810.04805).

        x = norm(tokens + positions + token types)             # [B, T, D]
        x = blocks(x), with post-norms
        vocab:    logits = norm(f(x W + b)) E^T + c            # E: the embedding table, f: GELU
        class:    logits = tanh(x_0 W + b) U + c               # x_0: the row's first token, [CLS]

    With one class per row the features are tanh(x_0 W + b) [B, D], otherwise x [B, T, D]. There is
    no carry. From position `max_length` on, the features are NaN.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the arithmetic; parameters, norms, softmax and logits are float32.
    """

    config: BERTConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = False

    def setup(self) -> None:
        config, dtype, dim = self.config, self.dtype, self.config.model_dim
        norm = {"epsilon": config.norm_epsilon, "dtype": dtype}
        self.embedding = make_embedding(self.spec, dim, INIT, dtype)
        self.position_table = PositionTable(config.max_length, dim, dtype, INIT)
        self.token_type_embedding = TokenEmbedding(
            config.num_token_types, dim, INIT, dtype, (None, "embed")
        )
        self.embedding_norm = make_norm(**norm)
        self.dropout = nn.Dropout(config.dropout_rate)
        block = {
            "num_heads": config.num_heads,
            "mlp_dim": config.mlp_dim,
            "causal": False,
            "norm_epsilon": config.norm_epsilon,
            "norm_placement": NormPlacement.POST,
            "activation": config.activation,
            "use_bias": True,
            "dropout_rate": config.dropout_rate,
            "kernel_init": INIT,
            "output_init": INIT,
        }
        self.stack = TransformerStack(config.num_layers, block, config.remat, False, dtype)
        dense = {"kernel_init": INIT, "dtype": dtype}
        if self._pools or config.next_sentence:
            self.pooler = Dense(dim, ("embed", None), **dense)
        if config.next_sentence:
            self.next_sentence_head = Dense(2, ("embed", None), output_dtype=jnp.float32, **dense)
        outputs = self.spec.outputs
        tied = isinstance(outputs, VocabOutput)
        if tied:
            self.head_dense = Dense(dim, ("embed", None), **dense)
            self.head_norm = make_norm(**norm)
            zeros, shape = nn.initializers.zeros, (outputs.vocab_size,)
            self.head_bias = parameter(self, "head_bias", zeros, ("vocab",), shape)
        self.head = make_head(self.spec, tied=tied, init=INIT, dtype=dtype)

    @property
    def _pools(self) -> bool:
        outputs = self.spec.outputs
        return isinstance(outputs, ClassOutput) and not outputs.per_step

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """Raises an error, because the model has no carry.

        Raises:
          ValueError: always.
        """
        del batch_size, capacity, memory
        raise ValueError("a bert looks both ways and has no carry")

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        token_types: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T D"] | Float[Array, "B D"], None]:
        """Runs whole rows; `memory` is not used.

        Args:
          token_types: index of the sentence of a document that a token belongs to; None = 0.

        Raises:
          ValueError: there is a carry, or a row without segments exceeds `max_length`.
        """
        del memory
        if carry is not None:
            raise ValueError("a bert looks both ways and takes no carry")
        shape = (inputs.shape[0], inputs.shape[1])
        chunk = start_chunk(shape, None, segment_ids, max_length=self.config.max_length)
        types = jnp.zeros(shape, jnp.int32) if token_types is None else token_types
        x = self.embedding(inputs, segment_ids) + self.token_type_embedding(types, segment_ids)
        positions = self.position_table(chunk.context.queries.positions)
        x = self.embedding_norm(x + jnp.broadcast_to(positions, x.shape))
        x = self.dropout(x, deterministic=not train)
        x, _ = self.stack(x, None, chunk.context, train=train)
        features, _ = finish_chunk(chunk, x, None)
        if self.is_initializing() and self.config.next_sentence:
            self.next_sentence_logits(features)  # so that its parameters are initialised
        if not self._pools:
            return features, None
        first = jnp.zeros(shape[0], jnp.int32)
        if segment_ids is not None:
            first = jnp.argmax(segment_ids > 0, axis=1)
        pooled = self._pool(features[jnp.arange(shape[0]), first])
        return self.dropout(pooled, deterministic=not train), None

    def _pool(self, first: Float[Array, "B D"]) -> Float[Array, "B D"]:
        return jnp.tanh(self.pooler(first))

    def next_sentence_logits(
        self, features: Float[Array, "B T D"] | Float[Array, "B D"]
    ) -> Float[Array, "B 2"]:
        """Logits of whether the second sentence follows the first, yes and no, in float32.

        Args:
          features: output of the model; the first token is [CLS].
        """
        pooled = features if features.ndim == 2 else self._pool(features[:, 0])
        return self.next_sentence_head(pooled)

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V] for a masked language model."""
        if self.head is not None:
            return self.head(features)
        activate = ACTIVATION_FUNCTIONS[self.config.activation]
        x = self.head_norm(activate(self.head_dense(features)))
        logits = self.embedding.attend(x)
        return logits + jnp.broadcast_to(self.head_bias, logits.shape)
