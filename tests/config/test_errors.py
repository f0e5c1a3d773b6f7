"""What a person is told."""

from __future__ import annotations

import errno
import os

import pytest

from seqmodels.config.errors import find_problem

FULL = os.strerror(errno.ENOSPC)


def hidden(first: Exception, second: Exception) -> Exception:
    try:
        try:
            raise first
        except Exception:
            raise second  # noqa: B904
    except Exception as error:
        return error


def test_what_the_disk_said_is_found_where_it_was_hidden() -> None:
    assert find_problem(hidden(OSError(errno.EROFS, "?"), KeyError("x"))) is not None


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(errno.ENOSPC, "?", "file"), FULL),
        (ValueError("OUT_OF_RANGE: Failed writing [os_error_code='28']"), FULL),
        (ExceptionGroup("both", [KeyError("x"), OSError(errno.ENOSPC, "?")]), FULL),
        (FileNotFoundError(errno.ENOENT, "?"), None),
        (ValueError("a shape"), None),
    ],
    ids=str,
)
def test_what_the_disk_said_is_found_in_what_was_raised(
    error: Exception, problem: str | None
) -> None:
    assert find_problem(error) == problem
