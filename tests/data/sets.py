"""How the tests open a data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from seqmodels.config.data import ExamplesDataConfig, TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.features import TokensConfig
from seqmodels.data.common import open_dataset


def open_text(name: str, **fields: Any) -> Any:
    """Opens a data set for a stream of text; `fields` are those of the data config."""
    return open_dataset(TextDataConfig(name=name, **fields))


def open_columns(name: str, columns: dict[str, str] | None = None, **fields: Any) -> Any:
    """Opens a data set for examples of these columns, by role: {"inputs": "text"}."""
    features: Any = {role: TokensConfig(column=name) for role, name in (columns or {}).items()}
    return open_dataset(ExamplesDataConfig(name=name, **features, **fields))


def mistake(call: Callable[[], Any]) -> str:
    """The line that `call` refuses its data with."""
    with pytest.raises(UserError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def digest_of(splits: dict[str, dict[str, list[str]]]) -> str:
    """A hash of the rows of each split; results on other splits could not be compared."""
    values = {split: list(columns.values()) for split, columns in splits.items()}
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
