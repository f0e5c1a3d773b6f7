"""The one table of tolerances, by dtype and by what is compared. No test holds a literal one.

Each entry is keyword arguments for `numpy.testing.assert_allclose`. The float32 rows were set from
the equality they state: `exact` is bitwise, `rounding` re-orders one sum, `chunking` re-orders
several (other shapes of the same products), `gradient` does so twice, `reference` compares with
float64 or another library.
"""

from __future__ import annotations

from typing import Any

TOLERANCE: dict[str, dict[str, Any]] = {
    "exact": {"rtol": 0.0, "atol": 0.0},
    "rounding": {"rtol": 1e-6, "atol": 1e-6},
    "chunking": {"rtol": 1e-5, "atol": 1e-5},
    "gradient": {"rtol": 1e-4, "atol": 1e-5},
    "reference": {"rtol": 1e-5, "atol": 1e-5},
    "decoding": {"rtol": 1e-4, "atol": 1e-4},
    "bfloat16": {"rtol": 3e-2, "atol": 3e-2},
    "mesh": {"rtol": 1e-5, "atol": 1e-5},
}
