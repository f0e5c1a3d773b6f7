"""The base of models that read a window of a series as a whole, and its pieces."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from seqmodels.types import Carry, ValueInput, ValueOutput


class WindowModel(nn.Module):
    """A model of windows [B, T, C] of one length T, which the data decide.

    A subclass has the fields `config`, `spec` and `dtype`, and defines `transform`, which maps a
    window to features [B, D], and `readout`. There is no carry, and a window is one row without
    padding.
    """

    causal: ClassVar[bool] = False

    def check_spec(self) -> None:
        """Raises TypeError where the data are not windows with values to forecast."""
        inputs, outputs = self.spec.inputs, self.spec.outputs
        if not isinstance(inputs, ValueInput) or inputs.length is None:
            raise TypeError(
                f"model.kind={self.config.kind} reads windows of a series, not {inputs}"
            )
        if not isinstance(outputs, ValueOutput):
            raise TypeError(f"model.kind={self.config.kind} gives values, not {outputs}")

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """Raises an error, because the model has no carry.

        Raises:
          ValueError: always.
        """
        del batch_size, capacity, memory
        raise ValueError(f"a {self.config.kind} reads whole windows and has no carry")

    def __call__(
        self,
        inputs: Num[Array, "B T C"],
        carry: Carry = None,
        *,
        segment_ids: Any = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B D"], None]:
        """Runs whole windows; `memory` is not used.

        Raises:
          ValueError: there is a carry or there are segments, or the windows have another length.
        """
        del memory
        if carry is not None:
            raise ValueError(f"a {self.config.kind} reads whole windows and takes no carry")
        if segment_ids is not None:
            raise ValueError("a window has no segments")
        if inputs.shape[1] != self.spec.inputs.length:
            raise ValueError(
                f"a window of {inputs.shape[1]} steps is not one of {self.spec.inputs}"
            )
        return self.transform(inputs.astype(self.dtype), train), None


def cut_segments(x: Float[Array, "B T C"], length: int) -> Float[Array, "B M values"]:
    """Segments of `length` steps, whose values are in the order (step, channel).

    Where they do not fill x, its first step is repeated before it.
    """
    missing = -x.shape[1] % length
    x = jnp.concatenate([jnp.repeat(x[:, :1], missing, axis=1), x], axis=1)
    return x.reshape(x.shape[0], -1, length * x.shape[2])


def cut_overlapping(
    x: Float[Array, "B T C"], length: int, stride: int
) -> Float[Array, "B P values"]:
    """Patches of `length` steps, one every `stride` steps, in the order (step, channel).

    The last step is repeated `stride` times after x, as in PatchTST, so that no step is left out;
    where x is shorter than a patch, its first step is repeated before it.
    """
    missing = max(0, length - x.shape[1])
    ends = (jnp.repeat(x[:, :1], missing, axis=1), jnp.repeat(x[:, -1:], stride, axis=1))
    x = jnp.concatenate([ends[0], x, ends[1]], axis=1)
    starts = jnp.arange(0, x.shape[1] - length + 1, stride)
    patches = x[:, starts[:, None] + jnp.arange(length)[None]]  # [B, P, length, C]
    return patches.reshape(*patches.shape[:2], -1)
