"""Stacks of layers, taken apart for the loop that decodes and put together in it."""

from __future__ import annotations

import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import Seq2SeqConfig
from seqmodels.config.transformers import EmbeddingTying, GPTConfig, TransformerConfig
from seqmodels.decoding.unroll import unroll
from seqmodels.decoding.unstacked import Stacks
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.distributed.hlo import computations, shapes

L, D, F, S, V = 5, 12, 20, 7, 11  # L is no other axis
GPT = GPTConfig(num_layers=L, model_dim=D, num_heads=2, mlp_dim=F, max_length=S)
SIZES: dict[str, Any] = {"model_dim": D, "num_heads": 2, "mlp_dim": F}
TRANSLATOR = TransformerConfig(
    num_encoder_layers=2, num_decoder_layers=L, tie_embeddings=EmbeddingTying.NONE, **SIZES
)


def built(config: Any, rows: int = 2) -> tuple[Any, Any, Any]:
    """A model, its parameters, and its carry."""
    source = None if config is GPT else TokenInput(V)
    model: Any = build_model(config, DataSpec(TokenInput(V), VocabOutput(V), source))
    params = nn.unbox(init_params(model, jax.random.key(0)))
    memory = ()
    if source is not None:
        read = jnp.ones((rows, 5), jnp.int32)
        memory = (model.apply({"params": params}, read, train=False, method="encode"),)
    return model, params, model.apply({"params": params}, rows, S, *memory, method="initial_carry")


@pytest.mark.parametrize("config", [GPT, TRANSLATOR, Seq2SeqConfig(model_dim=6, hidden_dim=8)])
@pytest.mark.parametrize("rows", [1, 2])
def test_stacks_are_whole_again(config: Any, rows: int) -> None:
    """Layers are apart in the blocks and in the caches of a Transformer, and nowhere else."""
    _, params, carry = built(config, rows)
    for tree in (params, carry):
        stacks = Stacks(tree)
        parts = stacks.unstack(tree)
        jax.tree.map(np.testing.assert_array_equal, stacks.stack(parts), tree)
        leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
        for (path, x), part in zip(leaves, structure.flatten_up_to(parts), strict=True):
            keys = [str(getattr(key, "key", key)) for key in path]
            layers = 1
            if not isinstance(config, Seq2SeqConfig):
                cached = tree is carry and keys[-1] in ("keys", "values", "finite")
                layers = x.shape[0] if "blocks" in keys else L if cached else 1
            assert len(part) == layers, keys


@pytest.mark.parametrize("rows", [1, 2])
def test_a_loop_that_decodes_holds_no_stack(rows: int) -> None:
    """Neither of parameters nor of the cache; and it copies no cache of a layer."""
    model, params, carry = built(GPT, rows)

    def choose(outputs: Any, index: Any, state: Any) -> Any:
        return jnp.argmax(outputs, -1).astype(jnp.int32), state

    def run(params: Any, carry: Any, inputs: Any) -> Any:
        return unroll(model, params, carry, inputs, None, choose, S)[-1]

    program = jax.jit(run).lower(params, carry, jnp.zeros(rows, jnp.int32)).compile().as_text()
    assert program is not None
    parts = computations(program)
    # There may be further loops, which write one row after the other.
    body = max((parts[name] for name in re.findall(r"body=%?([\w.\-]+)", program)), key=len)
    assert sum(operation in ("dot", "fusion") for operation, *_ in body.values()) > 4 * L
    for operation, result, line in body.values():
        if operation in ("parameter", "tuple"):  # its parts are instructions of their own
            continue
        for shape in shapes(result):
            assert L not in shape[:2], line
            assert operation != "copy" or np.prod(shape) < S * D // 2, line
