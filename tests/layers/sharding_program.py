"""Run on 8 CPU devices by test_sharding.py; prints one line of JSON, XLA writes to stderr.

    python -m tests.layers.sharding_program gradients    # a GPT's, against one device
    python -m tests.layers.sharding_program vocabulary   # tables and heads split by the vocabulary

Behind the line "without constraints" stands what XLA says where the layers constrain nothing.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqmodels.config.training import TrainingConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.decoding.sampling import Sampling, choose, row_keys
from seqmodels.distributed.mesh import BATCH_AXES, make_mesh, mesh_context, shardings_of, unboxed
from seqmodels.layers.embedding import Head, TokenEmbedding
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.ops.losses import most_likely, softmax_cross_entropy
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.distributed import hlo
from tests.mutants.mutant import become_mutant

B, T, D = 8, 7, 16


def gap(a: Any, b: Any) -> float:
    """The largest difference of two trees."""
    gaps = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), a, b)
    return float(max(jax.tree.leaves(gaps)))


def on_mesh(function: Any, mesh: Mesh, boxed: Any, tokens: jax.Array) -> tuple[Any, str]:
    """A function of params and tokens, sharded: its result, and what was compiled."""
    with mesh_context(mesh):
        rows = NamedSharding(mesh, PartitionSpec(BATCH_AXES))
        split = jax.device_put((unboxed(boxed), tokens), (shardings_of(boxed, mesh), rows))
        assert len(jax.tree.leaves(split[0])[0].sharding.device_set) == mesh.size
        # A function of its own: what was traced without the mesh is not what is asked for.
        compiled = jax.jit(lambda *x: function(*x)).lower(*split).compile()
        return compiled(*split), compiled.as_text()


def gradients(mesh: Mesh) -> float:
    """The largest difference of a GPT's gradients from those on one device."""
    spec = DataSpec(TokenInput(24), VocabOutput(24))
    config = GPTConfig(num_layers=2, model_dim=D, num_heads=2, mlp_dim=32, max_length=T)
    model = build_model(config, spec)
    boxed = jax.jit(lambda key: init_params(model, key))(jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (B, T), 0, 24)

    def loss(params: Any, tokens: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": params}, tokens, train=False)
        logits = model.apply({"params": params}, features, method="readout")
        return softmax_cross_entropy(logits, jnp.roll(tokens, -1, 1)).mean()

    together, _ = on_mesh(jax.value_and_grad(loss), mesh, boxed, tokens)
    return gap(jax.jit(jax.value_and_grad(loss))(unboxed(boxed), tokens), together)


class Bigram(nn.Module):
    """Logits of a token from the one before it, of a tied or of an own head."""

    vocab_size: int
    tied: bool

    @nn.compact
    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Far below 0, where the logit of a row of zeros would be the best by far.
        low = lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, 1, 2)
        embedding = TokenEmbedding(self.vocab_size, D, low)
        vectors = embedding(tokens)
        if self.tied:
            return vectors, embedding.attend(-vectors)
        return vectors, Head((self.vocab_size,), ("embed", "vocab"), kernel_init=low)(-vectors)


def vocabulary(size: int, tensor: int, tied: bool) -> dict[str, Any]:
    """How a split vocabulary differs from a whole one, and what a device holds of it."""
    model, last = Bigram(size, tied), size - 1
    tokens = jax.random.randint(jax.random.key(1), (B, T), 0, size)
    tokens = tokens.at[:, 0].set(0).at[:, 1].set(last)
    boxed = jax.jit(model.init)(jax.random.key(0), tokens)

    def loss(params: Any, tokens: jax.Array) -> tuple[jax.Array, Any]:
        vectors, logits = model.apply(params, tokens)
        losses = softmax_cross_entropy(logits, last - tokens, label_smoothing=0.1)
        return losses.mean(), (vectors, most_likely(logits))

    def choices(params: Any, tokens: jax.Array) -> Any:
        _, logits = model.apply(params, tokens)
        how = Sampling(temperature=100.0, top_p=0.99)  # all but even
        thresholds, keys = how.thresholds(size), row_keys(jax.random.key(2), B, 0)
        take = lambda logits: choose(logits, keys, thresholds, greedy=False, truncates=True)
        return jax.vmap(take, in_axes=1)(logits)

    def lookup(params: Any, tokens: jax.Array) -> jax.Array:
        return jnp.isnan(model.apply(params, tokens)[0]).all(-1)

    mesh = make_mesh(TrainingConfig(mesh_data=2, mesh_tensor=tensor), B)
    outside = tokens.at[:, 2].set(size).at[:, 3].set(size + 1)
    step = jax.value_and_grad(loss, has_aux=True)
    found, text = on_mesh(step, mesh, boxed, tokens)
    padded = -(-size // tensor) * tensor
    rows = B * T // 2
    return {
        "gap": gap(jax.jit(step)(unboxed(boxed), tokens), found),
        "chosen": gap(
            jax.jit(choices)(unboxed(boxed), tokens), on_mesh(choices, mesh, boxed, tokens)[0]
        ),
        "outside": on_mesh(lookup, mesh, boxed, outside)[0].tolist(),
        "widths": sorted(
            {n for shape in hlo.shapes(text) for n in shape if np.prod(shape) == n * rows}
            & {size, padded, padded // tensor}
        ),
        "expected": padded // tensor,
    }


if __name__ == "__main__":
    become_mutant()
    if sys.argv[1] == "vocabulary":
        cases = [(11, 2, True), (11, 4, True), (12, 4, True), (5, 4, False), (1100, 4, False)]
        print(json.dumps({str(case): vocabulary(*case) for case in cases}))
    else:
        mesh = make_mesh(TrainingConfig(mesh_data=2, mesh_fsdp=4), B)
        print(json.dumps(gradients(mesh)))
        print("without constraints", file=sys.stderr, flush=True)
        jax.lax.with_sharding_constraint = lambda x, _: x
        gradients(mesh)
