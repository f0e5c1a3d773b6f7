"""Numbers whose mean is far larger than their spread: no more is lost than in torch's float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from seqmodels.layers.norms import make_norm
from tests.golden.test_interop import DECODERS
from tests.interop.loading import golden, load, write_folder


def assert_as_good(ours: Any, values: dict[str, np.ndarray], right: str) -> None:
    """Asserts that the largest error is at most twice that of torch in float32."""
    error, allowed = (np.abs(x - values[right]).max() for x in (np.asarray(ours), values["single"]))
    assert 0 < error <= 2 * allowed, f"{error}, torch {allowed}"


def test_a_layer_norm_of_a_large_mean() -> None:
    _, _, values = golden("offsets.npz", "norm/")
    params = {"scale": values["scale"], "bias": values["bias"]}
    assert_as_good(make_norm().apply({"params": params}, values["x"]), values, "y")


def test_a_gpt2_whose_positions_have_an_offset(tmp_path: Path) -> None:
    """Files of weights whose positions have an offset of 100 exist."""
    params, _, stored = golden("hf_gpt2.npz")
    _, _, values = golden("offsets.npz", "gpt2/")
    params["transformer.wpe.weight"] = params["transformer.wpe.weight"] + np.float32(100)
    loaded = load(write_folder(tmp_path / "folder", DECODERS["hf_gpt2.npz"], params))
    assert_as_good(loaded(jnp.asarray(stored["tokens"])), values, "logits")
