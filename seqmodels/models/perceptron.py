"""One linear map, and the base of models that read each input separately."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.models import PerceptronConfig
from seqmodels.layers.embedding import OneHot, make_head, without_padding
from seqmodels.types import Carry, DataSpec, ImageInput, TokenInput


class OneToOne(nn.Module):
    """A model of each position, or of each image, separately.

    The carry is empty, and padding is read as zeros; with images there is no carry. A subclass
    defines `transform`, which maps inputs [..., F] or tokens and their segment ids to features
    [..., D], and `head`.
    """

    @property
    def causal(self) -> bool:
        """Whether the inputs are a sequence, so that there is a carry."""
        return not isinstance(self.spec.inputs, ImageInput)

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """An empty carry.

        Raises:
          ValueError: the inputs are images.
        """
        del batch_size, capacity, memory
        if not self.causal:
            raise ValueError("a model of whole images has no carry")
        return {}

    def __call__(
        self,
        inputs: Num[Array, "B ..."],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B *T D"], Carry]:
        """Features [B, T, D], or [B, D] of images; the carry is returned unchanged.

        Raises:
          ValueError: the inputs are images and there is a carry.
        """
        del memory
        if not self.causal:
            if carry is not None:
                raise ValueError("a model of whole images takes no carry")
            inputs, segment_ids = inputs.reshape(inputs.shape[0], -1), None
        return self.transform(inputs, segment_ids, train), carry

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32."""
        return self.head(features)


class Perceptron(OneToOne):
    """outputs = x W + b.

    Tokens are one-hot vectors, so W is a table of logits with one row per token, a bigram model.
    The pixels of an image are one vector. Differs from Rosenblatt, 1958, "The perceptron": no
    threshold after the sum, and W is learned by gradients.

    Attributes:
      config: has no fields.
      spec: inputs and outputs of the data.
      dtype: dtype of the product; parameters and outputs are float32.
    """

    config: PerceptronConfig
    spec: DataSpec
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.one_hot = None
        if isinstance(self.spec.inputs, TokenInput):
            self.one_hot = OneHot(self.spec.inputs.vocab_size, self.dtype)
        self.head: Any = make_head(self.spec, dtype=self.dtype)

    def transform(
        self, inputs: Num[Array, "B ..."], segment_ids: Any, train: bool
    ) -> Float[Array, "B *T D"]:
        del train
        if self.one_hot is not None:
            return self.one_hot(inputs, segment_ids)
        return without_padding(inputs, segment_ids).astype(self.dtype)
