"""Recurrent encoder-decoders."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Num

from seqmodels.config.models import Pooling
from seqmodels.config.recurrent import Context, InputEncoding, Seq2SeqConfig
from seqmodels.layers.alignment import Alignment
from seqmodels.layers.bridge import StateBridge
from seqmodels.layers.cells import RecurrentCell
from seqmodels.layers.dense import Dense
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.pooling import SequencePooling
from seqmodels.layers.record import RECORDED, SHIFTS, record
from seqmodels.layers.recurrent import Bidirectional, RecurrentStack
from seqmodels.layers.source import make_source_embedding
from seqmodels.models.build import make_cell
from seqmodels.ops.alignment import reverse_valid
from seqmodels.types import Carry, DataSpec


class Seq2Seq(nn.Module):
    """Recurrent encoder and decoder, of any cell; e_t is the embedded token before target t.

        h_1 .. h_S, final = encoder(source)                    # [B, S, M], one state per layer

        fixed:       s_t = f(s_(t-1), e_t);        o_t = s_t                  # arXiv:1409.3215
        every_step:  s_t = f(s_(t-1), [e_t, c]);   o_t = tanh([s_t, c, e_t] W)   # 1406.1078
                     c = the last output of the encoder
        bahdanau:    s_t = f(s_(t-1), [e_t, c_t]); o_t = tanh([s_t, c_t, e_t] W)   # 1409.0473
                     c_t = align(s_(t-1), h)
        luong:       s_t = f(s_(t-1), [e_t, o_(t-1)]); o_t = tanh([c_t, s_t] W)   # 1508.04025
                     c_t = align(s_t, h); o_(t-1) only with `input_feeding`, 0 at first

    s is the output of the top layer, f all layers, o [B, T, N] the features. fixed, every_step and
    luong without input feeding run a chunk in parallel except for the recurrence; the others step
    through it, with embeddings and bahdanau's o computed outside the loop.

    The decoder starts from the encoder's final states, layer by layer; with a bidirectional
    encoder, from tanh([forward, backward] W + b) of them (`StateBridge`). Differs from the
    papers: Cho et al. put tanh maps around c and the first state; Bahdanau et al. start from
    the backward state alone; both have maxout where o has tanh. Before the first step bahdanau
    aligns by the output that is part of the first state (`RecurrentCell.output_of`); where the
    state does not hold it (lru, aaren), by the encoder's last output, through such a map where
    there are two directions.

    A row is one document and its source, with padding anywhere: to start document n, the decoder
    would need the encoder's state after document n, which cells do not return. Segment ids above 1
    are refused outside jit and make the row NaN inside jit.

    `encode` returns {"states": h, "segments": [B, S], "layers": the decoder's first states}, and
    "context", "query", "keys", "finite" where a context needs them. The carry is {"layers", and
    those of "context", "query", "fed", "memory" that the context needs}; only the source decides
    its size.

    Attributes:
      config: hyper-parameters.
      spec: inputs, outputs and source of the data.
      dtype: dtype of the products; parameters, states, scores and logits are float32.
    """

    config: Seq2SeqConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype, spec = self.config, self.dtype, self.spec
        if spec.source is None:
            raise ValueError("a seq2seq has an encoder, so its data must have a source")
        one_hot = config.input_encoding is InputEncoding.ONE_HOT
        vectors: dict[str, Any] = {
            "model_dim": config.model_dim,
            "dtype": dtype,
            "one_hot": one_hot,
        }
        self.source_embedding = make_source_embedding(
            spec, patch_size=config.patch_size, stem=config.stem, **vectors
        )
        self.embedding = make_embedding(spec, **vectors)
        self.dropout = nn.Dropout(config.dropout_rate)
        # The decoder's first state comes from the encoder, so there is none to learn.
        decoding = dataclasses.replace(config, learned_initial_state=False)
        make_reader = lambda: make_cell(config, dtype)
        make_layer = (lambda: Bidirectional(make_reader)) if config.bidirectional else make_reader
        stack = (config.num_layers, config.dropout_rate)
        self.encoder = RecurrentStack(make_layer, *stack)
        self.decoder = RecurrentStack(lambda: make_cell(decoding, dtype), *stack)
        self.last = SequencePooling(Pooling.LAST, config.bidirectional, dtype)
        if config.bidirectional:
            merge = make_reader().merge
            self.bridges = [StateBridge(merge, dtype) for _ in range(config.num_layers)]
            self.query_bridge = StateBridge(RecurrentCell.merge, dtype)
        if self.aligns:
            self.alignment = Alignment(
                config.score,
                config.scope,
                query_dim=config.output_dim,
                memory_dim=config.output_dim * (2 if config.bidirectional else 1),
                attention_dim=config.attention_dim,
                local_window=config.local_window,
                dtype=dtype,
            )
        if config.context is not Context.FIXED:
            linear = {"use_bias": False, "dtype": dtype, "gather_once": True}
            self.mix = Dense(config.output_dim, ("gates", "hidden"), **linear)
        tied = {"tied": config.tie_embeddings, "input_name": "hidden"}
        self.head = make_head(spec, **tied, dtype=dtype)

    @property
    def aligns(self) -> bool:
        """Whether the decoder attends to the source, so that `align` returns weights."""
        return self.config.aligns

    @property
    def _feeds(self) -> bool:
        return self.config.context is Context.LUONG and self.config.input_feeding

    def encode(
        self,
        source: Num[Array, "B _ *features"],
        *,
        segment_ids: Integer[Array, "B S"] | None = None,
        train: bool,
    ) -> dict[str, Any]:
        """Reads the source and computes everything that no step of the decoder changes.

        Raises:
          ValueError: a row has more than one document, outside jit.
        """
        config, x = self.config, self.source_embedding(source, segment_ids)
        shape = x.shape[:2]
        segments = jnp.ones(shape, jnp.int32) if segment_ids is None else segment_ids
        valid = None if segment_ids is None else segment_ids > 0
        x = self.dropout(x, deterministic=not train)
        x = _one_document(x, segment_ids)
        if config.reverse_source:
            x = reverse_valid(x, segments > 0)
        start = self.encoder.initial_state(shape[0])
        states, final = self.encoder(x, start, None, valid, train=train)
        last = self.last(states, valid)
        if config.reverse_source:
            states = reverse_valid(states, segments > 0)  # back to the order of the tokens
        layers = final
        if config.bidirectional:
            both = [(f"layer_{n}", bridge) for n, bridge in enumerate(self.bridges)]
            layers = {n: bridge(**final[n]) for n, bridge in both}
        memory = {"states": states, "segments": segments.astype(jnp.int32), "layers": layers}
        if config.context is Context.EVERY_STEP:
            memory["context"] = last
        if config.context is Context.BAHDANAU:
            memory["query"] = self._first_query(layers[f"layer_{config.num_layers - 1}"], last)
        if self.aligns:
            memory |= self.alignment.prepare(states)
        return memory

    def _first_query(self, top: Any, last: Float[Array, "B M"]) -> Float[Array, "B N"]:
        """The output of the decoder's top layer before its first step."""
        query = self.decoder.cells[-1].output_of(top)
        if query is None:
            query = last
            if self.config.bidirectional:
                query = self.query_bridge(*jnp.split(last, 2, axis=-1))
        return query.astype(self.dtype)

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """The final states of the encoder, and the parts of its memory that steps need.

        Raises:
          ValueError: there is no memory.
        """
        del capacity
        if memory is None:
            raise ValueError("a seq2seq decodes from a memory; encode the source first")
        names = ("layers", "context", "query")
        carry = {name: memory[name] for name in names if name in memory}
        if self._feeds:
            carry["fed"] = jnp.zeros((batch_size, self.config.output_dim), self.dtype)
        if self.aligns:
            names = ("states", "keys", "finite", "segments")
            carry["memory"] = {name: memory[name] for name in names if name in memory}
        return carry

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T N"], Carry]:
        """Runs a chunk of the target; `carry=None` is the parallel form, which returns no carry.

        Args:
          memory: result of `encode`; not needed with a carry, which contains it.

        Raises:
          ValueError: there is neither carry nor memory; a row has several documents, outside jit.
        """
        before = (
            self.initial_carry(len(inputs), inputs.shape[1], memory) if carry is None else carry
        )
        features, after, _ = self._decode(inputs, before, segment_ids, train)
        return features, None if carry is None else after

    def align(
        self,
        inputs: Num[Array, "B T *features"],
        memory: Any,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
    ) -> Float[Array, "B T S"]:
        """Weights of each target step over the positions of the source.

        Raises:
          ValueError: the context of this config has no attention.
        """
        if not self.aligns:
            raise ValueError(f"model.context={self.config.context} has no attention to the source")
        before = self.initial_carry(len(inputs), inputs.shape[1], memory)
        return self._decode(inputs, before, segment_ids, train=False)[2]

    def readout(self, features: Float[Array, "*rows N"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V]."""
        return self.embedding.attend(features) if self.head is None else self.head(features)

    def _decode(
        self, inputs: Array, before: Carry, segment_ids: Array | None, train: bool
    ) -> tuple[Float[Array, "B T N"], Carry, Any]:
        """Features, carry and the weights of the attention, if any."""
        x = self.dropout(self.embedding(inputs, segment_ids), deterministic=not train)
        x = _one_document(x, segment_ids)
        valid = None if segment_ids is None else segment_ids > 0
        if self.config.context is Context.BAHDANAU or self._feeds:
            y, after, weights = self._step_through(x, before, valid, train)
            record(self, "alignment_pattern", lambda: weights)
            return y, after, weights
        joined, context = x, None
        if "context" in before:
            shape = (*x.shape[:2], before["context"].shape[-1])
            context = jnp.broadcast_to(before["context"][:, None], shape)
            joined = jnp.concatenate([x, context], axis=-1)
        y, layers = self.decoder(joined, before["layers"], None, valid, train=train)
        after, weights = {**before, "layers": layers}, None
        if context is not None:
            y = self._output(y, context, x)
        elif self.aligns:
            context, weights = self._attend(y, before["memory"])
            record(self, "alignment_pattern", lambda: weights)
            y = self._output(context, y)
        return y, after, weights

    def _step_through(
        self, x: Float[Array, "B T D"], before: Carry, valid: Bool[Array, "B T"] | None, train: bool
    ) -> tuple[Float[Array, "B T N"], Carry, Float[Array, "B T S"]]:
        """Runs the contexts in which a step needs the result of the step before."""
        memory = before["memory"]
        state = {name: part for name, part in before.items() if name != "memory"}
        luong = self._feeds
        kept = "fed" if luong else "query"

        def step(self: Seq2Seq, state: Any, moment: Any) -> tuple[Any, Any]:
            e, is_valid = moment
            if luong:
                s, layers = self._advance([e, state["fed"]], state["layers"], is_valid, train)
                c, weights = self._attend(s, memory)
                new = self._output(c, s)
                emitted = (new, weights)
            else:
                c, weights = self._attend(state["query"], memory)
                new, layers = self._advance([e, c], state["layers"], is_valid, train)
                emitted = (new, c, weights)
            if is_valid is not None:
                new = jnp.where(is_valid[:, None], new, state[kept])
            return {"layers": layers, kept: new}, emitted

        loop = nn.scan(
            step,
            variable_axes={RECORDED: 1, SHIFTS: 1},  # [B, T, 1, ...]
            variable_broadcast="params",
            split_rngs={"params": False, "dropout": True},
            in_axes=1,
            out_axes=1,
        )
        state, (*emitted, weights) = loop(self, state, (x, valid))
        features = emitted[0] if luong else self._output(*emitted, x)
        return features, {**state, "memory": memory}, weights

    def _advance(
        self, parts: list[Array], layers: Any, valid: Bool[Array, " B"] | None, train: bool
    ) -> tuple[Float[Array, "B N"], Any]:
        """Runs one step of the decoder's cells."""
        joined = jnp.concatenate(parts, axis=-1)[:, None]
        valid = None if valid is None else valid[:, None]
        y, layers = self.decoder(joined, layers, None, valid, train=train)
        return y[:, 0], layers

    def _attend(self, query: Float[Array, "B *T N"], memory: Any) -> tuple[Array, Array]:
        """Contexts and weights over the tokens of the source."""
        seen = memory["segments"] > 0
        return self.alignment(query, memory, seen)

    def _output(self, *parts: Float[Array, "B *T _"]) -> Float[Array, "B *T N"]:
        return jnp.tanh(self.mix(jnp.concatenate(parts, axis=-1)))


def _one_document(x: Float[Array, "B T D"], segment_ids: Any) -> Float[Array, "B T D"]:
    """NaN at a second document, which the state then spreads over the rest of the row."""
    if segment_ids is None:
        return x
    if not isinstance(segment_ids, jax.core.Tracer) and np.asarray(segment_ids).max() > 1:
        raise ValueError("a seq2seq takes one document per row, so segment_ids must be 0 or 1")
    return jnp.where(segment_ids[..., None] > 1, jnp.nan, x)
