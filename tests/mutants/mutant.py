"""What a mutant is."""

from __future__ import annotations

import dataclasses
from typing import Any


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
