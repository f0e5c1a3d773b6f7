"""Transcripts of the classes of frames, by connectionist temporal classification."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True)
class Transcript:
    """Symbols that were read.

    Attributes:
      tokens: int32, less than the blank.
      log_probability: in nats, of the alignments that were found; of one alone if greedy.
      score: what the search ranks by; log_probability where there is no prior.
    """

    tokens: Int[np.ndarray, " U"]
    log_probability: float
    score: float


Prior = Callable[[tuple[int, ...]], Float[np.ndarray, " U"]]
"""What each symbol adds to the score of a prefix that it continues: [blank], in nats."""


def greedy(log_probabilities: Float[np.ndarray, "T C"]) -> Transcript:
    """The collapse of the most probable alignment: the best class of each frame.

    Args:
      log_probabilities: of one row, without padding; the blank is the last class.
    """
    best = log_probabilities.argmax(axis=1)
    changed = np.diff(best, prepend=-1) != 0
    tokens = best[changed & (best != log_probabilities.shape[1] - 1)]
    probability = float(log_probabilities.max(axis=1).sum())
    return Transcript(tokens.astype(np.int32), probability, probability)


def search(
    log_probabilities: Float[np.ndarray, "T C"], size: int, prior: Prior | None = None
) -> list[Transcript]:
    """The most probable transcripts, best first, by prefix beam search.

    For each prefix y of the frames so far, the mass of its alignments is kept in two parts, by
    whether they end with the blank (b) or with the last symbol (n). With each frame

        b'(y)   = (b(y) + n(y)) p(blank)
        n'(y)   = n(y) p(y_last)
        n'(y c) += (b(y) + [c != y_last] n(y)) p(c)

    and the `size` prefixes of the best score stay. Where none is dropped, the probabilities are
    those of all alignments. The score is

        log(b(y) + n(y)) + sum_u prior(y_<u)[y_u]

    where the prior of a language model is a log P(y_u | y_<u) + b: its probability with a weight,
    and a bonus for each symbol, since the former alone prefers short transcripts.

    Args:
      log_probabilities: of one row, without padding; the blank is the last class.
      size: prefixes kept.
      prior: None: 0.

    Source: Hannun et al., 2014, arXiv:1408.2873, with symbols in place of words.
    """
    blank = log_probabilities.shape[1] - 1
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    priors: dict[tuple[int, ...], float] = {(): 0.0}
    for frame in log_probabilities.tolist():
        found: dict[tuple[int, ...], list[float]] = collections.defaultdict(_nothing)
        for prefix, (b, n) in beam.items():
            mass, last = _add(b, n), prefix[-1] if prefix else blank
            own = found[prefix]
            own[0] = _add(own[0], mass + frame[blank])
            if prefix:
                own[1] = _add(own[1], n + frame[last])
            steps = None if prior is None else prior(prefix).tolist()
            for symbol in range(blank):
                y = (*prefix, symbol)
                before = b if symbol == last else mass
                found[y][1] = _add(found[y][1], before + frame[symbol])
                if steps is not None:
                    priors[y] = priors[prefix] + steps[symbol]
        scores = {
            y: mass + priors.get(y, 0.0)
            for y, parts in found.items()
            if (mass := _add(*parts)) > -math.inf
        }
        best = sorted(scores, key=lambda y: (-scores[y], y))[:size]
        beam = {y: (found[y][0], found[y][1]) for y in best}
        priors = {y: priors.get(y, 0.0) for y in best}
    return [
        Transcript(np.array(y, np.int32), mass := _add(b, n), mass + priors[y])
        for y, (b, n) in beam.items()
    ]


def _nothing() -> list[float]:
    return [-math.inf, -math.inf]


def _add(one: float, other: float) -> float:
    """log(e^one + e^other)."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
