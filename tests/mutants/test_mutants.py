"""Wrong versions of the code, each with the test that must reject it.

A mutant is a function whose source is changed in one place. Its code object is put in, whoever has
imported the function, and the named test is called in this process: it must pass before and fail
by an assertion after.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import jax
import pytest

from tests.conformance.cases import case
from tests.mutants.attention import ATTENTION
from tests.mutants.faults import FAULTS
from tests.mutants.finetuning import FINETUNING
from tests.mutants.foundation import FOUNDATION
from tests.mutants.interop import INTEROP
from tests.mutants.linear_recurrent import LINEAR_RECURRENT
from tests.mutants.recurrent import RECURRENT
from tests.mutants.seeing import SEEING
from tests.mutants.seq2seq import SEQ2SEQ
from tests.mutants.text import TEXT
from tests.mutants.transformers import TRANSFORMERS

FAMILIES = (
    FOUNDATION,
    FAULTS,
    FINETUNING,
    ATTENTION,
    INTEROP,
    LINEAR_RECURRENT,
    RECURRENT,
    TRANSFORMERS,
    SEQ2SEQ,
    TEXT,
    SEEING,
)
MUTANTS = {name: mutant for family in FAMILIES for name, mutant in family.items()}


def find(name: str) -> Any:
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def mutated(function: FunctionType, old: str, new: str) -> CodeType:
    """The code of a function whose source is changed in one place."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"a stale mutant: {old!r} is there {source.count(old)} times"
    tree = ast.parse(source.replace(old, new))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    flags = __future__.annotations.compiler_flag
    scope: dict[str, Any] = {}
    exec(compile(tree, function.__code__.co_filename, "exec", flags), function.__globals__, scope)
    code = scope[function.__name__].__code__
    assert code.co_freevars == function.__code__.co_freevars
    return code


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
    fixtures = {"caplog": caplog} if "caplog" in inspect.signature(test).parameters else {}

    def run(folder: Path) -> None:
        folder.mkdir()
        test(*(x(folder) if callable(x) else x for x in mutant.arguments), **fixtures)

    function = inspect.unwrap(find(f"seqmodels.{mutant.function}"))
    code = mutated(function, mutant.old, mutant.new)
    with monkeypatch.context() as patch:
        patch.setattr(function, "__code__", code)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            run(tmp_path / "mutant")
    forget()
    run(tmp_path / "original")


def test_no_two_mutants_have_one_name() -> None:
    assert len(MUTANTS) == sum(map(len, FAMILIES))
