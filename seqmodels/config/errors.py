"""Mistakes of the user, told in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend: the message is one line, the exit status 2."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """Returns '; did you mean X?' for the nearest of `choices`, else '; one of: ...' with all."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; one of: {', '.join(choices)}"
