"""Which cases run where: one of every kind in `make test`, all of them in `make test-all`."""

from __future__ import annotations

import pytest

from tests.conformance.cases import ALSO_QUICK, VARIANTS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = isinstance(item, pytest.Function) and getattr(item, "callspec", None)
        name = name and name.params.get("name")
        if "conformance" in item.path.parts and name in VARIANTS and name not in ALSO_QUICK:
            item.add_marker("grid")
