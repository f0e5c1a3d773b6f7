"""Settings of a beam search, for `predict` and `evaluate`."""

from __future__ import annotations

import dataclasses

from seqmodels.config.errors import UserError
from seqmodels.config.training import EvaluationConfig


@dataclasses.dataclass(frozen=True)
class Beam:
    """Search and ranking of hypotheses (Wu et al., 2016, arXiv:1609.08144, equation 14).

        score = log p(y, end | x) / lp(n) + cp,          lp(n) = ((5 + n) / 6) ** length_penalty
        cp = coverage_penalty * sum_s log min(sum_t a_ts, 1)

    n counts the tokens of y and the end, a_ts is the weight that step t gives to source token s.

    Attributes:
      size: hypotheses kept; 1 is greedy decoding.
      num_best: number of finished hypotheses returned.
      length_penalty: 0 ranks by probability; larger values favour long hypotheses.
      coverage_penalty: used to rank finished hypotheses, for models with `align`.
      min_tokens, max_tokens: of a hypothesis, without its end. The end is impossible before
        min_tokens and certain after max_tokens.
    """

    size: int = 4
    num_best: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    min_tokens: int = 0
    max_tokens: int = 64

    def __post_init__(self) -> None:
        for name, value, least in (
            ("beam_size", self.size, 1),
            ("num_best", self.num_best, 1),
            ("length_penalty", self.length_penalty, 0),
            ("coverage_penalty", self.coverage_penalty, 0),
            ("min_tokens", self.min_tokens, 0),
            ("max_tokens", self.max_tokens, 1),
        ):
            # This form refuses NaN too.
            if not least <= value < float("inf"):
                raise UserError(f"--{name}={value}: must be {least} or more")
        if self.num_best > self.size:
            raise UserError(f"--num_best={self.num_best}: must be at most --beam_size, {self.size}")
        if self.min_tokens > self.max_tokens:
            raise UserError(
                f"--min_tokens={self.min_tokens}: must be at most --max_tokens, {self.max_tokens}"
            )


def make_beam(
    evaluation: EvaluationConfig,
    max_length: int,
    *,
    beam_size: int | None = None,
    num_best: int = 1,
    length_penalty: float | None = None,
    coverage_penalty: float | None = None,
    min_tokens: int = 0,
    max_tokens: int | None = None,
) -> Beam:
    """Returns the beam search of a run; arguments that are None come from its config.

    Args:
      evaluation: of the run.
      max_length: the most tokens of a target, <eos> included: data.targets.max_length.

    Raises:
      UserError: numbers that do not go together, or max_tokens above max_length - 1.
    """
    most = max_length - 1
    if max_tokens is not None and max_tokens > most:
        raise UserError(
            f"--max_tokens={max_tokens}: must be at most {most}: with <eos> the run's "
            f"data.targets.max_length, {max_length}"
        )
    return Beam(
        evaluation.beam_size if beam_size is None else beam_size,
        num_best,
        evaluation.length_penalty if length_penalty is None else length_penalty,
        evaluation.coverage_penalty if coverage_penalty is None else coverage_penalty,
        min_tokens,
        most if max_tokens is None else max_tokens,
    )
