"""Every shipped config: valid, its JSON comes back, its step has the right shapes at full size."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import ImageConfig, ValuesConfig
from seqmodels.config.files import config_names, config_summary, load_config
from seqmodels.config.serialization import from_json, to_json
from seqmodels.config.sound import SoundConfig
from seqmodels.config.validate import validate
from seqmodels.data import image_steps
from seqmodels.data.features.sound import Sound
from seqmodels.data.features.windows import Windows
from seqmodels.distributed.mesh import mesh_context
from seqmodels.models.build import build_model
from seqmodels.tasks.build import build_task
from seqmodels.types import (
    Batch,
    ClassOutput,
    DataSpec,
    ImageInput,
    Input,
    SoundInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)
from tests.opening import set_up

V, CHANNELS = 65, 7
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
CONFIGS = [f"{name}:{v}" for name in config_names() for v in config_summary(name)[1]]


@pytest.mark.parametrize("reference", CONFIGS)
def test_valid_and_the_same_after_json(reference: str) -> None:
    config = load_config(reference)
    validate(config)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def image_of(feature: ImageConfig) -> ImageInput:
    return ImageInput(feature.size or 32, feature.size or 32, 3)


def input_of(config: ExperimentConfig, role: str) -> Input:
    """What data of the config's kind could let a model read."""
    match vars(config.data).get(role):
        case ImageConfig() as feature:
            return image_steps.input_of(image_of(feature), feature.reading)
        case ValuesConfig():
            return ValueInput(2)
        case SoundConfig() as feature:
            return Sound(feature).input
    return TokenInput(V)


def steps_of(config: ExperimentConfig) -> int | None:
    """Steps of whole inputs."""
    feature = vars(config.data)["inputs"]
    if isinstance(feature, ImageConfig):
        return image_steps.num_steps(image_of(feature), feature.reading)
    return feature.max_length


def windows_of(config: ExperimentConfig) -> Windows:
    """Windows of series of some channels."""
    names = tuple("abcdefg"[:CHANNELS])
    return Windows(vars(config.data)["inputs"], names, np.zeros(CHANNELS), np.ones(CHANNELS))


def spec_of(config: ExperimentConfig) -> DataSpec:
    """What data of the config's kind could be."""
    roles = config.data.roles()
    if roles.get("inputs") == "windows":
        return build_task(config).make_spec({"inputs": windows_of(config)})
    outputs = {
        "vocab": VocabOutput(V),
        "classes": ClassOutput(5, per_step=roles.get("targets") in ("tags", "tokens")),
        "values": ValueOutput(horizon=1, num_channels=1),
    }[config.task.outputs]
    inputs = input_of(config, "inputs" if "inputs" in roles else "targets")
    source = input_of(config, "source") if "source" in roles else None
    return DataSpec(inputs, outputs, source=source)


def batch_of(config: ExperimentConfig, spec: DataSpec) -> Batch:
    """Shapes of a batch at full size."""
    size, whole, number = config.data.batch_size, jnp.int32, jnp.float32
    lengths = config.data.lengths()

    def array(*shape: int, dtype: Any = whole) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *shape), dtype)

    if "source" in config.data.roles():
        length = lengths["targets.max_length"]
        tokens, weights = array(length), array(length, dtype=number)
        if isinstance(spec.source, SoundInput):
            sounds = array(lengths["source.max_length"], spec.source.frame_length, dtype=number)
            segments = array(lengths["source.max_length"])
            return Batch(tokens, tokens, weights, tokens, None, sounds, segments)
        if isinstance(spec.source, ImageInput):
            images = array(*dataclasses.astuple(spec.source), dtype=number)
            return Batch(tokens, tokens, weights, tokens, source=images)
        source = array(lengths["source.max_length"])
        return Batch(tokens, tokens, weights, tokens, None, source, source)
    if config.task.outputs == "vocab":
        tokens = array(lengths["sequence_length"])
        return Batch(tokens, tokens, array(lengths["sequence_length"], dtype=number))
    if config.data.roles().get("inputs") == "windows":
        windows = windows_of(config).batch([], size)
        targets = array(lengths["inputs.horizon"], CHANNELS, dtype=number)
        return Batch(array(*windows.values.shape[1:], dtype=number), targets, targets)
    classes, weights = array(), array(dtype=number)
    if isinstance(spec.inputs, ImageInput):
        images = array(*dataclasses.astuple(spec.inputs), dtype=number)
        return Batch(images, classes, weights)
    length = steps_of(config)
    assert length is not None
    tokens = inputs = array(length)
    if isinstance(spec.inputs, ValueInput):
        inputs = array(length, spec.inputs.num_features, dtype=number)
    if isinstance(spec.inputs, SoundInput):
        inputs = array(length, spec.inputs.frame_length, dtype=number)
    if "targets.max_length" in lengths:
        length = lengths["targets.max_length"]
        own, weights = array(length), array(length, dtype=number)
        return Batch(inputs, own, weights, tokens, target_segment_ids=own)
    if isinstance(spec.outputs, ValueOutput):
        classes = array(spec.outputs.num_channels, dtype=number)
    elif spec.outputs.per_step:
        classes, weights = tokens, array(length, dtype=number)
    return Batch(inputs, classes, weights, tokens)


def representatives() -> set[str]:
    """One config for each model, and for each task; `make test-all` has the others too."""
    models: dict[str, str] = {}
    tasks: dict[str, str] = {}
    for reference in CONFIGS:
        config = load_config(reference)
        if models.setdefault(config.model.kind, reference) == reference:
            tasks.setdefault(config.task.kind, reference)
    for reference in CONFIGS:
        tasks.setdefault(load_config(reference).task.kind, reference)
    return {*models.values(), *tasks.values()}


FIRST = representatives()


@pytest.mark.parametrize(
    "reference", [pytest.param(r, marks=() if r in FIRST else pytest.mark.grid) for r in CONFIGS]
)
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
