"""Mistakes of the user and failures of a run, each reported in one line."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator


class UserError(Exception):
    """A mistake that the user can correct: the message is one line, the exit status 2."""


class RunFailure(RuntimeError):
    """A failure that is nobody's mistake: the message is one line, the exit status 1."""


# Errors of a disk, its quota or its permissions; anything else is a fault of the program.
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE),
)
_IN_TEXT = re.compile(r"os_error_code='(\d+)'")  # how tensorstore reports an errno


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields the error, then its causes, contexts and members if a group, nearest first."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        this = left.pop(0)
        if this is not None and this not in seen:
            seen.append(this)
            yield this
            left += [this.__cause__, this.__context__, *getattr(this, "exceptions", ())]


def find_problem(error: BaseException) -> str | None:
    """The message of the disk error that caused `error`, such as "No space left on device".

    Searches the causes and contexts of an error too, because libraries hide the original one.
    """
    for this in chain(error):
        number = this.errno if isinstance(this, OSError) else None
        if match := _IN_TEXT.search(str(this)):
            number = int(match.group(1))
        if number in _DISK_ERRORS:
            return os.strerror(number)
    return None


def suggest(name: str, choices: Iterable[str]) -> str:
    """Returns '; did you mean X?' with the nearest of `choices`, else '; one of: ...' with all."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; one of: {', '.join(choices)}"


_SPELLED = ("lru", "lstm", "mlp", "ngram", "rnn", "rnn_relu")
"""Names spoken with a vowel first, letter by letter."""


def an(word: str) -> str:
    """A word with its indefinite article, by the way it is spoken: an lstm, an ngram, a gru."""
    return f"an {word}" if word[:1].lower() in "aeio" or word in _SPELLED else f"a {word}"
