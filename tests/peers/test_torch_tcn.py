"""Our TCN against one made of torch.nn.Conv1d: outputs and gradients, run side by side."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.test_tcn import run_tcn, tcn_params
from tests.peers.compare import assert_gradients_match, assert_outputs_match

torch = pytest.importorskip("torch", reason="make test-peers installs it")

from tests.golden import make_tcn  # noqa: E402


@pytest.mark.parametrize("sizes", [(5, 7, 4, 3, 3), (6, 6, 3, 2, 4), (4, 8, 2, 5, 1)])
@pytest.mark.parametrize("length", [1, 24])
def test_equals_torch(sizes: tuple[int, ...], length: int) -> None:
    torch.manual_seed(length)
    inputs, channels, outputs, width, num_layers = sizes
    model = make_tcn.tcn(inputs, channels, outputs, width, num_layers)
    x = torch.randn(2, length, inputs)
    theirs = make_tcn.run(model, x, width, num_layers)
    theirs.square().mean().backward()
    array = lambda t: t.detach().numpy()
    named = dict(model.named_parameters())
    params = tcn_params({name: array(p) for name, p in named.items()}, num_layers)
    wanted = tcn_params({name: array(p.grad) for name, p in named.items()}, num_layers)
    (_, ours), gradients = run_tcn(params, np.asarray(x), sizes)
    assert_outputs_match(ours, array(theirs))
    # A tap that sees only zeros has a gradient of 0 in both.
    assert_gradients_match(gradients, wanted)
