"""Stacked and bidirectional cells, with lengths, against torch.nn.RNN, LSTM and GRU."""

from __future__ import annotations

import pytest

from tests.golden.test_torch_recurrent import part, theirs
from tests.golden.torch_recurrent import MODULES, Shape, inputs_of, ours, params_of
from tests.peers.compare import assert_gradients_match, assert_outputs_match

pytest.importorskip("torch", reason="make test-peers installs it")

SIZES = [(1, False, False), (1, True, True), (2, False, True), (3, True, True), (3, True, False)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "-".join(map(str, size)))
@pytest.mark.parametrize("module", MODULES)
def test_equals_torch(module: str, size: tuple[int, bool, bool]) -> None:
    from tests.golden.make_torch_recurrent import run

    shape = Shape(module, *size)
    arrays = run(shape, seed=7)
    params = params_of(shape, part(arrays, "param/"))
    outputs, gradients = ours(shape, params, inputs_of(shape, seed=7))
    wanted = theirs(shape, arrays)
    assert_outputs_match(outputs, wanted[0])
    assert_gradients_match(gradients, wanted[1])
