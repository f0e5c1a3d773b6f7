"""Every shipped config: valid, its JSON comes back, its step has the right shapes at full size."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest
from seqmodels.config.images import ImagesDataConfig
from seqmodels.config.labelled import LabelledTextDataConfig

from seqmodels.config.data import PairsDataConfig, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import config_names, config_summary, load_config
from seqmodels.config.serialization import from_json, to_json
from seqmodels.config.validate import validate
from seqmodels.distributed.mesh import mesh_context
from seqmodels.models.build import build_model
from seqmodels.types import Batch, ClassOutput, DataSpec, ImageInput, TokenInput, VocabOutput
from tests.opening import set_up

V = 65
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
CONFIGS = [f"{name}:{v}" for name in config_names() for v in config_summary(name)[1]]


@pytest.mark.parametrize("reference", CONFIGS)
def test_valid_and_the_same_after_json(reference: str) -> None:
    config = load_config(reference)
    validate(config)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def spec_of(config: ExperimentConfig) -> DataSpec:
    """What data of the config's kind could be."""
    match config.data:
        case ImagesDataConfig(image_size=size):
            return DataSpec(ImageInput(size or 32, size or 32, 3), ClassOutput(5, per_step=False))
        case LabelledTextDataConfig():
            return DataSpec(TokenInput(V), ClassOutput(2, per_step=False))
        case PairsDataConfig(shared_vocabulary=shared):
            return dataclasses.replace(SPEC, source=TokenInput(V if shared else V - 2))
    return SPEC


def batch_of(config: ExperimentConfig, spec: DataSpec) -> Batch:
    """Shapes of a batch at full size."""
    size, whole, number = config.data.batch_size, jnp.int32, jnp.float32
    array = jax.ShapeDtypeStruct
    match config.data:
        case ImagesDataConfig():
            assert isinstance(spec.inputs, ImageInput)
            images = array((size, *dataclasses.astuple(spec.inputs)), number)
            return Batch(images, array((size,), whole), array((size,), number))
        case PairsDataConfig(max_source_length=source_length, max_target_length=length):
            tokens, source = array((size, length), whole), array((size, source_length), whole)
            weights = array((size, length), number)
            return Batch(tokens, tokens, weights, tokens, None, source, source)
        case LabelledTextDataConfig(max_length=length):
            tokens = array((size, length), whole)
            return Batch(tokens, array((size,), whole), array((size,), number), tokens)
        case TextDataConfig(sequence_length=length):
            tokens = array((size, length), whole)
            return Batch(tokens, tokens, array((size, length), number))
    raise TypeError(config.data)


@pytest.mark.parametrize("reference", CONFIGS)
def test_training_step_at_full_size_without_memory(reference: str) -> None:
    config = load_config(reference)
    if config.model.fitted:
        assert build_model(config.model, SPEC, jnp.float32).config == config.model
        return
    spec = spec_of(config)
    setup = set_up(config, spec, carries_state=False)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(setup.abstract.params))
    calls = config.training.steps_per_call
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((calls, *x.shape) if calls > 1 else x.shape, x.dtype),
        batch_of(config, spec),
    )
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
