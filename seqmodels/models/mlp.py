"""Multi-layer perceptrons."""

from __future__ import annotations

import itertools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from seqmodels.config.models import MLPConfig
from seqmodels.layers.dense import Dense
from seqmodels.layers.embedding import make_embedding, make_head, without_padding
from seqmodels.layers.feedforward import ACTIVATION_FUNCTIONS
from seqmodels.models.perceptron import OneToOne
from seqmodels.types import DataSpec, SoundInput, TokenInput


class MLP(OneToOne):
    """Layers h' = f(h W + b) on each input separately (Rumelhart et al., 1986).

    The first h is a token's vector of `model_dim`, the values of a step, or all pixels of an image;
    the features are the last h, [B, T, D] or [B, D], with D = `hidden_dim`.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the arithmetic; parameters and outputs are float32.
    """

    config: MLPConfig
    spec: DataSpec
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config, dtype = self.config, self.dtype
        self.embedding = None
        if isinstance(self.spec.inputs, TokenInput | SoundInput):
            self.embedding = make_embedding(self.spec, config.model_dim, dtype=dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        # Alternately split and whole: the next layer sums over the axis that a layer splits.
        sides = ["mlp" if n % 2 else "embed" for n in range(config.num_layers + 1)]
        init = {"kernel_init": nn.initializers.he_normal(), "dtype": dtype}
        self.layers = [
            Dense(config.hidden_dim, names, **init) for names in itertools.pairwise(sides)
        ]
        self.head: Any = make_head(self.spec, dtype=dtype)

    def transform(
        self, inputs: Num[Array, "B ..."], segment_ids: Any, train: bool
    ) -> Float[Array, "B *T D"]:
        x = without_padding(inputs, segment_ids)
        if self.embedding is not None:
            x = self.embedding(inputs, segment_ids)
        for layer in self.layers:
            x = ACTIVATION_FUNCTIONS[self.config.activation](layer(x))
            x = self.dropout(x, deterministic=not train)
        return x
