"""Verbatim overlap between texts, which shows whether a sample is a copy."""

from __future__ import annotations

from collections.abc import Sequence

LONG = 40
"""Shortest common part, in characters, that counts as copied: about three bars of a reel."""


def copied(sample: str, sources: Sequence[str], long: int = LONG) -> dict[str, int | float]:
    """Compares a sample with other texts.

    Returns:
      A dict: longest, the length in characters of the longest part that the sample shares with a
      source; whole, 1 if that is the whole sample; share, the share of the sample's characters
      that are in common parts of at least `long` characters.
    """
    joined = "\0".join(sources)
    longest, covered, end, until = 0, 0, 0, 0
    for start in range(len(sample)):
        # A match that begins one character later ends no earlier.
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
