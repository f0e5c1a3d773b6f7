"""Inner values: what is recorded, and that it costs nothing where nobody asks, for every model."""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import Position
from seqmodels.layers import record as recording
from seqmodels.layers.attention import AttentionContext, CrossAttention, SelfAttention
from seqmodels.layers.record import RECORDED, SHIFTS
from seqmodels.models.build import make_cell
from seqmodels.ops.masks import Positions
from seqmodels.registry import CELLS
from tests.conformance.case import case
from tests.conformance.cases import CONFIGS, TRAINED, VARIANTS
from tests.tolerances import TOLERANCE

QUICK = ("gpt", "recurrent")
CASES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.grid)
    for name in (*CONFIGS, *VARIANTS)
    if name in TRAINED
]

# The rest of the weight is on a learned or an earlier state, or beyond a window's bell.
SHORT_OF_ONE = {
    "recurrent aaren, learned",
    "seq2seq concat, local, two directions",
    "seq2seq scaled dot, aaren",
    "seq2seq luong, dot, local, unfed",
}


def arrays_of(c: Any) -> tuple[Any, Any]:
    """Inputs of a case and its source, if it has one, without padding."""
    return jnp.asarray(c.inputs), jnp.asarray(c.own[0]) if c.call.encodes else None


def training_program(name: str) -> str:
    """The program of a gradient with dropout, as it is handed to the compiler."""
    c = case(name)

    def loss(params: Any, key: Any) -> Any:
        outputs, _ = c.call(params, inputs, None, None, source, None, train=True, key=key)
        return (outputs**2).sum()

    inputs, source = arrays_of(c)
    return jax.jit(jax.grad(loss)).lower(c.params, jax.random.key(0)).as_text()


@pytest.mark.parametrize("name", CASES)
def test_programs_that_ask_for_nothing_stay_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_calls = training_program(name)
    without = {"record": lambda *_: None, "record_all": lambda *_: None, "hook": lambda *a: a[2]}
    without["is_recording"] = lambda _: False
    replaced = 0
    for module in [m for n, m in sys.modules.items() if n.startswith("seqmodels.")]:
        for word, nothing in without.items():
            if getattr(module, word, None) is getattr(recording, word) and module is not recording:
                monkeypatch.setattr(module, word, nothing)
                replaced += 1
    assert replaced > 10
    assert training_program(name) == with_calls


