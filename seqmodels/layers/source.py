"""Sources of an encoder-decoder as vectors, one per step: tokens, values, patches of images."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from seqmodels.config.models import ImageStem
from seqmodels.layers.dense import Initializer
from seqmodels.layers.embedding import make_embedding
from seqmodels.layers.patches import ConvolutionalStem, PatchEmbedding, grid, sinusoidal_2d
from seqmodels.types import DataSpec, ImageInput


class ImageSteps(nn.Module):
    """The patches of images, row by row, with the place of each.

        x = stem(patches) + waves(row, column)                 # [B, H, W, C] -> [B, P, D]

    The waves are those of `sinusoidal_2d` over the largest multiple of 4 that D holds; the channels
    beyond have none.

    Attributes:
      image: the size of all images.
      patch_size: p, height and width of a patch.
      model_dim: D.
      stem: how a patch becomes a vector.
      dtype: dtype of the result.
    """

    image: ImageInput
    patch_size: int
    model_dim: int
    stem: ImageStem = ImageStem.LINEAR
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Num[Array, "B height width channels"], segment_ids: Any = None
    ) -> Float[Array, "B P D"]:
        """Reads whole images.

        Raises:
          ValueError: there are segments, or the images differ in size from those of the data.
        """
        image, width = self.image, self.model_dim - self.model_dim % 4
        if segment_ids is not None:
            raise ValueError("an image has no segments")
        if images.shape[1:] != (image.height, image.width, image.channels):
            size = " x ".join(map(str, images.shape[1:]))
            raise ValueError(f"an image of {size} is not one of {image}")
        stem = PatchEmbedding if self.stem is ImageStem.LINEAR else ConvolutionalStem
        patches = stem(self.patch_size, self.model_dim, dtype=self.dtype, name="patches")
        x = patches(images)
        waves = sinusoidal_2d(*grid(image.height, image.width, self.patch_size), width)
        waves = np.pad(waves, ((0, 0), (0, self.model_dim - width)))
        return x + jnp.broadcast_to(jnp.asarray(waves, x.dtype), x.shape)


def make_source_embedding(
    spec: DataSpec,
    model_dim: int,
    init: Initializer | None = None,
    dtype: Any = jnp.float32,
    *,
    patch_size: int,
    stem: ImageStem = ImageStem.LINEAR,
    one_hot: bool = False,
) -> Any:
    """Builds what turns the source of `spec` into vectors, called with it and its segment ids.

    Args:
      patch_size, stem: of images.
      init, one_hot: of other sources; see `make_embedding`.
    """
    assert spec.source is not None
    if isinstance(spec.source, ImageInput):
        return ImageSteps(spec.source, patch_size, model_dim, stem, dtype)
    return make_embedding(
        DataSpec(spec.source, spec.outputs), model_dim, init, dtype, one_hot=one_hot
    )
