"""Convolutional baselines: no recurrence and no attention."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.models import ConvolutionalConfig, ConvolutionForm
from seqmodels.layers.convolution import TemporalBlock, WindowMaximum
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.ops.convolution import compact
from seqmodels.ops.streams import begin, follow
from seqmodels.types import Carry, ClassOutput, DataSpec


class Convolutional(nn.Module):
    """Temporal convolutional network, or convolutions with a maximum over time.

    tcn (Bai et al., 2018, arXiv:1803.01271): causal residual blocks, dilated 1, 2, 4, .. The carry
    has a constant size for every capacity: {"layers": the inputs that each convolution still needs,
    "last_segment", "last_position": [B]}.

    text_cnn (Kim, 2014, arXiv:1408.5882): filters over windows of several widths, and the maximum
    of each filter over the whole document; one document per row, one output per document.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the products; parameters are float32.
    """

    config: ConvolutionalConfig
    spec: DataSpec
    dtype: Any = jnp.float32

    @property
    def causal(self) -> bool:
        """Whether the model is a tcn, which is causal and has a carry."""
        return self.config.form == ConvolutionForm.TCN

    def setup(self) -> None:
        config, dtype = self.config, self.dtype
        whole = isinstance(self.spec.outputs, ClassOutput) and not self.spec.outputs.per_step
        if not self.causal and not whole:
            raise ValueError(
                "model.form=text_cnn has one output per document, not one per step; it needs data "
                "with one class per sequence. Use model.form=tcn for other data"
            )
        self.embedding = make_embedding(self.spec, config.model_dim, dtype=dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        if self.causal:
            self.blocks = [
                TemporalBlock(
                    config.hidden_dim,
                    config.hidden_dim if n else config.model_dim,
                    config.kernel_size,
                    2**n,
                    config.dropout_rate,
                    dtype,
                )
                for n in range(config.num_layers)
            ]
        else:
            self.windows = [
                WindowMaximum(config.hidden_dim, config.kernel_size + n, dtype)
                for n in range(config.num_kernel_sizes)
            ]
        self.head = make_head(self.spec, input_name="hidden", dtype=dtype)

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """The history before the first token; `capacity` and `memory` are not used."""
        del capacity, memory
        if not self.causal:
            raise ValueError("a text_cnn looks both ways and has no carry")
        layers = {f"layer_{n}": b.initial_state(batch_size) for n, b in enumerate(self.blocks)}
        return {"layers": layers, **begin(batch_size)}

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B *T D"], Carry]:
        """Runs a chunk (tcn) or whole documents (text_cnn: [B, D])."""
        if not self.causal:
            if carry is not None:
                raise ValueError("a text_cnn looks both ways and takes no carry")
            return self._whole(inputs, segment_ids, train), None
        batch_size, length = inputs.shape[:2]
        before = self.initial_carry(batch_size, length, memory) if carry is None else carry
        stream = follow((batch_size, length), segment_ids, before)
        x = self.embedding(inputs, segment_ids)
        packing, starts, count = None, stream.starts, None
        if stream.valid is not None and starts is not None:
            packing = compact(stream.valid)
            x, starts, count = packing.pack(x), packing.pack(starts), packing.count
        layers = {}
        # By name, because jit returns a carry sorted, with layer_10 before layer_2.
        for n, block in enumerate(self.blocks):
            name = f"layer_{n}"
            x, layers[name] = block(x, before["layers"][name], starts, count, train=train)
        features = x if packing is None else packing.unpack(x)
        return features, None if carry is None else {"layers": layers, **stream.after}

    def _whole(self, inputs: Array, segment_ids: Array | None, train: bool) -> Float[Array, "B D"]:
        x, count = self.embedding(inputs, segment_ids), None
        if segment_ids is not None:
            packing = compact(segment_ids > 0)
            held = jnp.arange(x.shape[1])[None] < packing.count[:, None]
            x, count = jnp.where(held[..., None], packing.pack(x), 0.0), packing.count
        features = jnp.concatenate([window(x, count) for window in self.windows], axis=-1)
        return self.dropout(features, deterministic=not train)

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32."""
        assert self.head is not None
        return self.head(features)
