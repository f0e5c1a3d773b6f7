"""Every model runs on all inputs, outputs and sources that its config declares."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from seqmodels.config.models import ConvolutionalConfig, ConvolutionForm
from seqmodels.config.transformers import AarenConfig, EmbeddingTying, GPTConfig, TransformerConfig
from seqmodels.layers.windows import WindowModel
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.registry import MODELS, resolve
from seqmodels.types import (
    ClassOutput,
    DataSpec,
    ImageInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)

B, T, S, V = 2, 5, 7, 11
INPUTS = {"tokens": TokenInput(V), "values": ValueInput(3, T), "image": ImageInput(8, 12, 3)}
OUTPUTS = {
    "vocab": [VocabOutput(V)],
    "classes": [ClassOutput(5, per_step=True), ClassOutput(5, per_step=False)],
    "values": [ValueOutput(4, 2, 3)],
}
DATA = {
    "tokens": jnp.zeros((B, S), jnp.int32),
    "values": jnp.zeros((B, S, 3)),
    "image": jnp.zeros((B, 8, 12, 3)),
}
UNTIED = {
    "gpt": GPTConfig(tie_embeddings=False),
    "aaren": AarenConfig(tie_embeddings=False),
    "transformer": TransformerConfig(tie_embeddings=EmbeddingTying.NONE),
}
"""Configs under which inputs and outputs need not share a vocabulary."""


def shape_of(config: Any, read: str, output: Any, source: str | None) -> tuple[int, ...]:
    spec = DataSpec(INPUTS[read], output, None if source is None else INPUTS[source])
    model = build_model(config, spec)

    def run(key: jax.Array, inputs: jax.Array, encoded: Any) -> jax.Array:
        params = init_params(model, key)

        def forward(model: Any) -> jax.Array:
            memory = None if encoded is None else model.encode(encoded, train=False)
            features, _ = model(inputs, memory=memory, train=False)
            return model.readout(features)

        return model.apply({"params": params}, method=forward)

    encoded = None if source is None else DATA[source]
    inputs = DATA[read] if read == "image" else DATA[read][:, :T]
    return jax.eval_shape(run, jax.random.key(0), inputs, encoded).shape


@pytest.mark.parametrize("name", [n for n in MODELS if n != "ngram"])
def test_a_model_runs_on_what_it_says(name: str) -> None:
    cls = resolve(MODELS[name].config)
    config = UNTIED.get(name, cls())
    for read, kind, source in itertools.product(cls.inputs, cls.outputs, cls.source or (None,)):
        for output in OUTPUTS[kind]:
            whole = isinstance(output, ClassOutput) and not output.per_step
            if read == "image" and not whole:
                continue  # an image is one step
            if name == "bert" and kind == "vocab" and read != "tokens":
                continue  # masked tokens are read off the table of the inputs
            shape = shape_of(config, read, output, source)
            rows = (B,) if read == "image" else (B, T)
            ends = {"vocab": (V,), "classes": (5,), "values": (4, 2, 3)}[kind]
            of_window = issubclass(resolve(MODELS[name].implementation), WindowModel)
            allowed = {(B, *ends)} if of_window else {(*rows, *ends)}
            allowed |= {(B, *ends)} if whole else set()
            assert shape in allowed, (name, read, output, source)


def test_a_text_cnn_puts_out_one_class_a_document() -> None:
    config = ConvolutionalConfig(form=ConvolutionForm.TEXT_CNN, num_layers=1)
    assert shape_of(config, "values", OUTPUTS["classes"][1], None) == (B, 5)
