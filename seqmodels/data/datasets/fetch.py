"""Downloads."""

from __future__ import annotations

import http.client
import urllib.request

FAILURES = (OSError, http.client.HTTPException)
"""What a connection may raise."""
_TIMEOUT = 60.0  # seconds without an answer
_MAX_BYTES = 1 << 26  # of an answer


def fetch(url: str) -> bytes:
    """Returns what a server answers; raises one of FAILURES where it does not."""
    # Some hosts refuse what calls itself Python.
    request = urllib.request.Request(url, headers={"User-Agent": "seqmodels"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        return answer.read(_MAX_BYTES)
