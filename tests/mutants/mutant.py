"""What a mutant is."""

from __future__ import annotations
import __future__

import ast
import dataclasses
import importlib
import inspect
import json
import os
import textwrap
from types import CodeType, FunctionType
from typing import Any

VARIABLE = "SEQMODELS_TEST_MUTANT"
"""Of the environment: the mutant for the programs that a test starts, [function, old, new]."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A change of one function and the test that sees it.

    Attributes:
      function: dotted name below seqmodels, `module:function` or `module:Class.method`.
      old, new: a part of its source that occurs once, and what takes its place.
      test: `module:function` below tests.
      arguments: of the test; a callable is called with a fresh directory.
    """

    function: str
    old: str
    new: str
    test: str
    arguments: tuple[Any, ...] = ()


def find(name: str) -> Any:
    """What `module:path` names."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def mutated(name: str, old: str, new: str) -> tuple[FunctionType, CodeType]:
    """A function below seqmodels, and its code with its source changed in one place."""
    found = find(f"seqmodels.{name}")
    function = inspect.unwrap(getattr(found, "__func__", found))  # of a class method too
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
    return function, code


def become_mutant() -> None:
    """In a program that a test started: makes the change that the test is run against, if any."""
    if VARIABLE in os.environ:
        function, code = mutated(*json.loads(os.environ[VARIABLE]))
        function.__code__ = code
