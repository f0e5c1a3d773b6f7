"""Run by test_mesh.py in a process of its own with 8 CPU devices; prints one line of JSON."""

from __future__ import annotations

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.models import GPTConfig, RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import OptimizerConfig, TrainingConfig
from seqmodels.models.build import build_model
from seqmodels.tasks.language_model import LanguageModel
from seqmodels.training.feed import Feed
from seqmodels.training.mesh import make_mesh, mesh_context
from seqmodels.training.metrics import means
from seqmodels.training.optimizers import make_optimizer
from seqmodels.training.state import create_state
from seqmodels.training.step import make_call, make_train_step
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput

B, T, V = 16, 6, 11


class Source:
    """Rows are a function of step and row."""

    batch_size = B

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        every = [np.random.default_rng([step, r]).integers(0, V, T + 1) for r in range(B)]
        tokens = np.stack(every).astype(np.int32)[rows]
        return Batch(tokens[:, :-1], tokens[:, 1:], np.ones((len(tokens), T), np.float32))


def losses(config, mesh_axes: tuple[int, int, int], carry: bool, accumulation_steps: int):
    data, fsdp, tensor = mesh_axes
    training = TrainingConfig(
        mesh_data=data,
        mesh_fsdp=fsdp,
        mesh_tensor=tensor,
        steps_per_call=2,
        accumulation_steps=accumulation_steps,
    )
    model = build_model(config, DataSpec(TokenInput(V), VocabOutput(V)), jnp.float32)
    task = LanguageModel(LanguageModelConfig())
    optimizer = make_optimizer(OptimizerConfig(warmup_steps=0, weight_decay=0.1), 8)
    mesh = make_mesh(training, B)
    names = (*task.metric_names, "gradient_norm", "parameter_norm")
    state, shardings = create_state(
        model, optimizer, 0, mesh, metric_names=names, carry_rows=B if carry else None
    )
    step = make_train_step(model, task, optimizer, accumulation_steps=accumulation_steps)
    call = jax.jit(make_call(step, 2), donate_argnums=0, out_shardings=(shardings, None))
    feed, found = Feed(Source(), mesh, 2), []
    with mesh_context(mesh):
        for first in (1, 3, 5):
            state, outputs = call(state, feed(first))
            found.append(means(outputs["log"])["loss"])
    adam = state.opt_state[1]
    alike = jax.tree.map(
        lambda p, m: p.sharding.is_equivalent_to(m.sharding, p.ndim), state.params, adam.mu
    )
    bytes_here = sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(state.params))
    return {
        "losses": found,
        "moments_alike": all(jax.tree.leaves(alike)),
        "share": bytes_here / sum(x.nbytes for x in jax.tree.leaves(state.params)),
    }


MODELS = {
    "lstm": (RecurrentConfig(model_dim=16, hidden_dim=24), True),
    "gpt": (GPTConfig(num_layers=2, model_dim=16, num_heads=2, mlp_dim=32, max_length=T), False),
}

if __name__ == "__main__":
    config, carry = MODELS[sys.argv[1]]
    meshes = {"one": (1, 1, 1), "data": (8, 1, 1), "fsdp": (1, 8, 1), "both": (2, 4, 1)}
    found = {name: losses(config, axes, carry, 1) for name, axes in meshes.items()}
    found["accumulated"] = losses(config, (2, 4, 1), carry, 2)
    print(json.dumps(found))
