"""Vision Transformers."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from seqmodels.config.models import Activation
from seqmodels.config.transformers import ImagePooling, ImagePosition, ViTConfig
from seqmodels.layers.attention import AttentionContext
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.embedding import make_head
from seqmodels.layers.patches import PatchEmbedding, grid, sinusoidal_2d
from seqmodels.layers.positions import PositionTable
from seqmodels.layers.sharding import parameter
from seqmodels.ops.masks import Positions
from seqmodels.types import Carry, ClassOutput, DataSpec, ImageInput

INIT = nn.initializers.normal(0.02)


class ViT(nn.Module):
    """Transformer encoder over the patches of an image.

        x = [class token; patches W + b] + positions           # [B, 1 + P, D]
        x = norm(blocks(x)), with pre-norms
        features = x_0, or the mean of all x without a class token   # [B, D]

    Sinusoidal positions (rows and columns, see `sinusoidal_2d`) are not added to the class token.
    There is no carry, and an image is one row without padding.
    Source: Dosovitskiy et al., 2021, arXiv:2010.11929.

    Attributes:
      config: hyper-parameters.
      spec: size of the images and number of classes.
      dtype: dtype of the arithmetic; parameters, norms, softmax and logits are float32.
    """

    config: ViTConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = False

    def setup(self) -> None:
        config, dtype, spec, image = self.config, self.dtype, self.spec, self._image
        if not isinstance(spec.outputs, ClassOutput) or spec.outputs.per_step:
            raise TypeError(f"a vit has one class per image, not {spec.outputs}")
        self.patches = PatchEmbedding(config.patch_size, config.model_dim, INIT, dtype)
        rows, columns = grid(image.height, image.width, config.patch_size)
        length = rows * columns
        if config.pooling == ImagePooling.CLASS_TOKEN:
            length += 1
            shape = (1, config.model_dim)
            self.class_token = parameter(self, "class_token", INIT, (None, "embed"), shape)
        if config.position == ImagePosition.LEARNED:
            self.position_table = PositionTable(length, config.model_dim, dtype, INIT)
        self.dropout = nn.Dropout(config.dropout_rate)
        block = {
            "num_heads": config.num_heads,
            "mlp_dim": config.mlp_dim,
            "causal": False,
            "norm_epsilon": config.norm_epsilon,
            "activation": Activation.GELU_EXACT,
            "use_bias": True,
            "dropout_rate": config.dropout_rate,
            "kernel_init": INIT,
            "output_init": INIT,
        }
        self.stack = TransformerStack(config.num_layers, block, config.remat, True, dtype)
        self.head: Any = make_head(spec, init=INIT, dtype=dtype)

    @property
    def _image(self) -> ImageInput:
        if not isinstance(self.spec.inputs, ImageInput):
            raise TypeError(f"a vit reads images, not {self.spec.inputs}")
        return self.spec.inputs

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """Raises an error, because the model has no carry.

        Raises:
          ValueError: always.
        """
        del batch_size, capacity, memory
        raise ValueError("a vit reads whole images and has no carry")

    def __call__(
        self,
        inputs: Num[Array, "B height width channels"],
        carry: Carry = None,
        *,
        segment_ids: Any = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B D"], None]:
        """Runs whole images; `memory` is not used.

        Raises:
          ValueError: there is a carry or there are segments, or the images differ in size from
            those of the data.
        """
        del memory
        if carry is not None:
            raise ValueError("a vit reads whole images and takes no carry")
        if segment_ids is not None:
            raise ValueError("an image has no segments")
        image = self._image
        if inputs.shape[1:] != (image.height, image.width, image.channels):
            size = " x ".join(map(str, inputs.shape[1:]))
            raise ValueError(f"an image of {size} is not one of {image}")
        x = self._embed(inputs)
        x = self.dropout(x, deterministic=not train)
        context = AttentionContext(Positions(jnp.arange(x.shape[1])[None]))
        x, _ = self.stack(x, None, context, train=train)
        if self.config.pooling == ImagePooling.CLASS_TOKEN:
            return x[:, 0], None
        return jnp.mean(x, axis=1), None

    def _embed(self, images: Array) -> Float[Array, "B T D"]:
        config, image, x = self.config, self._image, self.patches(images)
        if config.position == ImagePosition.SINUSOIDAL_2D:
            rows, columns = grid(image.height, image.width, config.patch_size)
            waves = jnp.asarray(sinusoidal_2d(rows, columns, config.model_dim), x.dtype)
            x = x + jnp.broadcast_to(waves, x.shape)
        if config.pooling == ImagePooling.CLASS_TOKEN:
            token = jnp.broadcast_to(self.class_token.astype(x.dtype), x[:, :1].shape)
            x = jnp.concatenate([token, x], axis=1)
        if config.position == ImagePosition.LEARNED:
            x = x + jnp.broadcast_to(self.position_table(jnp.arange(x.shape[1])[None]), x.shape)
        return x

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*rows C"]:
        """Logits of the classes, float32."""
        return self.head(features)
