"""Run by test_mesh.py in a process of its own with 8 CPU devices; prints one line of JSON."""

from __future__ import annotations

import json
import sys

import jax
import numpy as np

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.training.feed import Feed
from seqmodels.training.mesh import mesh_context
from seqmodels.training.metrics import means
from seqmodels.training.setup import set_up
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput

B, T, V = 16, 6, 11


class Source:
    """Rows are a function of step and row."""

    batch_size = B

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        every = [np.random.default_rng([step, r]).integers(0, V, T + 1) for r in range(B)]
        tokens = np.stack(every).astype(np.int32)[rows]
        return Batch(tokens[:, :-1], tokens[:, 1:], np.ones((len(tokens), T), np.float32))


def losses(
    config: ModelConfig, mesh_axes: tuple[int, int, int], carry: bool, accumulation_steps: int
) -> dict[str, object]:
    data, fsdp, tensor = mesh_axes
    experiment = ExperimentConfig(
        model=config,
        data=TextDataConfig(batch_size=B),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(warmup_steps=0, weight_decay=0.1),
        training=TrainingConfig(
            num_steps=8,
            mesh_data=data,
            mesh_fsdp=fsdp,
            mesh_tensor=tensor,
            steps_per_call=2,
            accumulation_steps=accumulation_steps,
        ),
    )
    setup = set_up(experiment, DataSpec(TokenInput(V), VocabOutput(V)), carries_state=carry)
    state, feed, found = setup.create_state(0), Feed(Source(), setup.mesh, 2), []
    with mesh_context(setup.mesh):
        for first in (1, 3, 5):
            state, outputs = setup.call(state, feed(first))
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
