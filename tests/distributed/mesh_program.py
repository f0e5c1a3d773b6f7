"""Program that test_mesh.py runs in a process with 8 CPU devices; prints one line of JSON.

    python -m tests.distributed.mesh_program KIND MESH ...

Trains a small model of a kind on meshes and inspects the compiled programs. Complaints of XLA go to
stderr.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import jax
import numpy as np

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.training import OptimizerConfig, TrainingConfig
from seqmodels.distributed.mesh import mesh_context
from seqmodels.runs.paths import flat
from seqmodels.training.feed import Feed
from seqmodels.training.metrics import means
from seqmodels.training.setup import Setup
from seqmodels.types import Batch, TrainState
from tests.distributed import hlo
from tests.distributed.mesh_kinds import KINDS, B, Rows, T, V
from tests.mutants.mutant import become_mutant
from tests.opening import set_up

TWO = {"accumulation_steps": 2, "steps_per_call": 2}
MESHES: dict[str, tuple[tuple[int, int, int], dict[str, int]]] = {
    "one": ((1, 1, 1), {}),
    "data": ((8, 1, 1), {}),
    "fsdp": ((1, 8, 1), {}),
    "tensor": ((1, 1, 4), {}),
    "mixed": ((2, 2, 2), {}),
    "two": ((1, 1, 1), TWO),
    "two-mixed": ((2, 2, 2), TWO),
}
"""Name -> devices along data, fsdp and tensor, and fields of the training."""


def make(kind: str, axes: tuple[int, int, int], **training: Any) -> Setup:
    model, task, spec = KINDS[kind]
    data, fsdp, tensor = axes
    experiment = ExperimentConfig(
        model=model,
        data=TextDataConfig(batch_size=B),
        task=task,
        optimizer=OptimizerConfig(warmup_steps=0, weight_decay=0.1),
        training=TrainingConfig(
            num_steps=8,
            mesh_data=data,
            mesh_fsdp=fsdp,
            mesh_tensor=tensor,
            ema_decay=0.9,
            **training,
        ),
    )
    return set_up(experiment, spec, carries_state=kind == "lstm")


def run(kind: str, name: str, start: TrainState | None) -> tuple[dict[str, Any], TrainState]:
    """Returns facts about a mesh, and the first state.

    Args:
      start: the first state, unless it is created on the mesh.
    """
    axes, fields = MESHES[name]
    setup = make(kind, axes, **fields)
    per_call = fields.get("steps_per_call", 1)
    shardings = jax.tree.map(lambda x: x.sharding, setup.abstract)
    if start is None:
        state = first = setup.create_state(0)
    else:
        state = first = jax.device_put(start, shardings)
    first = jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, first)
    first = jax.device_get(first)
    feed, losses = Feed(Rows(kind), setup.mesh, per_call), []
    with mesh_context(setup.mesh):
        compiled = setup.call.lower(setup.abstract, feed(1)).compile()
        for step in range(1, 5, per_call):
            state, outputs = compiled(state, feed(step))
            losses.append(means(outputs["log"])["loss"])
    kept = jax.tree.map(lambda x, s: x.sharding.is_equivalent_to(s, x.ndim), state, shardings)
    facts = {
        "losses": losses,
        "kept": all(jax.tree.leaves(kept)),
        "work": hlo.multiplications(compiled.as_text()),
        "messages": hlo.messages_in_loops(compiled.as_text()),
        "wide": wide(compiled.as_text()),
        "stacked": [shape for shape in hlo.shapes(compiled.as_text()) if shape[0] == 13],
        "shares": shares(state),
        "evaluation": None,
    }
    if name in ("one", "mixed"):
        with mesh_context(setup.mesh):
            facts |= evaluation(setup, state, feed(9))
    feed.close()
    return facts, dataclasses.replace(first, key=jax.random.wrap_key_data(first.key))


def _is_key(x: jax.Array) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def evaluation(setup: Setup, state: TrainState, batch: Batch) -> dict[str, Any]:
    """Loss and collectives in loops of the program that `evaluation.evaluate` runs."""

    def forward(params: Any, batch: Batch) -> Any:
        return setup.task.forward(setup.model, params, batch, None, train=False, key=None)[2]

    compiled = jax.jit(forward).lower(state.params, batch).compile()
    loss, weight = compiled(state.params, batch)["loss"]
    said = hlo.messages_in_loops(compiled.as_text())
    return {"evaluation": float(loss / weight), "evaluation_messages": said}


def wide(text: str) -> list[tuple[int, ...]]:
    """Shapes of arrays that span the (possibly padded) vocabulary at each of many positions."""
    found = []
    for shape in hlo.shapes(text):
        rest = [size for size in shape if size not in (V, V + 1)]
        if len(rest) < len(shape) and np.prod(rest) % T == 0:
            found.append(shape)
    return found


def shares(state: TrainState) -> dict[str, dict[str, float]]:
    """Share of a device, by path, of the parameters, both moments and the average."""
    adam = state.opt_state[1]
    trees = {"params": state.params, "mu": adam.mu, "nu": adam.nu, "ema": state.ema}
    share = lambda x: x.addressable_shards[0].data.nbytes / x.nbytes
    return {name: {p: share(x) for p, x in flat(tree).items()} for name, tree in trees.items()}


if __name__ == "__main__":
    become_mutant()
    kind, names = sys.argv[1], sys.argv[2:]
    found: dict[str, Any] = {}
    start = None
    for name in names:
        # The first state is used by all; the mixed mesh creates its own, which must be the same.
        found[name], created = run(kind, name, None if name == "mixed" else start)
        start = created if start is None else start
    print(json.dumps(found))
