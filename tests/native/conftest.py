"""Tests of the kernels in C++ are skipped where they cannot be compiled."""

from __future__ import annotations

import pytest

from seqmodels.native import library


@pytest.fixture(autouse=True)
def compiled() -> None:
    try:
        library.load()
    except library.NativeError as error:
        pytest.skip(f"no kernel in C++: {error}")
