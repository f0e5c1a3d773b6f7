"""Transformer blocks and stacks of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.config.models import Activation
from seqmodels.config.transformers import Norm, NormPlacement, Position
from seqmodels.layers.attention import AttentionContext, CrossAttention, SelfAttention
from seqmodels.layers.dense import Initializer
from seqmodels.layers.feedforward import FeedForward
from seqmodels.layers.norms import make_norm
from seqmodels.layers.record import RECORDED, SHIFTS, hook, is_recording, record
from seqmodels.layers.sharding import ACTIVATIONS, constrain
from seqmodels.ops.attention import Contained
from seqmodels.ops.positions import RotaryScaling

BLOCKS = "blocks"
"""Name of the parameters of all blocks of a stack, stacked along their first axis."""

UNROLL_UP_TO = 12
"""Up to this number of layers the scan over them is unrolled: faster steps, longer compilation."""


class Block(nn.Module):
    """One layer of a Transformer: the parts f are attention, cross attention and feed-forward.

        pre:   x = x + f(norm(x))
        post:  x = norm(x + f(x))

    pre: Xiong et al., 2020, arXiv:2002.04745; post: Vaswani et al., 2017, arXiv:1706.03762. There
    is cross attention where the context has a memory. Dropout acts on the attention weights and on
    the output of each part. The signature suits `nn.scan`.

    Attributes:
      num_heads: H.
      mlp_dim: F.
      num_layers: L, of the stack.
      train: whether there is dropout.
      num_kv_heads: G; None = H.
      head_dim: K; None = D / H.
      causal: whether later tokens are hidden.
      window: number of visible tokens, the query's own included; None = all.
      norm: layer or rms.
      norm_epsilon: added to the variance.
      norm_placement: pre or post.
      activation: of the feed-forward part.
      position: only rotary and alibi act here, in the attention.
      rotary_base, rotary_scaling: of rotary angles.
      use_bias: whether linear maps and layer norms have biases.
      dropout_rate: of all dropouts.
      kernel_init: initializer of the kernels that read x.
      output_init: initializer of the kernels that add to x; None = a deviation of
        0.02 / sqrt(2 L), as in GPT-2.
      gather_once: of `Dense`.
      dtype: dtype of the arithmetic; norms, scores and softmax are float32.
    """

    num_heads: int
    mlp_dim: int
    num_layers: int
    train: bool
    num_kv_heads: int | None = None
    head_dim: int | None = None
    causal: bool = True
    window: int | None = None
    norm: Norm = Norm.LAYER
    norm_epsilon: float = 1e-5
    norm_placement: NormPlacement = NormPlacement.PRE
    activation: Activation = Activation.GELU
    position: Position = Position.NONE
    rotary_base: float = 10000.0
    rotary_scaling: RotaryScaling | None = None
    use_bias: bool = False
    dropout_rate: float = 0.0
    kernel_init: Initializer = nn.initializers.normal(0.02)
    output_init: Initializer | None = None
    gather_once: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        context: AttentionContext,
        cache: Contained | None,
        memory: Contained | None,
    ) -> tuple[Float[Array, "B T D"], Contained | None]:
        x = hook(self, "resid_pre", x)
        attend, look_up, feed = self._parts()

        def attend_to_self(x: Array) -> Array:
            nonlocal cache
            added, cache = attend(x, cache, context)
            return added

        def attend_to_memory(x: Array) -> Array:
            assert context.memory is not None
            assert memory is not None
            positions = (context.queries, context.memory.positions)
            return look_up(x, memory.keys, memory.values, *positions, memory.finite)

        x = self._add(x, "attention", attend_to_self)
        if memory is not None:
            x = self._add(x, "cross_attention", attend_to_memory)
        x = self._add(x, "feedforward", feed)
        record(self, "resid_post", lambda: x)
        return constrain(x, ACTIVATIONS), cache

    def _parts(self) -> tuple[SelfAttention, CrossAttention, FeedForward]:
        scaled = nn.initializers.normal(0.02 / math.sqrt(2 * self.num_layers))
        common: dict[str, Any] = {
            "use_bias": self.use_bias,
            "kernel_init": self.kernel_init,
            "output_init": self.output_init or scaled,
            "gather_once": self.gather_once,
            "dtype": self.dtype,
        }
        looking = {"head_dim": self.head_dim, "dropout_rate": self.dropout_rate, **common}
        attend = SelfAttention(
            self.num_heads,
            self.train,
            self.num_kv_heads,
            causal=self.causal,
            window=self.window,
            position=self.position,
            rotary_base=self.rotary_base,
            rotary_scaling=self.rotary_scaling,
            name="attention",
            **looking,
        )
        look_up = CrossAttention(self.num_heads, self.train, name="cross_attention", **looking)
        feed = FeedForward(self.mlp_dim, self.activation, name="feedforward", **common)
        return attend, look_up, feed

    def _add(self, x: Array, name: str, part: Callable[[Array], Array]) -> Array:
        """Adds a part to x, with the norm of the part before or after it."""
        norm = make_norm(
            self.norm,
            epsilon=self.norm_epsilon,
            use_bias=self.use_bias,
            dtype=self.dtype,
            name=f"{name}_norm",
        )
        drop = nn.Dropout(self.dropout_rate, deterministic=not self.train)
        if self.norm_placement == NormPlacement.PRE:
            return x + drop(part(norm(x)))
        return norm(x + drop(part(x)))


class TransformerStack(nn.Module):
    """L blocks as one scan; parameters are stacked along an axis named "layers".

    Attributes:
      num_layers: L.
      block: keyword arguments of `Block` except `num_layers`, `train` and `dtype`; the final norm
        is of the same kind.
      remat: whether the backward pass recomputes a block instead of keeping its activations.
      final_norm: whether the last block is followed by a norm.
      dtype: dtype of the arithmetic.
    """

    num_layers: int
    block: Mapping[str, Any]
    remat: bool = False
    final_norm: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        cache: Contained | None,
        context: AttentionContext,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], Contained | None]:
        """Applies the blocks.

        Args:
          cache: keys and values of all layers, [B, L, G, S, K], and `finite` [B, L, S], of
            `ops.attention.contain`; a slot S holds one token of a row. None in the parallel form.
          context: positions, slots and memory of the chunk.
          train: whether there is dropout.
        """
        block = nn.remat(Block) if self.remat else Block
        # A loop over the layers would copy the cache of each.
        unrolled = self.num_layers <= UNROLL_UP_TO or cache is not None
        blocks = nn.scan(
            block,
            variable_axes={"params": 0, RECORDED: 0, SHIFTS: 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, 1, 1),  # pyright: ignore[reportArgumentType]
            out_axes=1,
            length=self.num_layers,
            unroll=self.num_layers if unrolled else 1,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        stack = blocks(
            num_layers=self.num_layers,
            train=train,
            # A block that is recomputed gathers its kernels again anyway.
            gather_once=self.remat,
            dtype=self.dtype,
            name=BLOCKS,
            **self.block,
        )
        memory = None if context.memory is None else Contained(*context.memory[:3])
        x, cache = stack(x, context, cache, memory)
        lens = self.variables[RECORDED][BLOCKS]["resid_post"] if is_recording(self) else None
        if self.final_norm:
            names = {"norm": "norm", "norm_epsilon": "epsilon", "use_bias": "use_bias"}
            own = {names[key]: value for key, value in self.block.items() if key in names}
            norm = make_norm(dtype=self.dtype, name="final_norm", **own)
            x, lens = norm(x), None if lens is None else norm(lens)
        record(self, "lens", lambda: lens)  # [L, B, T, D]
        return x, cache
