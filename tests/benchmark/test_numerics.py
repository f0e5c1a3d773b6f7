"""The probes of the suite `numerics`: right here, and off where a program is wrong."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.benchmark import numerics, numerics_report
from seqmodels.benchmark.numerics import GROUPS, model_error, models, relative, shrunk
from seqmodels.benchmark.processes import Failed
from seqmodels.config.recurrent import RecurrentConfig

QUICK = ("softmax", "bfloat16", "tensor_float32")


@pytest.mark.parametrize(
    "group", [g if g in QUICK else pytest.param(g, marks=pytest.mark.grid) for g in GROUPS]
)
def test_this_machine_computes_what_it_should(group: str) -> None:
    probes = list(GROUPS[group](0))
    assert probes
    assert not [probe for probe in probes if probe[1] > probe[2]]


@pytest.mark.grid
def test_gradients_jitted_are_those_op_by_op() -> None:
    probes = list(models(0, ["recurrent, min_gru", "mlp"]))
    assert [name for name, _, _ in probes] == ["gradient of recurrent, min_gru", "gradient of mlp"]
    assert not [probe for probe in probes if probe[1] > probe[2]]


def test_the_groups_are_those_that_are_asked_for() -> None:
    assert set(numerics_report.GROUPS) == {*GROUPS, numerics.MODEL_GROUP}


def test_a_softmax_that_overflows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    naive = lambda s: jnp.exp(s) / jnp.sum(jnp.exp(s), -1, keepdims=True)
    monkeypatch.setattr(jax.nn, "softmax", naive)
    off = [name for name, error, allowed in GROUPS["softmax"](0) if error > allowed]
    assert off == ["softmax of +-1e4", "gradient of softmax of +-1e4"]


def test_products_with_few_bits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device whose default is TensorFloat-32, or worse."""

    def rounded(a: Any, b: Any) -> Any:
        return (a.astype(jnp.bfloat16) @ b.astype(jnp.bfloat16)).astype(jnp.float32)

    monkeypatch.setattr(jnp, "matmul", rounded)
    ((_, error, allowed),) = GROUPS["tensor_float32"](0)
    assert error > 10 * allowed


@pytest.mark.grid
def test_a_wrong_gradient_of_a_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that differs between a program and its single operations."""
    jit = jax.jit
    monkeypatch.setattr(
        jax,
        "jit",
        lambda f: lambda *a: jax.tree.map(lambda x: 1.01 * x, jit(f)(*a)),
    )
    monkeypatch.setattr(jax, "disable_jit", lambda: numerics._quick_compilation())
    config = shrunk(RecurrentConfig(cell="rnn"))
    assert config.num_layers == 1 and config.hidden_dim == 16
    assert model_error(config, 0) == pytest.approx(0.01, rel=1e-3)


def test_relative_errors() -> None:
    expected = np.array([1.0, -4.0])
    assert relative(np.array([1.0, -4.4], np.float32), expected) == pytest.approx(0.1)
    assert relative(np.array([np.nan, -4.0]), expected) == 1e30
    assert relative(np.zeros(3), expected) == 1e30


def test_the_switch_that_helps_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second; a process that does not know the first one dies."""

    class Switched:
        def __init__(self, more: dict[str, str]) -> None:
            self.more = more

        def ask(self, do: str, **arguments: Any) -> Any:
            flags = self.more.get("XLA_FLAGS", "")
            if "ynn" in flags:
                raise Failed("the process died with status -6")
            return {"probes": [("product", 0.0 if "fast_math" in flags else 1.0, 1e-5)]}

        def close(self) -> None:
            pass

    monkeypatch.setattr(numerics_report, "Process", Switched)
    monkeypatch.setenv("XLA_FLAGS", "--xla_other=1")
    found = numerics_report.find_switch("products", True, 0, "x.npz")
    assert found == "off; right with XLA_FLAGS=--xla_other=1 --xla_cpu_enable_fast_math=false"
    monkeypatch.setattr(numerics_report, "SWITCHES", ())
    assert "none of the known" in numerics_report.find_switch("products", True, 0, "x.npz")