def recorded_of(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outputs and inner values of a case on its own inputs."""
    c = case(name)
    inputs, source = arrays_of(c)

    def run(params: Any) -> Any:
        variables, memory, found = {"params": params}, None, {}
        if c.call.encodes:
            memory, found = c.model.apply(
                variables, source, train=False, method="encode", mutable=[RECORDED]
            )
        (features, _), more = c.model.apply(
            variables, inputs, memory=memory, train=False, mutable=[RECORDED]
        )
        return c.model.apply(variables, features, method="readout"), (found, more)

    outputs, found = jax.jit(run)(c.params)
    paths = jax.tree_util.tree_leaves_with_path(found)
    plain = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(x) for path, x in paths
    }
    return np.asarray(outputs), plain


@pytest.mark.parametrize("name", CASES)
def test_recording_changes_no_output(name: str) -> None:
    c = case(name)
    outputs, found = recorded_of(name)
    plain = c.run(c.inputs, None, (c.own[0], None))
    np.testing.assert_allclose(outputs, plain, **TOLERANCE["chunking"])
    for path, value in found.items():
        assert np.isfinite(value).all(), path
        if path.endswith("pattern"):
            sums = value.sum(-1)
            if name in SHORT_OF_ONE:
                assert (value >= 0).all() and (sums <= 1 + TOLERANCE["rounding"]["atol"]).all(), (
                    path
                )
            else:
                np.testing.assert_allclose(sums, 1, err_msg=path, **TOLERANCE["rounding"])


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("gpt", {"embed", "pattern", "resid_pre", "resid_post", "lens"}),
        ("recurrent", {"embed", "forget_gate", "candidate", "cell", "hidden", "lens"}),
        pytest.param("aaren", {"pattern", "resid_pre", "lens"}, marks=pytest.mark.grid),
        pytest.param("transformer", {"pattern", "resid_pre", "lens"}, marks=pytest.mark.grid),
        pytest.param("vit", {"embed", "pattern", "lens"}, marks=pytest.mark.grid),
        pytest.param("seq2seq", {"alignment_pattern", "forget_gate"}, marks=pytest.mark.grid),
    ],
)
def test_each_family_records_what_it_has(name: str, names: set[str]) -> None:
    assert names <= {path.rpartition("/")[2] for path in recorded_of(name)[1]}


@pytest.mark.parametrize(
    "memory", [False, pytest.param(True, marks=pytest.mark.grid)], ids=["self", "cross"]
)
def test_attention_from_whole_weights_is_attention(memory: bool) -> None:
    """With fewer heads of keys than of queries, and with documents."""
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 7, 12)), jnp.float32)
    positions = jnp.broadcast_to(jnp.arange(7), (2, 7))
    at = Positions(positions, jnp.asarray([[1, 1, 1, 2, 2, 2, 0], [1] * 7]))
    if memory:
        layer = CrossAttention(3, train=False)
        keys = jnp.asarray(draw.normal(size=(2, 2, 3, 7, 4)), jnp.float32)
        inputs = (x, *keys, at, at)
    else:
        layer = SelfAttention(6, train=False, num_kv_heads=3, position=Position.ALIBI)
        inputs = (x, None, AttentionContext(at))
    params = layer.init(jax.random.key(0), *inputs)["params"]
    plain = layer.apply({"params": params}, *inputs)
    found, more = layer.apply({"params": params}, *inputs, mutable=[RECORDED])
    for y, z in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(y, z, **TOLERANCE["rounding"])
    pattern = more[RECORDED]["pattern"]
    assert pattern.shape == (2, 3 if memory else 6, 7, 7)
    assert (pattern[0, :, :3, 3:] == 0).all()


@pytest.mark.parametrize(
    "name",
    [n if n == "lstm" else pytest.param(n, marks=pytest.mark.grid) for n in CELLS],
)
def test_recurrences_are_recorded_as_they_run(name: str) -> None:
    """The plain equations of the gates against the fast cells, whose output is known."""
    x = jax.random.normal(jax.random.key(1), (2, 9, 5))
    starts = jnp.zeros((2, 9), bool).at[0, 4].set(True).at[1, 0].set(True)
    valid = jnp.ones((2, 9), bool).at[0, 2].set(False).at[1, 7:].set(False)
    cell = make_cell(RecurrentConfig(cell=name, model_dim=5, hidden_dim=8))
    run = lambda cell, x: cell(x, cell.initial_state(2), starts, valid)
    params = jax.jit(lambda key: cell.init(key, x, method=run)["params"])(jax.random.key(0))
    plain, _ = jax.jit(lambda p: cell.apply({"params": p}, x, method=run))(params)
    record = jax.jit(lambda p: cell.apply({"params": p}, x, method=run, mutable=[RECORDED]))
    (y, _), found = record(params)
    np.testing.assert_array_equal(y, plain)
    found = found[RECORDED]
    if "hidden" in found:
        np.testing.assert_allclose(found["hidden"], y, **TOLERANCE["rounding"])
    else:
        assert set(found) in ({"pattern"}, {"decay", "real", "imaginary"})


@pytest.mark.parametrize("name", [pytest.param("gpt", marks=pytest.mark.grid), "recurrent"])
def test_a_shift_of_the_embedding_is_its_gradient(name: str) -> None:
    """A small step along the gradient by a shift changes the output as much as it says."""
    c = case(name)
    inputs, _ = arrays_of(c)
    apply = jax.jit(lambda p: c.model.apply(p, inputs, train=False, mutable=[RECORDED]))
    (features, _), found = apply({"params": c.params})
    paths = jax.tree_util.tree_leaves_with_path(found[RECORDED])
    path, value = next((p, v) for p, v in paths if p[-1].key == "embed")

    @jax.jit
    def shifted(shift: Any) -> Any:
        tree = shift
        for key in reversed(path):
            tree = {key.key: tree}
        outputs, _ = c.model.apply({"params": c.params, SHIFTS: tree}, inputs, train=False)
        return (outputs[0] ** 2).sum()

    zero = jnp.zeros_like(value)
    assert float(shifted(zero)) == pytest.approx(float((features[0] ** 2).sum()), rel=1e-5)
    gradient = jax.grad(shifted)(zero)
    step = 1e-2 / jnp.linalg.norm(gradient) * gradient
    change = (float(shifted(step)) - float(shifted(-step))) / 2
    assert change == pytest.approx(float((gradient * step).sum()), rel=2e-2)
