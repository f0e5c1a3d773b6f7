"""Embeddings and heads for the inputs and outputs of a `DataSpec`."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.layers.dense import Dense, Initializer
from seqmodels.layers.record import hook
from seqmodels.layers.sharding import ACTIVATIONS, by_batch, constrain
from seqmodels.ops.log_mel import log_mel
from seqmodels.types import (
    ClassOutput,
    DataSpec,
    SoundInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)


def without_padding(
    x: Num[Array, "B T *features"], segment_ids: Integer[Array, "B T"] | None
) -> Num[Array, "B T *features"]:
    """x with zeros at padding (segment 0), whatever is there, also in the gradient."""
    if segment_ids is None:
        return x
    real = segment_ids.reshape(*segment_ids.shape, *[1] * (x.ndim - 2)) > 0
    return jnp.where(real, x, jnp.zeros((), x.dtype))


class TokenEmbedding(nn.Module):
    """A table with one vector per token; `attend` is the tied head, x E^T.

    Attributes:
      vocab_size: V.
      model_dim: D.
      table_init: initializer of the table [V, D].
      dtype: dtype of the result.
      names: logical names of the table's axes.
    """

    vocab_size: int
    model_dim: int
    table_init: Initializer = nn.initializers.normal(0.02)
    dtype: Any = jnp.float32
    names: tuple[str | None, str | None] = ("vocab", "embed")

    def setup(self) -> None:
        init = nn.with_logical_partitioning(self.table_init, self.names)
        self.table: Any = self.param("table", init, (self.vocab_size, self.model_dim), jnp.float32)

    def __call__(
        self, tokens: Integer[Array, "B T"], segment_ids: Integer[Array, "B T"] | None = None
    ) -> Float[Array, "B T D"]:
        """Looks up the vectors of tokens.

        A token outside the vocabulary, a negative one too, gives NaN. Padding gives zeros: its
        token is not looked up, and its vector has no gradient.
        """
        # With a table split along D, SPMD would first copy the activations to all devices.
        table = constrain(self.table, self.names)
        # The cast comes after the gather, so that its gradient is summed in float32.
        gather = {"mode": "fill", "fill_value": jnp.nan, "wrap_negative_indices": False}
        vectors = without_padding(table.at[tokens].get(**gather), segment_ids)
        return hook(self, "embed", constrain(vectors.astype(self.dtype), ACTIVATIONS))

    def attend(self, features: Float[Array, "*rows D"]) -> Float[Array, "*rows V"]:
        """Logits in float32."""
        features = by_batch(features.astype(self.dtype))
        table = constrain(self.table.astype(self.dtype), self.names)
        logits = jnp.einsum("...d,vd->...v", features, table, preferred_element_type=jnp.float32)
        return by_batch(logits, self.names[0])


class OneHot(nn.Module):
    """Tokens [B, T] as one-hot vectors [B, T, V]; no parameters.

    A token outside the vocabulary gives NaN and padding zeros, as with `TokenEmbedding`.
    """

    vocab_size: int
    dtype: Any = jnp.float32

    def __call__(
        self, tokens: Integer[Array, "B T"], segment_ids: Integer[Array, "B T"] | None = None
    ) -> Float[Array, "B T V"]:
        known = (tokens >= 0) & (tokens < self.vocab_size)
        vectors = nn.one_hot(tokens, self.vocab_size, dtype=self.dtype)
        vectors = without_padding(jnp.where(known[..., None], vectors, jnp.nan), segment_ids)
        return hook(self, "embed", vectors)


class ValueEmbedding(nn.Module):
    """A linear map of real values [B, T, features] to [B, T, D]; padding is read as zeros."""

    model_dim: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, values: Num[Array, "B T C"], segment_ids: Integer[Array, "B T"] | None = None
    ) -> Float[Array, "B T D"]:
        dense = Dense(
            self.model_dim, (None, "embed"), kernel_init=self.kernel_init, dtype=self.dtype
        )
        values = hook(self, "values", without_padding(values, segment_ids))
        return hook(self, "embed", constrain(dense(values), ACTIVATIONS))


class SoundEmbedding(nn.Module):
    """A linear map of the log-mel energies of frames [B, T, N] to [B, T, D].

        z = (log_mel(x) + 4) / 4

    No number of it depends on the data. For sounds between -1 and 1, z is between -1.5 and 1.5;
    padding is read as zeros.
    """

    sound: SoundInput
    model_dim: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.values = ValueEmbedding(self.model_dim, self.kernel_init, self.dtype)

    def __call__(
        self, frames: Num[Array, "B T N"], segment_ids: Integer[Array, "B T"] | None = None
    ) -> Float[Array, "B T D"]:
        frames = without_padding(frames, segment_ids)
        bands = log_mel(frames, self.sound.sample_rate, self.sound.num_bands)
        return self.values((bands + 4) / 4, segment_ids)


class Head(nn.Module):
    """A linear map of features [..., D] to outputs [..., *shape] in float32."""

    shape: tuple[int, ...]
    names: tuple[str | None, str | None]
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        dense = Dense(
            math.prod(self.shape),
            self.names,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            output_dtype=jnp.float32,
        )
        outputs = by_batch(dense(by_batch(features)), self.names[1])
        return outputs.reshape(*features.shape[:-1], *self.shape)


def make_embedding(
    spec: DataSpec,
    model_dim: int,
    init: Initializer | None = None,
    dtype: Any = jnp.float32,
    *,
    one_hot: bool = False,
) -> TokenEmbedding | ValueEmbedding | SoundEmbedding | OneHot:
    """Builds the embedding for the inputs of `spec`; `init=None` is the layer's default.

    With `one_hot`, tokens become one-hot vectors as wide as the vocabulary.
    """
    if one_hot:
        if not isinstance(spec.inputs, TokenInput):
            raise ValueError(f"one-hot inputs need tokens, not {spec.inputs}")
        return OneHot(spec.inputs.vocab_size, dtype)
    match spec.inputs:
        case TokenInput(vocab_size):
            keywords: dict[str, Any] = {} if init is None else {"table_init": init}
            return TokenEmbedding(vocab_size, model_dim, dtype=dtype, **keywords)
        case ValueInput():
            keywords: dict[str, Any] = {} if init is None else {"kernel_init": init}
            return ValueEmbedding(model_dim, dtype=dtype, **keywords)
        case SoundInput():
            keywords: dict[str, Any] = {} if init is None else {"kernel_init": init}
            return SoundEmbedding(spec.inputs, model_dim, dtype=dtype, **keywords)
    raise TypeError(f"no embedding for {spec.inputs}")


def make_head(
    spec: DataSpec,
    *,
    tied: bool = False,
    input_name: str | None = "embed",
    use_bias: bool = True,
    init: Initializer | None = None,
    dtype: Any = jnp.float32,
) -> Head | None:
    """Builds the head for the outputs of `spec`, or returns None where it is tied.

    A tied head is `TokenEmbedding.attend`, and needs one vocabulary for inputs and outputs. For one
    class per sequence the caller pools the features first; the head is the same.

    Args:
      spec: what the data decide.
      tied: whether the embedding table computes the logits.
      input_name: logical name of the features' axis.
      use_bias: whether an untied head has a bias.
      init: initializer of its kernel; None is the layer's default.
      dtype: dtype of the arithmetic.
    """
    if tied:
        if not isinstance(spec.inputs, TokenInput) or spec.outputs != VocabOutput(
            spec.inputs.vocab_size
        ):
            raise ValueError(f"tied embeddings need one vocabulary in and out, not {spec}")
        return None
    keywords: dict[str, Any] = {} if init is None else {"kernel_init": init}
    match spec.outputs:
        case VocabOutput(size):
            shape, name = (size,), "vocab"
        case ClassOutput(size, _):
            shape, name = (size,), None
        case ValueOutput(horizon, num_channels, num_quantiles):
            shape, name = (horizon, num_channels, num_quantiles), None
    names = (input_name, name)
    return Head(shape, names, use_bias=use_bias, dtype=dtype, **keywords)
