"""Pooling against its formulas, over the tokens that are not padding."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import Pooling
from seqmodels.layers.pooling import SequencePooling
from tests.tolerances import TOLERANCE

B, T, F = 3, 5, 6
VALID = np.array([[0, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", Pooling)
def test_pooling_is_its_formula(pooling: Pooling, bidirectional: bool) -> None:
    x = np.random.default_rng(0).normal(size=(B, T, F)).astype(np.float32) - 1
    x[~VALID] = 100.0  # whatever stands at padding
    layer = SequencePooling(pooling, bidirectional)
    variables = nn.unbox(jax.jit(layer.init)(jax.random.key(0), x))
    got = jax.jit(layer.apply)(variables, jnp.asarray(x), jnp.asarray(VALID))
    for row in range(B):
        seen = x[row, VALID[row]].astype(np.float64)
        if not len(seen):
            wanted = np.zeros(F)
        elif pooling is Pooling.LAST:
            half = F // 2 if bidirectional else F
            wanted = np.concatenate([seen[-1, :half], seen[0, half:]])
        elif pooling is Pooling.MEAN:
            wanted = seen.mean(0)
        elif pooling is Pooling.MAX:
            wanted = seen.max(0)
        else:
            p = jax.tree.map(np.asarray, variables["params"])
            dense = np.tanh(seen @ p["attention"]["kernel"] + p["attention"]["bias"])
            weights = np.exp(dense @ p["score"]["kernel"])
            wanted = (weights / weights.sum() * seen).sum(0)
        np.testing.assert_allclose(got[row], wanted, **TOLERANCE["reference"])


@pytest.mark.parametrize("pooling", Pooling)
def test_a_row_of_padding_has_no_gradient_and_no_nan(pooling: Pooling) -> None:
    x = jax.random.normal(jax.random.key(1), (B, T, F))
    layer = SequencePooling(pooling, True)
    variables = nn.unbox(jax.jit(layer.init)(jax.random.key(0), x))
    loss = lambda x: jnp.sin(layer.apply(variables, x, jnp.asarray(VALID))).sum()
    gradient = np.asarray(jax.jit(jax.grad(loss))(x))
    assert np.isfinite(gradient).all()
    assert not gradient[~VALID].any()
    assert gradient[:2].any(axis=(1, 2)).all()
