"""Sequence models over a stack of recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.recurrent import (
    Cell,
    CellConfig,
    InputEncoding,
    RecurrentBlock,
    RecurrentConfig,
)
from seqmodels.layers.cells import (
    GRUCell,
    GRUResetBeforeCell,
    LayerNormLSTMCell,
    LSTMCell,
    RNNCell,
)
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.linear_recurrent import AarenCell, LRUCell, MinGRUCell, MinLSTMCell
from seqmodels.layers.recurrent import RecurrentStack
from seqmodels.layers.recurrent_block import ResidualBlock, ResidualStack
from seqmodels.ops.positions import advance
from seqmodels.types import Carry, DataSpec


def _shared(config: CellConfig, dtype: Any) -> dict[str, Any]:
    """What every cell takes."""
    learned = config.learned_initial_state
    return {"hidden_dim": config.hidden_dim, "learned_initial_state": learned, "dtype": dtype}


def _rnn(config: CellConfig, dtype: Any) -> nn.Module:
    return RNNCell(**_shared(config, dtype))


def _rnn_relu(config: CellConfig, dtype: Any) -> nn.Module:
    return RNNCell(**_shared(config, dtype), relu=True)


def _irnn(config: CellConfig, dtype: Any) -> nn.Module:
    return RNNCell(**_shared(config, dtype), relu=True, identity=True)


def _lstm(config: CellConfig, dtype: Any) -> nn.Module:
    biases = {"forget_bias": config.forget_bias, "chrono_length": config.chrono_length}
    return LSTMCell(**_shared(config, dtype), **biases)


def _layer_norm_lstm(config: CellConfig, dtype: Any) -> nn.Module:
    biases = {"forget_bias": config.forget_bias, "chrono_length": config.chrono_length}
    return LayerNormLSTMCell(**_shared(config, dtype), **biases)


def _gru(config: CellConfig, dtype: Any) -> nn.Module:
    return GRUCell(**_shared(config, dtype), chrono_length=config.chrono_length)


def _gru_reset_before(config: CellConfig, dtype: Any) -> nn.Module:
    return GRUResetBeforeCell(**_shared(config, dtype), chrono_length=config.chrono_length)


def _min_gru(config: CellConfig, dtype: Any) -> nn.Module:
    return MinGRUCell(**_shared(config, dtype))


def _min_lstm(config: CellConfig, dtype: Any) -> nn.Module:
    return MinLSTMCell(**_shared(config, dtype))


def _lru(config: CellConfig, dtype: Any) -> nn.Module:
    shared = _shared(config, dtype)
    return LRUCell(min_radius=config.min_radius, max_radius=config.max_radius, **shared)


def _aaren(config: CellConfig, dtype: Any) -> nn.Module:
    return AarenCell(**_shared(config, dtype), num_heads=config.num_heads)


CELLS: dict[Cell, Callable[[CellConfig, Any], nn.Module]] = {
    Cell.RNN: _rnn,
    Cell.RNN_RELU: _rnn_relu,
    Cell.IRNN: _irnn,
    Cell.LSTM: _lstm,
    Cell.LAYER_NORM_LSTM: _layer_norm_lstm,
    Cell.GRU: _gru,
    Cell.GRU_RESET_BEFORE: _gru_reset_before,
    Cell.MIN_GRU: _min_gru,
    Cell.MIN_LSTM: _min_lstm,
    Cell.LRU: _lru,
    Cell.AAREN: _aaren,
}
"""The only place where the names of cells meet their layers."""


class Recurrent(nn.Module):
    """Embedding, recurrent layers, head.

    The carry has constant size, whatever the capacity: {"layers": the state of every layer,
    "last_segment": [B], "last_position": [B]}.

    Attributes:
      config: hyper-parameters.
      spec: what the data decide.
      dtype: dtype of the products; parameters and states are float32.
    """

    config: RecurrentConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype = self.config, self.dtype
        plain = config.block is RecurrentBlock.PLAIN
        if plain and config.tie_embeddings and config.model_dim != config.hidden_dim:
            raise ValueError(
                f"tied embeddings need model_dim == hidden_dim, "
                f"not {config.model_dim} and {config.hidden_dim}"
            )
        one_hot = config.inputs is InputEncoding.ONE_HOT
        self.embedding = make_embedding(self.spec, config.model_dim, dtype=dtype, one_hot=one_hot)
        self.dropout = nn.Dropout(config.dropout_rate)
        make_cell = lambda: CELLS[config.cell](config, dtype)
        if plain:
            self.layers = RecurrentStack(make_cell, config.num_layers, config.dropout_rate)
        else:
            make_block = lambda: ResidualBlock(
                make_cell,
                config.model_dim,
                config.mlp_dim,
                config.convolution_width,
                dropout_rate=config.dropout_rate,
                dtype=dtype,
            )
            self.layers = ResidualStack(make_block, config.num_layers)
        self.head = make_head(
            self.spec, tied=config.tie_embeddings, input_name="hidden", dtype=dtype
        )

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """The state before the first token; `capacity` is not needed, `memory` not used."""
        del capacity, memory
        return {
            "layers": self.layers.initial_state(batch_size),
            "last_segment": jnp.zeros(batch_size, jnp.int32),
            "last_position": jnp.full(batch_size, -1, jnp.int32),
        }

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T N"], Carry]:
        """Runs a chunk, from the initial state and to no carry where `carry` is None."""
        batch_size, length = inputs.shape[:2]
        before = self.initial_carry(batch_size, length, memory) if carry is None else carry
        segment, position = before["last_segment"], before["last_position"]
        if segment_ids is None:
            starts = valid = None
            segment, position = jnp.maximum(segment, 1), position + length
        else:
            places = advance(segment_ids.astype(jnp.int32), segment, position)
            starts, valid = places.starts, places.valid
            segment, position = places.last_segment, places.last_position
        x = self.dropout(self.embedding(inputs), deterministic=not train)
        features, layers = self.layers(x, before["layers"], starts, valid, train=train)
        after = {"layers": layers, "last_segment": segment, "last_position": position}
        return features, None if carry is None else after

    def readout(self, features: Float[Array, "*rows N"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V] for a language model."""
        return self.embedding.attend(features) if self.head is None else self.head(features)
