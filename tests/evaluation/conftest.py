"""Fixtures of the evaluation tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import pytest

_EVENT = "/jax/core/compile/backend_compile_duration"
_record: list[str] = []
_listening = False


def _listen(event: str, _: float, **kwargs: Any) -> None:
    if event == _EVENT:
        _record.append(str(kwargs))


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Every compilation since the fixture was asked for, those found in the cache on disk too."""
    global _listening
    if not _listening:
        jax.monitoring.register_event_duration_secs_listener(_listen)
        _listening = True
    _record.clear()
    yield _record
