"""Models of windows against their equations; the laws are in tests/conformance."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.forecasting import (
    PatchTransformerConfig,
    SegmentRNNConfig,
    WindowForm,
    WindowLinearConfig,
)
from seqmodels.layers.windows import cut_overlapping, cut_segments
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.ops.rnn import gru
from seqmodels.types import ClassOutput, DataSpec, ValueInput, ValueOutput
from tests.tolerances import TOLERANCE

B, L, C, H, Q = 2, 7, 3, 4, 1
SPEC = DataSpec(ValueInput(C, L), ValueOutput(H, C, Q))
X = np.random.default_rng(0).normal(size=(B, L, C)).astype(np.float32)


def run(config: Any) -> tuple[Any, np.ndarray]:
    """Parameters, and outputs."""
    model = build_model(config, SPEC)
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    draw = np.random.default_rng(1)
    move = lambda p: (p + 0.3 * draw.normal(size=p.shape)).astype(np.float32)
    params = jax.tree.map(move, jax.device_get(params))

    @jax.jit
    def call(params: Any) -> Any:
        features, _ = model.apply({"params": params}, jnp.asarray(X), train=False)
        return model.apply({"params": params}, features, method="readout")

    outputs = np.asarray(call(params))
    assert outputs.shape == (B, H, C, Q)
    return jax.tree.map(np.asarray, params), outputs


def test_the_linear_map_sees_the_whole_window_or_its_average_and_the_rest() -> None:
    for form in WindowForm:
        params, outputs = run(WindowLinearConfig(form=form, average_length=5))
        (dense,) = params["head"].values()
        x = X.astype(float)
        if form is WindowForm.DECOMPOSED:
            ends = np.concatenate([x[:, :1], x[:, :1], x, x[:, -1:], x[:, -1:]], axis=1)
            mean = np.stack([ends[:, n : n + 5].mean(axis=1) for n in range(L)], axis=1)
            x = np.concatenate([mean, x - mean], axis=1)
        expected = x.reshape(B, -1) @ dense["kernel"] + dense["bias"]
        np.testing.assert_allclose(
            outputs, expected.reshape(B, H, C, Q), **TOLERANCE["reference"], err_msg=form
        )


def test_a_segment_rnn_reads_segments_and_writes_each_from_the_same_state() -> None:
    config = SegmentRNNConfig(segment_length=3, model_dim=5, hidden_dim=6)
    params, outputs = run(config)
    # 7 steps are 3 segments of 3, the first of which begins with the first step three times.
    padded = np.concatenate([np.repeat(X[:, :1], 2, axis=1), X], axis=1)
    segments = padded.reshape(B, 3, 3 * C)
    embedding, cell = params["embedding"], params["layers"]["cells_0"]
    x = np.maximum(segments @ embedding["kernel"] + embedding["bias"], 0)
    names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    weights = [jnp.asarray(cell[name]) for name in names]
    state = jnp.zeros((B, 6))
    read = jax.jit(gru)
    for n in range(3):
        _, state = read(jnp.asarray(x[:, n : n + 1]), state, *weights)
    (head,) = params["head"].values()
    for n in range(2):  # a horizon of 4 takes two segments, the second of which is cut
        place = jnp.broadcast_to(jnp.asarray(params["places"])[n][None, None], (B, 1, 5))
        y, _ = read(place, state, *weights)
        expected = (np.asarray(y[:, 0]) @ head["kernel"] + head["bias"]).reshape(B, 3, C, Q)
        part = outputs[:, 3 * n : 3 * n + 3]
        np.testing.assert_allclose(part, expected[:, : part.shape[1]], **TOLERANCE["reference"])


def test_segments_and_patches_leave_no_step_out() -> None:
    x = np.arange(7.0)[None, :, None]
    assert cut_segments(jnp.asarray(x), 3)[0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    found = cut_overlapping(jnp.asarray(x), 3, 2)[0].tolist()
    assert found == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 6, 6]]
    assert cut_overlapping(jnp.asarray(x[:, :2]), 3, 2)[0].tolist() == [[0, 0, 1], [1, 1, 1]]


def test_models_of_windows_refuse_other_data() -> None:
    config = PatchTransformerConfig(
        patch_length=3, stride=2, num_layers=1, model_dim=8, num_heads=2, mlp_dim=8
    )
    model = build_model(config, SPEC)
    params = jax.eval_shape(lambda key: nn.unbox(init_params(model, key)), jax.random.key(0))
    assert params["position_table"]["table"].shape == (4, 8)
    apply = lambda x, **given: jax.eval_shape(
        lambda p: model.apply({"params": p}, jnp.asarray(x), train=False, **given)[0], params
    )
    assert apply(X).shape == (B, 4 * 8)
    with pytest.raises(ValueError, match="a window of 5 steps is not one"):
        apply(X[:, :5])
    with pytest.raises(ValueError, match="no segments"):
        apply(X, segment_ids=jnp.ones((B, L), jnp.int32))
    for spec, words in (
        (DataSpec(ValueInput(C), SPEC.outputs), "reads windows"),
        (DataSpec(SPEC.inputs, ClassOutput(3, per_step=False)), "gives values"),
    ):
        odd = build_model(config, spec)
        with pytest.raises(TypeError, match=words):
            jax.eval_shape(lambda key, odd=odd: init_params(odd, key), jax.random.key(0))
