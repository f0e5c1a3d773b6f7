"""Mistakes of the user and failures of a run, told in one line."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend: the message is one line, the exit status 2."""


class RunFailure(RuntimeError):
    """What stops a run and is nobody's mistake: the message is one line, the exit status 1."""


# What a disk, its quota or its permissions say; anything else is a fault of the program.
_SURROUNDINGS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE),
)
_IN_TEXT = re.compile(r"os_error_code='(\d+)'")  # how tensorstore tells an errno


def find_problem(error: BaseException) -> str | None:
    """What the disk said where that is why `error` was raised: "No space left on device".

    Looks at the causes and contexts of an error too: libraries hide the first one.
    """
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        this = left.pop(0)
        if this is None or this in seen:
            continue
        seen.append(this)
        number = this.errno if isinstance(this, OSError) else None
        if match := _IN_TEXT.search(str(this)):
            number = int(match.group(1))
        if number in _SURROUNDINGS:
            return os.strerror(number)
        left += [this.__cause__, this.__context__, *getattr(this, "exceptions", ())]
    return None


def suggest(name: str, choices: Iterable[str]) -> str:
    """Returns '; did you mean X?' for the nearest of `choices`, else '; one of: ...' with all."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; one of: {', '.join(choices)}"


_SPELLED = ("lru", "lstm", "mlp", "ngram", "rnn", "rnn_relu")
"""Names spoken with a vowel first, letter by letter."""


def an(word: str) -> str:
    """A word with its indefinite article, by the way it is spoken: an lstm, an ngram, a gru."""
    return f"an {word}" if word[:1] in "aeio" or word in _SPELLED else f"a {word}"
