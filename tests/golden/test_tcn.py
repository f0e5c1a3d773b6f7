"""Convolutional as a TCN against PyTorch: outputs, loss and gradients with its parameters."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.models import ConvolutionalConfig
from seqmodels.models.build import build_model
from seqmodels.types import ClassOutput, DataSpec, ValueInput
from tests.tolerances import TOLERANCE

HERE = pathlib.Path(__file__).parent


def tcn_params(p: dict[str, np.ndarray], num_layers: int) -> dict[str, Any]:
    """Parameters in our layout; PyTorch's kernels [F, D, W] become [W, D, F]."""
    layers = {}
    for n in range(num_layers):
        block = layers[f"blocks_{n}"] = {}
        for m in range(2):
            name = f"block_{n}_{m}"
            kernel = np.transpose(p[f"{name}.weight"], (2, 1, 0))
            block[f"convolutions_{m}"] = {"kernel": kernel, "bias": p[f"{name}.bias"]}
        if f"shortcut_{n}.weight" in p:
            kernel = p[f"shortcut_{n}.weight"][:, :, 0].T
            block["shortcut"] = {"kernel": kernel, "bias": p[f"shortcut_{n}.bias"]}
    head = {"kernel": p["head.weight"].T, "bias": p["head.bias"]}
    return {**layers, "head": {"Dense_0": head}}


def same(size: int) -> dict[str, Any]:
    """An embedding of values that is the identity."""
    return {"Dense_0": {"kernel": np.eye(size, dtype=np.float32), "bias": np.zeros(size)}}


def run_tcn(params: dict[str, Any], inputs: np.ndarray, sizes: tuple[int, ...]) -> Any:
    """Outputs, loss (mean of the squares) and gradients, except the embedding's.

    Args:
      params: result of `tcn_params`.
      inputs: [B, T, D].
      sizes: D, channels, classes, width, layers.
    """
    size, channels, classes, width, num_layers = sizes
    config = ConvolutionalConfig(
        num_layers=num_layers, model_dim=size, hidden_dim=channels, kernel_size=width
    )
    model = build_model(config, DataSpec(ValueInput(size), ClassOutput(classes, per_step=True)))

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        variables = {"params": {**params, "embedding": same(size)}}
        features, _ = model.apply(variables, jnp.asarray(inputs), train=False)
        outputs = model.apply(variables, features, method="readout")
        return jnp.mean(jnp.square(outputs)), outputs

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)


def test_outputs_loss_and_gradients_equal_pytorch() -> None:
    with np.load(HERE / "torch_tcn.npz") as stored:
        golden = dict(stored)
    part = lambda kind: {k[len(kind) :]: v for k, v in golden.items() if k.startswith(kind)}
    sizes = (5, 7, 4, 3, 3)
    params, wanted = (tcn_params(part(kind), sizes[-1]) for kind in ("param/", "grad/"))
    (loss, outputs), gradients = run_tcn(params, golden["inputs"], sizes)
    np.testing.assert_allclose(outputs, golden["outputs"], **TOLERANCE["reference"])
    np.testing.assert_allclose(loss, golden["loss"], **TOLERANCE["reference"])
    assert jax.tree.structure(gradients) == jax.tree.structure(wanted)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), gradients, wanted
    )
