"""JSON that every reader reads. Imports no jax."""

from __future__ import annotations

import json
import math
from typing import Any


def to_text(value: Any, **keywords: Any) -> str:
    """JSON text of a value, with null for NaN and infinity, which JSON does not have.

    Args:
      keywords: of `json.dumps`.
    """
    return json.dumps(_finite(value), allow_nan=False, **keywords)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
