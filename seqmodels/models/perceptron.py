"""One linear map, and what models share that look at each input by itself."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.models import PerceptronConfig
from seqmodels.layers.embedding import OneHot, make_head
from seqmodels.types import Carry, DataSpec, ImageInput, TokenInput


class OneToOne(nn.Module):
    """A model of each position, or of each image, by itself.

    The carry is empty, padding is a position like the others; images have no carry. A subclass
    makes the features, [..., D] of [..., F], in `transform`, and has a `head`.
    """

    @property
    def causal(self) -> bool:
        """Whether there is a sequence, and so a carry."""
        return not isinstance(self.spec.inputs, ImageInput)

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """Nothing.

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
        """Features [B, T, D], or [B, D] of images; the carry is returned as it came.

        Raises:
          ValueError: there is a carry beside images.
        """
        del segment_ids, memory
        if not self.causal:
            if carry is not None:
                raise ValueError("a model of whole images takes no carry")
            inputs = inputs.reshape(inputs.shape[0], -1)
        return self.transform(inputs, train), carry

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32."""
        return self.head(features)


class Perceptron(OneToOne):
    """outputs = x W + b.

    Tokens are one-hot vectors, so that W is a table of logits, one row a token: a bigram model.
    The pixels of an image are one vector. Differs from Rosenblatt, 1958, "The perceptron": no
    threshold behind the sum, and W is learned by gradients.

    Attributes:
      config: nothing to set.
      spec: what the data decide.
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

    def transform(self, inputs: Num[Array, "B ..."], train: bool) -> Float[Array, "B *T D"]:
        del train
        return inputs.astype(self.dtype) if self.one_hot is None else self.one_hot(inputs)
