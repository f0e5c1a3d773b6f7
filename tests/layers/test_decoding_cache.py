"""Contents of caches after any cuts, and their cost."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.transformers import GPTConfig, Position
from seqmodels.layers.decoding_cache import start_chunk
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V, W = 2, 17, 11, 4
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
TOKENS = np.random.default_rng(0).integers(0, V, (B, T)).astype(np.int32)
# Documents longer and shorter than the window; padding inside them, before them, and between them.
IDS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 3],
        [0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0],
    ],
    np.int32,
)
CUTS = [(1,) * T, (T,), (3, 1, 1, 12)]


def start(**fields: Any) -> tuple[Any, Any, Any]:
    """A model, parameters different from zero, and a jitted call on a chunk."""
    fields = {"window": W, **fields}
    config = GPTConfig(num_layers=2, model_dim=12, num_heads=2, mlp_dim=20, max_length=T, **fields)
    model = build_model(config, SPEC)
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    params = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(jax.random.key(1), x.shape), params)

    @jax.jit
    def step(tokens: Any, carry: Any, ids: Any) -> Any:
        return model.apply({"params": params}, tokens, carry, segment_ids=ids, train=False)

    return model, params, step


def test_a_rolling_cache_may_be_cut_anywhere() -> None:
    model, _, step = start(position=Position.ROTARY)
    whole, _ = step(TOKENS, None, IDS)
    full = model.apply({}, B, T, method="initial_carry")
    assert full["keys"].shape[3] == W
    carries = []
    for cut in CUTS:
        carry, got, begin = full, [], 0
        for size in cut:
            part = slice(begin, begin + size)
            features, carry = step(TOKENS[:, part], carry, IDS[:, part])
            got.append(np.asarray(features))
            begin += size
        got = np.concatenate(got, axis=1)
        valid = IDS > 0
        np.testing.assert_allclose(got[valid], np.asarray(whole)[valid], **TOLERANCE["chunking"])
        carries.append(carry)
    for carry in carries[1:]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["chunking"]),
            carry,
            carries[0],
        )


def test_a_rolling_cache_holds_the_newest_tokens() -> None:
    """Slot n mod W holds the n-th token of a row, wherever the padding is."""
    model, _, step = start()
    _, carry = step(TOKENS, model.apply({}, B, T, method="initial_carry"), IDS)
    for row in range(B):
        places = np.flatnonzero(IDS[row])
        assert carry["length"][row] == len(places)
        for n, place in list(enumerate(places))[-W:]:
            assert carry["segments"][row, n % W] == IDS[row, place]
            before = IDS[row, :place] == IDS[row, place]
            assert carry["positions"][row, n % W] == before.sum()


def test_a_narrower_cache_than_the_window_grows_to_its_capacity() -> None:
    model, _, step = start()
    tokens, carry = TOKENS[:, :5], model.apply({}, B, W - 1, method="initial_carry")
    features, _ = step(tokens, carry, None)
    whole, _ = step(tokens, None, None)
    np.testing.assert_allclose(features[:, : W - 1], whole[:, : W - 1], **TOLERANCE["chunking"])
    assert np.isnan(features[:, W - 1 :]).all()


def test_decoding_state_of_a_window_is_bounded_in_bytes() -> None:
    """Keys, values and positions of W tokens, a byte per token and layer, three numbers per row."""
    model, _, step = start(num_kv_heads=1)
    for capacity in (W, 1000, 10**6):
        carry = jax.eval_shape(lambda n=capacity: model.apply({}, B, n, method="initial_carry"))
        size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(carry))
        assert size == 4 * B * (2 * 2 * W * 6 + 2 * W + 3) + B * 2 * W
    carry = model.apply({}, B, T, method="initial_carry")
    for n in range(3):
        _, after = step(TOKENS[:, n, None], carry, None)
        assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, carry)
        carry = after


def test_one_token_is_written_in_place_and_nothing_is_joined() -> None:
    """A step of one token reads the ring without a copy, like a growing cache."""
    model, params, _ = start()
    carry = model.apply({}, B, T, method="initial_carry")
    chunk = start_chunk((B, 1), carry, None, max_length=T, window=W)
    assert chunk.context.keys is not None
    assert chunk.context.keys.positions.shape == (B, W)

    def run(params: Any, token: Any, carry: Any) -> Any:
        return model.apply({"params": params}, token, carry, train=False)

    compiled = jax.jit(run, donate_argnums=2).lower(params, TOKENS[:, :1], carry).compile()
    assert compiled.memory_analysis().alias_size_in_bytes >= 2 * carry["keys"].nbytes


@pytest.mark.parametrize("rows", [1, 2])
def test_a_token_without_a_slot_leaves_the_cache_as_it_is(rows: int) -> None:
    """Padding, and a token past the capacity, each in a step of its own."""
    model, _, step = start(window=None)
    carry = model.apply({}, rows, 2, method="initial_carry")
    ids = np.ones((rows, 1), np.int32)
    for n in range(2):
        _, carry = step(TOKENS[:rows, n, None], carry, ids)
    for segment, lost in [(0, False), (1, True)]:
        features, after = step(TOKENS[:rows, 2, None], carry, segment * ids)
        assert np.isnan(features).all() == lost
        for name in ("keys", "values", "finite", "positions", "segments"):
            np.testing.assert_array_equal(after[name], carry[name])
