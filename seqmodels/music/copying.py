"""How much of a text stands in another, word for word: whether a sample is a copy."""

from __future__ import annotations

from collections.abc import Sequence

LONG = 40
"""Characters from which a common part counts as copied: some three bars of a reel."""


def copied(sample: str, sources: Sequence[str], long: int = LONG) -> dict[str, int | float]:
    """Compares a text with others.

    Returns:
      longest: characters of the longest part of the sample that stands in one of the sources.
      whole: 1 where that is all of it.
      share: of the sample's characters, those in such parts of `long` characters or more.
    """
    joined = "\0".join(sources)
    longest, covered, end, until = 0, 0, 0, 0
    for start in range(len(sample)):
        # What begins one character later goes on at least as far.
        end = max(end, start)
        while end < len(sample) and sample[start : end + 1] in joined:
            end += 1
        longest = max(longest, end - start)
        if end - start >= long:
            covered += end - max(start, until)
            until = end
    size = len(sample)
    return {
        "longest": longest,
        "whole": float(0 < size == longest),
        "share": covered / size if size else 0.0,
    }
