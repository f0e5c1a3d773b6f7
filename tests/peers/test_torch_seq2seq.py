"""Our encoder-decoder with a fixed context against two torch.nn.LSTM, run side by side."""

from __future__ import annotations

import pytest

from tests.golden.test_torch_seq2seq import ours, params_of
from tests.peers.compare import assert_gradients_match, assert_outputs_match

pytest.importorskip("torch", reason="make test-peers installs it")


@pytest.mark.parametrize("num_layers", [1, 3])
def test_equals_torch(num_layers: int) -> None:
    from tests.golden.make_torch_seq2seq import run

    arrays = run(num_layers, seed=7)
    (loss, logits), gradients = ours(arrays, num_layers)
    assert_outputs_match((loss, logits), (arrays["loss"], arrays["logits"]))
    assert_gradients_match(gradients, params_of(arrays, num_layers, "grad/"))
