"""The models that the conformance suite runs on, built once a process."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import Activation, GPTConfig, NormPlacement, Position
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput

B, T, V = 2, 7, 11
CUT = 5  # all 16 ways to cut this many tokens are tried
SPEC = DataSpec(TokenInput(V), VocabOutput(V))

gpt = functools.partial(
    GPTConfig, num_layers=2, model_dim=12, num_heads=3, mlp_dim=20, max_length=T, dropout_rate=0.2
)
recurrent = functools.partial(RecurrentConfig, model_dim=12, hidden_dim=10, dropout_rate=0.2)

CONFIGS: dict[str, ModelConfig] = {
    "ngram": NgramConfig(order=3),
    "recurrent": recurrent(),
    "gpt": gpt(),
}
"""One config a registered kind: the whole suite runs on each."""

VARIANTS: dict[str, ModelConfig] = {
    "unigram": NgramConfig(order=1),
    "recurrent tied, 2 layers": recurrent(num_layers=2, hidden_dim=12, tie_embeddings=True),
    "gpt sinusoidal, post": gpt(position=Position.SINUSOIDAL, norm_placement=NormPlacement.POST),
    "gpt rotary, swiglu, biases": gpt(
        position=Position.ROTARY, activation=Activation.SWIGLU, use_bias=True
    ),
    "gpt remat, untied": gpt(remat=True, tie_embeddings=False, use_bias=True),
    "gpt 13 layers, scanned": gpt(num_layers=13),
}
"""Further forms: the laws of chunks, packing and gradients run on each."""

ALL = CONFIGS | VARIANTS
TRAINED = [name for name, config in ALL.items() if not config.fitted]
BOUNDED = [name for name, config in CONFIGS.items() if not config.unbounded]

# Row 0 is packed, row 1 has padding inside a document and at its end.
IDS = np.array([[1, 1, 1, 2, 2, 2, 2], [1, 1, 0, 1, 2, 0, 0]], np.int32)
DOCUMENTS = [(0, [0, 1, 2]), (0, [3, 4, 5, 6]), (1, [0, 1, 3]), (1, [4])]
# Every token and every position once at least, so that every parameter is used.
TOKENS = (np.arange(B * T).reshape(B, T) % V).astype(np.int32)


def corpus() -> SimpleNamespace:
    """Tokens in which the rows of TOKENS occur, next to much else."""
    draw = np.random.default_rng(0)
    tokens = np.cumsum(draw.choice([1, 1, 1, 2, 5], 400)) % V
    return SimpleNamespace(tokens=tokens.astype(np.int32), offsets=np.array([0, 400]))


@functools.cache
def case(name: str, dtype: Any = jnp.float32) -> SimpleNamespace:
    """The model, its params, and jitted calls: `run` of a whole, `step` of a chunk."""
    config = ALL[name]
    model = build_model(config, SPEC, dtype)
    if config.fitted:
        start = params = jax.tree.map(jnp.asarray, model.fit(corpus()))
    else:
        start = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
        # Far from the small initial values, where everything is almost linear.
        flat, structure = jax.tree.flatten(start)
        keys = jax.random.split(jax.random.key(1), len(flat))
        moved = [x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, flat, strict=True)]
        params = jax.tree.unflatten(structure, moved)

    def call(params, tokens, carry, ids, train=False, key=None):
        variables, rngs = {"params": params}, None if key is None else {"dropout": key}
        features, carry = model.apply(
            variables, tokens, carry, segment_ids=ids, train=train, rngs=rngs
        )
        return model.apply(variables, features, method="readout"), carry

    step = jax.jit(call, static_argnames="train")

    def run(tokens, ids=None, **keywords):
        logits, carry = step(params, jnp.asarray(tokens), None, ids, **keywords)
        assert carry is None
        return np.asarray(logits)

    def initial_carry(batch_size=B, capacity=T):
        return model.apply({"params": params}, batch_size, capacity, method="initial_carry")

    return SimpleNamespace(
        model=model,
        config=config,
        start=start,
        params=params,
        call=call,
        run=run,
        step=functools.partial(step, params),
        initial_carry=initial_carry,
    )
