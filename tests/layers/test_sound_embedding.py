"""What a model reads of a sound."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.layers.embedding import make_embedding
from seqmodels.ops.log_mel import log_mel
from seqmodels.types import ClassOutput, DataSpec, SoundInput
from tests.tolerances import TOLERANCE


def test_a_frame_is_a_linear_map_of_its_energies_and_padding_is_not_read() -> None:
    spec = DataSpec(SoundInput(200, 8000, 11), ClassOutput(3, per_step=False))
    embedding = make_embedding(spec, 7)
    frames = np.random.default_rng(0).uniform(-1, 1, (2, 5, 200)).astype(np.float32)
    segments = jnp.asarray([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    frames[1, 3:] = np.nan

    def run(key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        found, variables = embedding.init_with_output(key, x, segments)
        kernel = jax.tree.leaves(variables["params"])[-1].reshape(11, 7)
        return found, (log_mel(x, 8000, 11) + 4) / 4 @ kernel

    found, expected = jax.jit(run)(jax.random.key(0), jnp.asarray(frames))
    real = np.asarray(segments) > 0
    np.testing.assert_allclose(found[real], expected[real], **TOLERANCE["chunking"])
    assert not np.asarray(found)[~real].any()
