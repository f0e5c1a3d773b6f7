"""A cache that grows while a text is generated: the same tokens, and a program for each size."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from seqmodels.config.transformers import GPTConfig, Position
from seqmodels.decoding import prefill
from seqmodels.decoding.decoder import Decoder
from seqmodels.decoding.sampling import Sampling
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput

V, POSITIONS, NEW = 11, 64, 40
SIZES: dict[str, Any] = {"num_layers": 2, "model_dim": 12, "num_heads": 2, "mlp_dim": 16}
CONFIGS = {
    "learned": GPTConfig(**SIZES, max_length=POSITIONS, position=Position.LEARNED),
    "rotary": GPTConfig(**SIZES, max_length=POSITIONS, position=Position.ROTARY, num_kv_heads=1),
    "window": GPTConfig(**SIZES, max_length=POSITIONS, position=Position.ALIBI, window=12),
}
PROMPTS = [np.arange(3, dtype=np.int32), np.arange(7, dtype=np.int32)]


def generate(config: GPTConfig, first: int, new: int) -> tuple[np.ndarray, list[int]]:
    """The new tokens of both prompts, and the capacities that the cache grew to."""
    model: Any = build_model(config, DataSpec(TokenInput(V), VocabOutput(V), None))
    params = nn.unbox(init_params(model, jax.random.key(0)))
    params = jax.tree.map(lambda x: 4 * x, params)  # or all tokens are about as likely
    capacities = []
    grow = prefill.Prefill.grow

    def spy(self: Any, params: Any, carry: Any, rows: int, capacity: int) -> Any:
        capacities.append(capacity)
        return grow(self, params, carry, rows, capacity)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefill, "_FIRST_CAPACITY", first)
        patch.setattr(prefill, "_CAPACITY_STEP", 1)
        patch.setattr(prefill.Prefill, "grow", spy)
        made = Decoder(model).generate(params, PROMPTS, max_tokens=new, sampling=Sampling(), seed=3)
    return made.tokens, capacities


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.grid if n == "learned" else ()) for n in CONFIGS]
)
def test_the_tokens_are_those_of_a_cache_that_is_large_from_the_start(
    name: str,
) -> None:
    config = CONFIGS[name]
    tokens, capacities = generate(config, 16, NEW)
    wanted, none = generate(config, 1000, NEW)
    assert capacities == [32, 46] and not none  # 7 + 40 - 1 tokens are read
    assert len(np.unique(tokens)) > 3
    np.testing.assert_array_equal(tokens, wanted)


def test_a_text_that_outgrows_the_positions_has_the_whole_cache_at_once() -> None:
    tokens, capacities = generate(CONFIGS["rotary"], 16, 70)
    assert tokens.shape == (2, 70) and not capacities
