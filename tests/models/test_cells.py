"""Cells of the registry, and a cell whose state is a tree."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import CellConfig, RecurrentConfig, Seq2SeqConfig
from seqmodels.layers.cells import RecurrentCell
from seqmodels.layers.linear_recurrent import AarenCell
from seqmodels.models.build import build_model, make_cell
from seqmodels.models.initialize import init_params
from seqmodels.ops.scan import SoftmaxState
from seqmodels.registry import CELLS, CellEntry, resolve
from seqmodels.types import DataSpec, TokenInput, VocabOutput

B, S, T, V, N = 2, 5, 3, 11, 7


def test_registry_lines_list_the_fields_that_each_cell_reads() -> None:
    shared = {field.name for field in dataclasses.fields(CellConfig)}
    everywhere = {"hidden_dim", "learned_initial_state"}
    for name, entry in CELLS.items():
        declared = {field.name for field in dataclasses.fields(resolve(entry.implementation))}
        assert everywhere | set(entry.options) <= declared, name
        # uniform_init is read by models.initialize, not by the cell.
        assert declared & shared - everywhere == set(entry.reads) - {"uniform_init"}, name
        assert entry.summary


def test_a_cell_takes_its_fields_from_the_config_and_its_options_from_the_registry() -> None:
    lstm: Any = make_cell(RecurrentConfig(hidden_dim=N, forget_bias=1.5, chrono_length=9))
    assert (lstm.hidden_dim, lstm.forget_bias, lstm.chrono_length) == (N, 1.5, 9)
    irnn: Any = make_cell(RecurrentConfig(cell="irnn", learned_initial_state=True), jnp.bfloat16)
    assert (irnn.relu, irnn.identity, irnn.learned_initial_state) == (True, True, True)
    assert irnn.dtype == jnp.bfloat16


def test_the_output_of_a_state_is_the_last_output() -> None:
    x = jax.random.normal(jax.random.key(0), (B, T, 4))
    without = set()
    for name in CELLS:
        cell: Any = make_cell(RecurrentConfig(cell=name, hidden_dim=N))

        def run(cell: Any, x: jax.Array) -> Any:
            return cell(x, cell.initial_state(B))

        (y, state), _ = jax.jit(nn.init_with_output(run, cell))(jax.random.key(1), x)
        output = cell.output_of(state)
        if output is None:
            without.add(name)
        else:
            np.testing.assert_array_equal(output, y[:, -1], err_msg=name)
    assert without == {"lru", "aaren"}


def test_merged_aaren_state_is_that_of_one_token() -> None:
    state = lambda total: SoftmaxState(
        jnp.full((B, 1), 3.0), jnp.full((B, 1), total), jnp.full((B, 1, N), 6.0)
    )
    merged = AarenCell.merge(state(2.0), state(3.0), lambda name, a, b: 10 * a + b)
    np.testing.assert_array_equal(merged.average(), np.full((B, 1, N), 32.0))
    np.testing.assert_array_equal(merged.total, np.ones((B, 1)))


class MeanCell(RecurrentCell):
    """The mean of all inputs so far; the state is their sum and number."""

    @nn.nowrap
    def initial_state(self, batch_size: int) -> Any:
        return {"sum": jnp.zeros((batch_size, self.hidden_dim)), "number": jnp.zeros(batch_size)}

    @classmethod
    def output_of(cls, state: Any) -> Any:
        return state["sum"] / jnp.maximum(state["number"], 1.0)[:, None]

    @classmethod
    def merge(cls, forward: Any, backward: Any, join: Any) -> Any:
        joined = join("sum", forward["sum"], backward["sum"])
        return {"sum": joined, "number": forward["number"]}

    @nn.compact
    def __call__(self, x: Any, state: Any, starts: Any = None, valid: Any = None) -> Any:
        total = state["sum"][:, None] + jnp.cumsum(nn.Dense(self.hidden_dim)(x), axis=1)
        number = state["number"][:, None] + jnp.arange(1, x.shape[1] + 1)[None]
        return total / number[..., None], {"sum": total[:, -1], "number": number[:, -1]}


def test_an_encoder_decoder_takes_a_cell_whose_state_is_a_tree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CELLS, "mean", CellEntry(f"{__name__}:MeanCell", "mean of the inputs"))
    config = Seq2SeqConfig(cell="mean", model_dim=4, hidden_dim=N, bidirectional=True)
    model = build_model(config, DataSpec(TokenInput(V), VocabOutput(V), source=TokenInput(V)))

    @jax.jit
    def run(key: jax.Array, source: jax.Array, target: jax.Array) -> Any:
        params = nn.unbox(init_params(model, key))
        memory = model.apply({"params": params}, source, train=False, method="encode")
        features, _ = model.apply({"params": params}, target, memory=memory, train=False)
        return params, memory, features

    source, target = jnp.ones((B, S), jnp.int32), jnp.ones((B, T), jnp.int32)
    params, memory, features = run(jax.random.key(0), source, target)
    assert set(params["bridges_0"]) == {"sum"}
    state = memory["layers"]["layer_0"]
    np.testing.assert_array_equal(state["number"], np.full(B, S))
    np.testing.assert_array_equal(memory["query"], MeanCell.output_of(state))
    assert np.isfinite(features).all()
