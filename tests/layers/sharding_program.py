"""Run on 8 CPU devices: gradients with parameters split by name and the batch over data and fsdp.

Prints the largest difference from one device, a model a line. What XLA says goes to stderr; behind
the line "without constraints" stands what it says where the layers constrain nothing.
"""

from __future__ import annotations

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.training import TrainingConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.training.mesh import make_mesh, mesh_context, shardings_of, unboxed
from seqmodels.types import DataSpec, TokenInput, VocabOutput

B, T, V = 16, 6, 24
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
CONFIGS = [
    GPTConfig(num_layers=2, model_dim=16, num_heads=2, mlp_dim=32, max_length=T),
    RecurrentConfig(model_dim=16, hidden_dim=16, num_layers=2),
]


def difference(config, mesh) -> float:
    model = build_model(config, SPEC)
    boxed = jax.jit(lambda key: init_params(model, key))(jax.random.key(0))
    params = unboxed(boxed)
    tokens = jax.random.randint(jax.random.key(1), (B, T), 0, V)

    def loss(params, tokens):
        features, _ = model.apply({"params": params}, tokens, train=False)
        logits = model.apply({"params": params}, features, method="readout")
        return softmax_cross_entropy(logits, jnp.roll(tokens, -1, 1)).mean()

    alone = jax.jit(jax.value_and_grad(loss))(params, tokens)
    with mesh_context(mesh):
        rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
        split = jax.device_put((params, tokens), (shardings_of(boxed, mesh), rows))
        assert len(jax.tree.leaves(split[0])[0].sharding.device_set) == 8
        together = jax.jit(lambda *x: jax.value_and_grad(loss)(*x))(*split)
    gaps = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), alone, together)
    return float(max(jax.tree.leaves(gaps)))


if __name__ == "__main__":
    mesh = make_mesh(TrainingConfig(mesh_data=2, mesh_fsdp=4), B)
    for config in CONFIGS:
        print(difference(config, mesh))
    print("without constraints", file=sys.stderr, flush=True)
    nn.with_logical_constraint = lambda x, names: x
    difference(CONFIGS[0], mesh)
