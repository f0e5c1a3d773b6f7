"""Every mutant finds its line and its test takes its arguments; `make test-hard` runs them."""

from __future__ import annotations

import inspect

from tests.mutants.mutant import find, mutated
from tests.mutants.test_mutants import MUTANTS, fixtures_of


def test_every_mutant_changes_one_place_and_names_a_test() -> None:
    stale = []
    for name, mutant in MUTANTS.items():
        try:
            mutated(mutant.function, mutant.old, mutant.new)
            test = find(f"tests.{mutant.test}")
            inspect.signature(test).bind(*mutant.arguments, **fixtures_of(test, caplog=None))
        except Exception as error:
            stale.append(f"{name}: {error!r}")
    assert not stale, "\n".join(stale)
