"""The layers on 8 CPU devices, in a process of their own."""

from __future__ import annotations

import jax
import pytest
from jax.sharding import PartitionSpec

from seqmodels.layers.sharding import fit
from tests.devices import run_on_devices
from tests.tolerances import TOLERANCE

WARNING = "Involuntary full rematerialization"


PROGRAM = "tests.layers.sharding_program"


@pytest.mark.grid
def test_no_activation_is_copied_to_all_devices_and_gradients_are_the_same() -> None:
    gap, errors = run_on_devices(PROGRAM, "gradients")
    constrained, unconstrained = errors.split("without constraints")
    assert WARNING not in constrained
    if jax.__version_info__ < (0, 11):  # jax 0.12 partitions such a gather well by itself
        assert WARNING in unconstrained, "XLA says it otherwise now: this test could not fail"
    assert gap < TOLERANCE["mesh"]["atol"]


@pytest.mark.grid
def test_a_vocabulary_that_is_split_is_the_whole_one() -> None:
    """Losses with smoothing, gradients, vectors and choices, also where V is not divisible."""
    found, errors = run_on_devices(PROGRAM, "vocabulary")
    assert WARNING not in errors
    assert len(found) == 5
    for case, facts in found.items():
        assert facts["gap"] < TOLERANCE["mesh"]["atol"], case
        assert facts["chosen"] == 0, case
        # The tokens V and V + 1, which a padded table has rows for, are no tokens.
        assert facts["outside"] == [[n in (2, 3) for n in range(7)]] * 8, case
        assert facts["widths"] == [facts["expected"]], case


def test_an_axis_is_split_over_what_divides_it_and_the_vocabulary_always() -> None:
    rules = {"rows": ("data", "tensor"), "mlp": "tensor", "vocab": "tensor", "embed": None}
    sizes = {"data": 2, "tensor": 4}
    of = lambda names, *shape: fit(shape, names, rules, sizes)
    assert of(("rows", None), 16, 3) == PartitionSpec(("data", "tensor"), None)
    assert of(("rows", None), 6, 3) == PartitionSpec("data", None)
    assert of(("rows", "mlp"), 3, 4) == PartitionSpec(None, "tensor")
    assert of(("rows", "mlp"), 8, 4) == PartitionSpec(("data", "tensor"), None)
    assert of(("embed", "mlp"), 8, 6) == PartitionSpec(None, None)
    assert of(("embed", "vocab"), 8, 6) == PartitionSpec(None, "tensor")
