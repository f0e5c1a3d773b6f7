"""Recursive forecasts: equal to reading everything again, for each model; and to numpy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.decoding.unroll import next_values, unroll_values
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, ValueInput, ValueOutput
from tests.tolerances import TOLERANCE

B, T, HORIZON, D = 2, 5, 6, 3
MAX_LENGTH = T + HORIZON - 1  # the last forecast is never read
CONFIGS: dict[str, ModelConfig] = {
    "lstm": RecurrentConfig(num_layers=2, model_dim=6, hidden_dim=7, tie_embeddings=False),
    "gpt": GPTConfig(
        num_layers=2,
        model_dim=12,
        num_heads=3,
        mlp_dim=10,
        max_length=MAX_LENGTH,
        tie_embeddings=False,
    ),
}
OBSERVED = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


@functools.cache
def built(kind: str, num_quantiles: int = 1) -> tuple[Any, Any]:
    spec = DataSpec(ValueInput(D), ValueOutput(1, D, num_quantiles))
    model = build_model(CONFIGS[kind], spec)
    params = nn.meta.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    # Larger than at the start, so that a forecast depends on what came before.
    return model, jax.tree.map(lambda x: 2 * x, params)


def by_rereading(model: Any, params: Any, choose: Callable[..., Any], state: Any) -> np.ndarray:
    """Reads the whole series again for every step, in the parallel form."""

    @jax.jit
    def read(values: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": params}, values, train=False)
        return model.apply({"params": params}, features, method="readout")

    # One width for all steps: a causal model does not see the padding.
    series = np.zeros((B, T + HORIZON, D), np.float32)
    series[:, :T] = OBSERVED
    for index in range(HORIZON):
        at = T + index
        outputs = read(jnp.asarray(series[:, :MAX_LENGTH]))[:, at - 1]
        series[:, at], state = choose(outputs, index, state)
    return series[:, T:]


def drift(outputs: Any, index: Any, total: Any) -> tuple[Any, Any]:
    """Adds the index, and the sum of the choices so far."""
    values = outputs[:, 0, :, -1] + 0.1 * index + 0.01 * total
    return values, total + values


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.grid if k == "gpt" else ()) for k in CONFIGS]
)
def test_a_forecast_equals_reading_everything_again(kind: str) -> None:
    for num_quantiles, choose, state in [
        (1, next_values, None),
        (3, next_values, None),
        (3, drift, jnp.zeros((B, D))),
    ]:
        model, params = built(kind, num_quantiles)
        forecast = jax.jit(
            lambda params, inputs, m=model, c=choose, s=state: unroll_values(
                m, params, inputs, HORIZON, c, s
            )
        )(params, OBSERVED)
        assert forecast.shape == (B, HORIZON, D)
        wanted = by_rereading(model, params, choose, state)
        np.testing.assert_allclose(forecast, wanted, **TOLERANCE["decoding"])
        assert len(np.unique(wanted)) == wanted.size


def test_a_linear_recurrence_by_hand() -> None:
    """All numbers are positive, so that the ReLU is the identity.

    h_t = W (E x_t + a) + U h_{t-1} + b        y_t = V h_t + c        x_{t+1} = y_t
    """
    config = RecurrentConfig(cell="rnn_relu", num_layers=1, model_dim=2, hidden_dim=4)
    model = build_model(config, DataSpec(ValueInput(D), ValueOutput(1, D)))
    draw = lambda *shape: np.random.default_rng(shape).uniform(0.0, 0.3, shape)
    E, a, W, U, b, V, c = (draw(*s) for s in [(D, 2), (2,), (2, 4), (4, 4), (4,), (4, D), (D,)])
    params = {
        "embedding": {"Dense_0": {"kernel": E, "bias": a}},
        "layers": {"cells_0": {"kernel": W, "recurrent_kernel": U, "bias": b}},
        "head": {"Dense_0": {"kernel": V, "bias": c}},
    }
    observed = draw(B, T, D)
    series, h = list(np.moveaxis(observed, 1, 0)), np.zeros((B, 4))
    for t in range(MAX_LENGTH):
        h = (series[t] @ E + a) @ W + h @ U + b
        if t >= T - 1:
            series.append(h @ V + c)
    forecast = unroll_values(model, _float32(params), _float32(observed), HORIZON)
    wanted = np.stack(series[T:], axis=1)
    np.testing.assert_allclose(forecast, wanted, **TOLERANCE["reference"])


def _float32(tree: Any) -> Any:
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)


def test_a_forecast_past_the_positions_is_refused() -> None:
    model, params = built("gpt")
    with pytest.raises(ValueError, match="5 observed steps and a horizon of 7 need 11 positions"):
        unroll_values(model, params, jnp.asarray(OBSERVED), HORIZON + 1)
