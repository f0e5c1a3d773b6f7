"""Models on meshes of CPU devices: same losses as one device, with storage and work split."""

from __future__ import annotations

import logging
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from seqmodels.config.errors import UserError
from seqmodels.config.training import TrainingConfig
from seqmodels.distributed.mesh import make_mesh, shardings_of
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from tests.conformance.cases import LANGUAGE, gpt, recurrent
from tests.devices import run_on_devices
from tests.distributed.mesh_kinds import KINDS
from tests.tolerances import TOLERANCE

DEVICES = {"fsdp": 8, "tensor": 4, "mixed": 8, "data": 8}

MOST = 1.2
"""Upper bound of a device's multiplications, in units of an equal share.

The excess over 1 is the padding of the vocabulary, and class heads and BERT's pooler, which each
device of `tensor` computes."""

QUICK = [("lstm", "one mixed")]
GRID = [("gpt", "one fsdp tensor mixed")]
ALL = [(kind, "one fsdp mixed") for kind in KINDS if kind not in ("gpt", "gpt deep")]
REST = [("lstm", "two two-mixed data one"), ("gpt", "two two-mixed data one"), *ALL]


def run_program(kind: str, names: str) -> dict[str, Any]:
    found, errors = run_on_devices("tests.distributed.mesh_program", kind, *names.split())
    assert "Involuntary full rematerialization" not in errors
    return found


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        *QUICK,
        *(pytest.param(*x, marks=pytest.mark.grid) for x in GRID),
        *(pytest.param(*x, marks=pytest.mark.hard) for x in REST),
    ],
)
def test_losses_equal_those_of_one_device_and_the_work_is_split(kind: str, names: str) -> None:
    found = run_program(kind, names)
    for name, facts in found.items():
        alone = found["two" if name.startswith("two") else "one"]
        for what in ("losses", "evaluation"):
            if facts[what] is not None:
                close = TOLERANCE["mesh"]
                np.testing.assert_allclose(facts[what], alone[what], **close, err_msg=name)
        assert facts["kept"], f"{name}: the step changed the sharding of the state"
        if name in DEVICES:
            assert facts["work"] * DEVICES[name] < MOST * found["one"]["work"], name
            check_loops(kind, facts)
        if name in ("tensor", "mixed") and kind != "perceptron":  # its inputs are that wide
            assert not facts["wide"], name
        if name == "fsdp" and kind != "perceptron":
            check_shares(facts["shares"], DEVICES[name])


def check_loops(kind: str, facts: dict[str, Any]) -> None:
    """A loop over time needs no collectives, except where a decoder attends at each step: there
    each step adds up the gradient of its weights."""
    assert not facts.get("evaluation_messages")
    said = {message.split()[0] for message in facts["messages"]}
    attends = kind in ("seq2seq", "seq2seq min_gru")
    assert said <= ({"all-reduce"} if attends else set())


def check_shares(shares: dict[str, dict[str, float]], devices: int) -> None:
    """Checks that a device holds 1 / devices of every kernel and table, its moments and average.

    Biases and norms may be replicated: they are as large as one or two rows of a kernel of D rows.
    """
    assert set(shares) == {"params", "mu", "nu", "ema"}
    for name, parts in shares.items():
        small = ("bias", "scale", "score_kernel")
        large = {path: share for path, share in parts.items() if not path.endswith(small)}
        assert len(large) > 1
        assert set(large.values()) == {1 / devices}, (name, large)


@pytest.mark.grid
def test_layers_in_a_loop_are_gathered_one_at_a_time() -> None:
    """No device ever holds the full kernels, gradients or moments of all layers."""
    facts = run_program("gpt deep", "fsdp")["fsdp"]
    assert any(message.startswith("all-gather") for message in facts["messages"])
    stacked = {tuple(sorted(shape)) for shape in facts["stacked"]}
    parts, whole = {(2, 13, 32), (2, 3, 4, 4, 13)}, {(13, 16, 32), (13, 16, 16), (3, 4, 4, 13, 16)}
    assert parts <= stacked
    assert not whole & stacked


BOXED = {
    "gpt": build_model(gpt(), LANGUAGE),
    "lstm": build_model(recurrent(hidden_dim=16), LANGUAGE),
}


def lines_of(
    caplog: pytest.LogCaptureFixture, name: str, sizes: tuple[int, int, int], rows: int
) -> list[str]:
    """Log lines for a model's parameters, and for a tree that has them twice."""
    mesh: Any = AbstractMesh(sizes, ("data", "fsdp", "tensor"))
    boxed = jax.eval_shape(lambda key: init_params(BOXED[name], key), jax.random.key(0))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        shardings_of({"params": boxed, "ema": boxed}, mesh, rows)
    return [record.getMessage() for record in caplog.records]


def test_an_indivisible_axis_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    assert sorted(lines_of(caplog, "gpt", (1, 5, 2), 3)) == [
        "mesh: embed of 12 is not divisible by training.mesh_fsdp = 5: stored whole on each device",
        "mesh: heads of 3 is not divisible by training.mesh_tensor = 2: stored and computed whole "
        "on each device",
        "mesh: vocab of 11 is not divisible by training.mesh_tensor = 2: stored whole, computed in "
        "parts on each device",
    ]
    assert lines_of(caplog, "gpt", (2, 2, 1), 4) == []
    (line,) = (line for line in lines_of(caplog, "lstm", (1, 2, 4), 12) if "rows" in line)
    assert line.startswith("mesh: 12 rows of a micro-batch are not divisible by 8 devices: 4 of")
    assert not [line for line in lines_of(caplog, "lstm", (1, 2, 4), 16) if "rows" in line]


def test_a_parameter_is_split_over_the_axes_that_divide_it() -> None:
    mesh: Any = AbstractMesh((1, 2, 4), ("data", "fsdp", "tensor"))

    def of(names: tuple[str, ...], *shape: int) -> PartitionSpec:
        boxed = nn.Partitioned(jax.ShapeDtypeStruct(shape, np.float32), names)
        return shardings_of(boxed, mesh).spec

    assert of(("embed", "mlp"), 6, 8) == PartitionSpec("fsdp", "tensor")
    assert of(("embed", "mlp"), 5, 6) == PartitionSpec(None, None)
    assert of(("hidden", "embed"), 4, 4) == PartitionSpec("fsdp", None)
    assert of(("vocab", "embed"), 11, 4) == PartitionSpec(None, "fsdp")
    assert of(("layers", "gates"), 3, 4) == PartitionSpec(None, "tensor")


def test_a_mesh_that_does_not_fit_names_the_numbers() -> None:
    with pytest.raises(UserError, match="1 x 3 x 1 x 1 does not fit"):
        make_mesh(TrainingConfig(mesh_fsdp=3), 12)
    with pytest.raises(UserError, match="1 x 1 x 1 x 5 does not fit"):
        make_mesh(TrainingConfig(mesh_tensor=5), 12)
    with pytest.raises(UserError, match=r"data.batch_size = 5 .*use a multiple of 2"):
        make_mesh(TrainingConfig(accumulation_steps=2), 5)
