"""Program that test_sequence.py runs in a process with 8 CPU devices; prints one line of JSON.

    python -m tests.distributed.sequence_program KIND
    python -m tests.distributed.sequence_program scan

Takes steps of small models whose rows are split over time, and of the same models on one device.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentBlock, RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import AarenConfig, BERTConfig, GPTConfig, Position
from seqmodels.distributed.mesh import mesh_context
from seqmodels.ops.scan import ScanForm, linear_scan
from seqmodels.training.feed import Feed
from seqmodels.training.metrics import means
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput
from tests.distributed import hlo
from tests.mutants.mutant import become_mutant
from tests.opening import set_up

B, T, V = 8, 24, 16
BLOCKS: dict[str, Any] = {"num_layers": 1, "model_dim": 16, "num_heads": 4, "mlp_dim": 32}
CELLS: dict[str, Any] = {"num_layers": 1, "model_dim": 16, "hidden_dim": 24}
KINDS: dict[str, Any] = {
    "gpt": GPTConfig(**BLOCKS, max_length=T),
    "gpt rotary": GPTConfig(**BLOCKS, max_length=T, position=Position.ROTARY, num_kv_heads=2),
    "gpt alibi": GPTConfig(**BLOCKS, max_length=T, position=Position.ALIBI, window=5),
    "bert": BERTConfig(**BLOCKS, max_length=T),
    "aaren": AarenConfig(**BLOCKS),
    "min_gru": RecurrentConfig(
        **CELLS, cell="min_gru", block=RecurrentBlock.RESIDUAL, mlp_dim=32, convolution_width=3
    ),
    "lru": RecurrentConfig(**CELLS, cell="lru"),
    "lstm": RecurrentConfig(**CELLS, cell="lstm"),
}
MESHES: dict[str, dict[str, int]] = {"one": {}, "mixed": {"mesh_fsdp": 2, "mesh_sequence": 4}}


class Rows:
    """Rows of two documents and padding."""

    batch_size = B

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        draw = np.random.default_rng(step)
        tokens = draw.integers(0, V, (B, T + 1)).astype(np.int32)[rows]
        documents = np.ones_like(tokens[:, 1:])
        documents[:, 9:], documents[:1, 20:] = 2, 0
        weights = (documents > 0).astype(np.float32)
        return Batch(tokens[:, :-1], tokens[:, 1:], weights, documents)


def run(kind: str, fields: dict[str, int]) -> dict[str, Any]:
    config = ExperimentConfig(
        model=KINDS[kind],
        data=TextDataConfig(batch_size=B),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(warmup_steps=0),
        training=TrainingConfig(num_steps=3, mesh_data=1, **fields),
    )
    setup = set_up(config, DataSpec(TokenInput(V), VocabOutput(V)), carries_state=False)
    feed, state, losses = Feed(Rows(), setup.mesh, 1), setup.create_state(0), []
    with mesh_context(setup.mesh):
        compiled = setup.call.lower(setup.abstract, feed(1)).compile()
        for step in range(1, 4):
            state, outputs = compiled(state, feed(step))
            losses.append([means(outputs["log"])[name] for name in ("loss", "gradient_norm")])
    feed.close()
    text = compiled.as_text()
    return {"losses": losses, "work": hlo.multiplications(text)}


def scan_errors() -> list[float]:
    """Largest differences of results and gradients of `linear_scan` from those of one device."""
    mesh = jax.make_mesh((8,), ("sequence",), axis_types=(jax.sharding.AxisType.Auto,))
    draw, errors = np.random.default_rng(0), []
    for dtype in (np.float32, np.complex64):
        shape = (2, 40, 3)
        a, b = (draw.normal(size=shape) + 1j * draw.normal(size=shape) for _ in range(2))
        a = np.where(draw.random(shape) < 0.1, 0, a / 2)
        given = tuple(jnp.asarray(x if dtype == np.complex64 else x.real, dtype) for x in (a, b))
        initial = jnp.asarray(draw.normal(size=(2, 3)), dtype)
        for form in ScanForm:

            def loss(a: Any, b: Any, h: Any, form: ScanForm = form) -> Any:
                hs = linear_scan(a, b, h, form)
                return jnp.sum(jnp.abs(hs) ** 2) + jnp.sum(jnp.cos(hs.real)), hs

            found = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))
            alone = found(*given, initial)
            with jax.set_mesh(mesh):
                split = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(*given, initial)
            scale = lambda x: max(1.0, float(np.max(np.abs(x))))
            pairs = zip(jax.tree.leaves(alone), jax.tree.leaves(split), strict=True)
            errors.append(max(float(np.max(np.abs(x - y))) / scale(x) for x, y in pairs))
    return errors


if __name__ == "__main__":
    become_mutant()
    if sys.argv[1] == "scan":
        print(json.dumps(scan_errors()))
    else:
        print(json.dumps({name: run(sys.argv[1], fields) for name, fields in MESHES.items()}))
