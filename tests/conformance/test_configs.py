"""Every shipped config: valid, its JSON comes back, its step has the right shapes at full size."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import pytest

from seqmodels.config.files import config_names, config_summary, load_config
from seqmodels.config.serialization import from_json, to_json
from seqmodels.config.validate import validate
from seqmodels.models.build import build_model
from seqmodels.training.mesh import mesh_context
from seqmodels.training.setup import set_up
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput

V = 65
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
CONFIGS = [f"{name}:{v}" for name in config_names() for v in config_summary(name)[1]]


@pytest.mark.parametrize("reference", CONFIGS)
def test_valid_and_the_same_after_json(reference: str) -> None:
    config = load_config(reference)
    validate(config)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize("reference", CONFIGS)
def test_training_step_at_full_size_without_memory(reference: str) -> None:
    config = load_config(reference)
    if config.model.fitted:
        assert build_model(config.model, SPEC, jnp.float32).config == config.model
        return
    setup = set_up(config, SPEC, carries_state=False)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(setup.abstract.params))
    calls = config.training.steps_per_call
    rows = (config.data.batch_size, config.data.sequence_length)
    shape = (calls, *rows) if calls > 1 else rows
    tokens = jax.ShapeDtypeStruct(shape, jnp.int32)
    batch = Batch(tokens, tokens, jax.ShapeDtypeStruct(shape, jnp.float32))
    with mesh_context(setup.mesh):
        state, outputs = jax.eval_shape(setup.call, setup.abstract, batch)
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shapes(state) == shapes(setup.abstract)
    assert outputs["finite"].shape == (calls,)


def test_nanogpts_model_has_its_published_size() -> None:
    """10.65M parameters without the table of positions (nanoGPT's count), vocabulary 65."""
    params = set_up(load_config("shakespeare_gpt:gpu"), SPEC, carries_state=False).abstract.params
    sizes = {
        jax.tree_util.keystr(path): x.size
        for path, x in jax.tree_util.tree_flatten_with_path(params)[0]
    }
    positions = sum(size for name, size in sizes.items() if "position" in name)
    assert positions == 256 * 384
    assert round((sum(sizes.values()) - positions) / 1e6, 2) == 10.65
