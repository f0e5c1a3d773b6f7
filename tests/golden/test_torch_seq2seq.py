"""Seq2Seq with a fixed context against two torch.nn.LSTM with the same parameters."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.recurrent import Context, Seq2SeqConfig
from seqmodels.models.build import build_model
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

HERE = pathlib.Path(__file__).parent
LENGTHS, D, N, V = (4, 6, 1), 5, 4, 11


def params_of(arrays: dict[str, np.ndarray], num_layers: int, kind: str) -> dict[str, Any]:
    """PyTorch's parameters ("param/") or gradients ("grad/") in the layout of `Seq2Seq`."""
    p = {name[len(kind) :]: x for name, x in arrays.items() if name.startswith(kind)}

    def cell(part: str, n: int) -> dict[str, np.ndarray]:
        first, second = p[f"{part}.bias_ih_l{n}"], p[f"{part}.bias_hh_l{n}"]
        return {
            "kernel": p[f"{part}.weight_ih_l{n}"].T,
            "recurrent_kernel": p[f"{part}.weight_hh_l{n}"].T,
            # The two biases of a gate are added, and each has the gradient of the sum.
            "bias": first + second if kind == "param/" else first,
        }

    stack = lambda part: {f"cells_{n}": cell(part, n) for n in range(num_layers)}
    return {
        "source_embedding": {"table": p["source_embedding.weight"]},
        "embedding": {"table": p["embedding.weight"]},
        "encoder": stack("encoder"),
        "decoder": stack("decoder"),
        "head": {"Dense_0": {"kernel": p["head.weight"].T, "bias": p["head.bias"]}},
    }


def ours(arrays: dict[str, np.ndarray], num_layers: int) -> tuple[Any, Any]:
    """Returns ((loss, logits), gradients)."""
    config = Seq2SeqConfig(context=Context.FIXED, num_layers=num_layers, model_dim=D, hidden_dim=N)
    spec = DataSpec(TokenInput(V), VocabOutput(V), source=TokenInput(V - 2))
    model = build_model(config, spec)
    source, inputs = jnp.asarray(arrays["source"]), jnp.asarray(arrays["inputs"])
    ids = jnp.asarray(np.arange(source.shape[1])[None] < np.array(LENGTHS)[:, None], jnp.int32)

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        variables = {"params": params}
        memory = model.apply(variables, source, segment_ids=ids, train=False, method="encode")
        features, _ = model.apply(variables, inputs, memory=memory, train=False)
        logits = model.apply(variables, features, method="readout")
        return jnp.mean(jnp.square(logits)), logits

    params = params_of(arrays, num_layers, "param/")
    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)


def test_logits_loss_and_gradients_equal_pytorch() -> None:
    with np.load(HERE / "torch_seq2seq.npz") as stored:
        golden = dict(stored)
    (loss, logits), gradients = ours(golden, num_layers=2)
    np.testing.assert_allclose(logits, golden["logits"], **TOLERANCE["reference"])
    np.testing.assert_allclose(loss, golden["loss"], **TOLERANCE["reference"])
    wanted = params_of(golden, 2, "grad/")
    assert jax.tree.structure(gradients) == jax.tree.structure(wanted)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), gradients, wanted
    )
