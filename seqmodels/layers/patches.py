"""Images as sequences of patches, and encodings of the position of a patch."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from seqmodels.layers.dense import Dense, Initializer
from seqmodels.layers.record import hook
from seqmodels.layers.sharding import ACTIVATIONS, constrain


def cut_patches(
    images: Num[Array, "B height width channels"], patch_size: int
) -> Num[Array, "B P values"]:
    """Cuts images into squares of patch_size x patch_size pixels, row by row.

    The values of a patch are in the order (row, column, channel).

    Raises:
      ValueError: the squares do not fill the image.
    """
    batch_size, height, width, channels = images.shape
    rows, columns = grid(height, width, patch_size)
    x = images.reshape(batch_size, rows, patch_size, columns, patch_size, channels)
    return jnp.swapaxes(x, 2, 3).reshape(batch_size, rows * columns, patch_size**2 * channels)


def grid(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches.

    Raises:
      ValueError: the patches do not fill the image.
    """
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"patches of {patch_size} x {patch_size} pixels do not fill an image of "
            f"{height} x {width}"
        )
    return height // patch_size, width // patch_size


class PatchEmbedding(nn.Module):
    """A linear map of each patch, as a convolution of kernel p and stride p (arXiv:2010.11929).

        x = patches W + b                                      # [B, P, p p C] -> [B, P, D]

    Attributes:
      patch_size: p.
      model_dim: D.
      kernel_init: initializer of W.
      dtype: dtype of the product.
    """

    patch_size: int
    model_dim: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Num[Array, "B height width channels"]) -> Float[Array, "B P D"]:
        project = Dense(
            self.model_dim,
            (None, "embed"),
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="project",
        )
        x = constrain(project(cut_patches(images, self.patch_size)), ACTIVATIONS)
        return hook(self, "embed", x)


class ConvolutionalStem(nn.Module):
    """Patches by convolutions of 3 x 3: a vector sees the surroundings of its patch too.

        x = relu(conv(x)), of stride 2                         # log2(p) times: H -> H / p
        x = relu(conv(x)), of stride 1
        x = x W + b                                            # [B, P, D]

    The last convolutions have D channels, and each before that reduces the image half as many as
    the next. Zeros surround the image. Source: Xiao et al., 2021, arXiv:2106.14881, without their
    batch norms, which would make an image depend on the others of its batch.

    Attributes:
      patch_size: p, a power of 2.
      model_dim: D.
      dtype: dtype of the products.
    """

    patch_size: int
    model_dim: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Num[Array, "B height width channels"]) -> Float[Array, "B P D"]:
        halvings = self.patch_size.bit_length() - 1
        x = images
        for layer in range(halvings + 1):
            width = max(1, self.model_dim >> max(halvings - 1 - layer, 0))
            convolve = Dense(
                width,
                (None, "embed"),
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"convolution_{layer}",
            )
            x = nn.relu(convolve(_neighbourhoods(x, 2 if layer < halvings else 1)))
        x = Dense(self.model_dim, (None, "embed"), dtype=self.dtype, name="project")(x)
        x = constrain(x.reshape(len(x), -1, self.model_dim), ACTIVATIONS)
        return hook(self, "embed", x)


def _neighbourhoods(
    images: Num[Array, "B height width channels"], stride: int
) -> Num[Array, "B rows columns values"]:
    """The 3 x 3 pixels around every `stride`-th pixel, in the order (row, column, channel)."""
    _, height, width, _ = images.shape
    x = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(3)
        for column in range(3)
    ]
    return jnp.concatenate(taps, axis=-1)


def sinusoidal_2d(rows: int, columns: int, model_dim: int) -> Float[np.ndarray, "P D"]:
    """Sines and cosines of the column, then of the row, of each patch, row by row.

        w_i = 10000^(-4 i / D),  i = 0 .. D/4 - 1
        p = [sin(w column), cos(w column), sin(w row), cos(w row)]

    Source: Chen et al., 2021, arXiv:2104.02057 (MoCo v3).

    Args:
      model_dim: D, a multiple of 4.
    """
    rates = 10000.0 ** (-np.arange(model_dim // 4) * 4 / model_dim)
    row, column = np.divmod(np.arange(rows * columns), columns)
    angles = [place[:, None] * rates[None] for place in (column, row)]
    parts = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.concatenate(parts, axis=1).astype(np.float32)
