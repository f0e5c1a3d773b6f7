"""Models that look both ways: no carry, and the same rules for padding, packing and rows."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.types import ClassOutput
from tests.conformance.case import alone, case, documents
from tests.conformance.cases import (
    BOTH_WAYS,
    PACKED,
    PADDED,
    B,
    T,
    edited,
    has_segments,
    spec_of,
)
from tests.tolerances import TOLERANCE

SEQUENCES = [name for name in BOTH_WAYS if has_segments(name)]
POOLED = [
    name
    for name in SEQUENCES
    if isinstance(outputs := spec_of(name).outputs, ClassOutput) and not outputs.per_step
]
PER_STEP = [name for name in SEQUENCES if name not in POOLED]


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_carry_is_refused(name: str) -> None:
    c = case(name)
    with pytest.raises(ValueError, match="carry"):
        c.initial_carry()
    with pytest.raises(ValueError, match="carry"):
        c.step(jnp.asarray(c.inputs), {"state": jnp.zeros((B, 1))}, None)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_outputs_are_finite_and_a_function_of_their_own_row(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs)
    assert before.dtype == np.float32
    assert np.isfinite(before).all()
    after = c.run(edited(c.inputs, 0, 1))
    np.testing.assert_array_equal(after[1], before[1])
    assert (after[0] != before[0]).any()


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_stands_at_padding_moves_nothing(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs, PADDED)
    for place in (2, 5, 6):
        after = c.run(edited(c.inputs, 1, place), PADDED)
        seen = np.ones(B, bool) if name in POOLED else PADDED > 0
        np.testing.assert_array_equal(after[seen], before[seen])


@pytest.mark.parametrize("name", SEQUENCES)
def test_padding_is_as_if_it_were_not_there(name: str) -> None:
    c = case(name)
    places = np.flatnonzero(PADDED[1])
    padded = c.run(c.inputs, PADDED)[1]
    got = padded if name in POOLED else padded[places]
    short = np.repeat(c.inputs[1:, places], B, axis=0)
    np.testing.assert_allclose(got, c.run(short)[0], **TOLERANCE["chunking"])


@pytest.mark.parametrize("name", PER_STEP)
def test_every_output_sees_the_whole_document(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs)
    for place in (0, T - 1):
        moved = c.run(edited(c.inputs, 0, place))[0] != before[0]
        assert moved.any(axis=-1).all()


@pytest.mark.parametrize("name", PER_STEP)
def test_packed_documents_equal_documents_alone_both_ways(name: str) -> None:
    c = case(name)
    packed = c.run(c.inputs, PACKED)
    found = documents(PACKED)
    for half in (0, 1):
        inputs, ids = alone(c.inputs, found[half::2])
        got = c.run(inputs, ids)
        for n, (row, places) in enumerate(found[half::2]):
            np.testing.assert_allclose(
                got[n, : len(places)], packed[row, places], **TOLERANCE["chunking"]
            )
