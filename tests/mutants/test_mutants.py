"""Wrong versions of the code, each with the test that must reject it.

A mutant is a function whose source is changed in one place. Its code object is put in, whoever has
imported the function, and the named test is called in this process: it must pass before and fail
by an assertion after.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

from tests.conformance.case import case
from tests.mutants.attention import ATTENTION
from tests.mutants.captions import CAPTIONS
from tests.mutants.decoding import DECODING
from tests.mutants.diagnostics import DIAGNOSTICS
from tests.mutants.faults import FAULTS
from tests.mutants.finetuning import FINETUNING
from tests.mutants.forecasting import FORECASTING
from tests.mutants.foundation import FOUNDATION
from tests.mutants.frame import FRAME_MUTANTS
from tests.mutants.interop import INTEROP
from tests.mutants.linear_recurrent import LINEAR_RECURRENT
from tests.mutants.mesh import MESH
from tests.mutants.music import MUSIC
from tests.mutants.mutant import VARIABLE, find, mutated
from tests.mutants.processes import PROCESSES
from tests.mutants.recurrent import RECURRENT
from tests.mutants.seeing import SEEING
from tests.mutants.seq2seq import SEQ2SEQ
from tests.mutants.sounds import SOUNDS
from tests.mutants.sweeps import SWEEPS
from tests.mutants.tasks import TASKS
from tests.mutants.text import TEXT
from tests.mutants.transformers import TRANSFORMERS

FAMILIES = (
    CAPTIONS,
    FOUNDATION,
    DIAGNOSTICS,
    FAULTS,
    FINETUNING,
    FORECASTING,
    FRAME_MUTANTS,
    ATTENTION,
    INTEROP,
    LINEAR_RECURRENT,
    MESH,
    MUSIC,
    PROCESSES,
    RECURRENT,
    TRANSFORMERS,
    SEQ2SEQ,
    SOUNDS,
    SWEEPS,
    TASKS,
    TEXT,
    SEEING,
    DECODING,
)
MUTANTS = {name: mutant for family in FAMILIES for name, mutant in family.items()}


def fixtures_of(test: Callable[..., None], **fixtures: object) -> dict[str, object]:
    """Those of pytest's own fixtures that a test asks for by name."""
    return {k: x for k, x in fixtures.items() if k in inspect.signature(test).parameters}


def forget() -> None:
    """What was traced before the change, or under it, is traced again."""
    case.cache_clear()
    jax.clear_caches()


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_suite_rejects(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mutant = MUTANTS[name]
    test: Callable[..., None] = find(f"tests.{mutant.test}")
    fixtures = fixtures_of(test, caplog=caplog)

    def run(folder: Path) -> None:
        folder.mkdir()
        test(*(x(folder) if callable(x) else x for x in mutant.arguments), **fixtures)

    change = (mutant.function, mutant.old, mutant.new)
    function, code = mutated(*change)
    with monkeypatch.context() as patch:
        patch.setattr(function, "__code__", code)
        patch.setenv(VARIABLE, json.dumps(change))
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            run(tmp_path / "mutant")
    forget()
    run(tmp_path / "original")


def test_no_two_mutants_have_one_name() -> None:
    assert len(MUTANTS) == sum(map(len, FAMILIES))
