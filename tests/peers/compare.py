"""Comparison with numbers of another library, relative to the largest of each array."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from tests.tolerances import TOLERANCE


def assert_outputs_match(ours: Any, theirs: Any) -> None:
    """Asserts max |difference| <= 1e-5 max |theirs| for each array of two equal structures."""
    _assert_match(ours, theirs, TOLERANCE["reference"]["rtol"])


def assert_gradients_match(ours: Any, theirs: Any) -> None:
    """Asserts max |difference| <= 1e-4 max |theirs| for each array of two equal structures."""
    _assert_match(ours, theirs, TOLERANCE["gradient"]["rtol"])


def _assert_match(ours: Any, theirs: Any, share: float) -> None:
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    pairs = zip(jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True)
    for (path, got), wanted in pairs:
        place, got, wanted = jax.tree_util.keystr(path), np.asarray(got), np.asarray(wanted)
        assert got.shape == wanted.shape, place
        difference, scale = np.abs(got - wanted).max(), np.abs(wanted).max()
        assert difference <= share * scale, f"{place}: {difference} of {scale}"
