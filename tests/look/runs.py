"""Small models with an example of tokens, looked into once per process."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig, Position
from seqmodels.look.inside import Inside, look_inside
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.protocols import Example
from seqmodels.types import Batch, ClassOutput, DataSpec, TokenInput, VocabOutput

TOKENS = np.array([[1, 4, 2, 6, 1, 4, 5, 3, 0]], np.int32)
SYMBOLS = ("\n", "a", "b", "(", '"', ".", "c")
SPEC = DataSpec(TokenInput(7), VocabOutput(7))
SIZES = {"num_layers": 2, "model_dim": 8, "num_heads": 2, "mlp_dim": 12, "max_length": 16}
CONFIGS: dict[str, ModelConfig] = {
    "gpt": GPTConfig(**SIZES, position=Position.LEARNED, tie_embeddings=False, use_bias=True),
    "rnn": RecurrentConfig(cell="rnn", model_dim=6, hidden_dim=5, num_layers=1),
    "lstm": RecurrentConfig(cell="lstm", model_dim=6, hidden_dim=5, num_layers=2),
    "gru": RecurrentConfig(cell="gru", model_dim=6, hidden_dim=5, num_layers=1),
}


def example() -> Example:
    """Nine tokens, each with the next as its target."""
    labels = [SYMBOLS[token] for token in TOKENS[0]]
    targets = np.roll(TOKENS, -1, axis=1)
    weights = np.ones(TOKENS.shape, np.float32)
    return Example(Batch(TOKENS, targets, weights), labels, targets=labels[1:] + labels[:1])


@functools.cache
def inside(name: str) -> Inside:
    """One of the models."""
    return look_at(CONFIGS[name])


def look_at(config: ModelConfig) -> Inside:
    """A model with parameters away from the small initial values."""
    outputs = ClassOutput(4, per_step=False) if not build_model(config, SPEC).causal else None
    model = build_model(config, dataclasses.replace(SPEC, outputs=outputs or SPEC.outputs))
    params = jax.jit(lambda key: nn.unbox(init_params(model, key)))(jax.random.key(0))
    draw = np.random.default_rng(1)
    move = lambda x: jax.numpy.asarray(x + 0.4 * draw.normal(size=x.shape), x.dtype)
    return look_inside(model, jax.tree.map(move, jax.device_get(params)), example())


def weights(name: str) -> Any:
    """The parameters in float64."""
    return jax.tree.map(lambda x: np.asarray(x, np.float64), jax.device_get(inside(name).params))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)
