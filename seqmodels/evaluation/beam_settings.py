"""How a run searches for translations. Imports no jax."""

from __future__ import annotations

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig


def make_beam(
    config: ExperimentConfig,
    *,
    beam_size: int | None = None,
    num_best: int = 1,
    length_penalty: float | None = None,
    coverage_penalty: float | None = None,
    min_tokens: int = 0,
    max_tokens: int | None = None,
) -> Beam:
    """Returns the beam of a run over pairs; what is None comes from its config.

    Raises:
      UserError: numbers that do not go together, or max_tokens above data.max_target_length.
    """
    data, evaluation = config.data, config.evaluation
    assert isinstance(data, PairsDataConfig)
    most = data.max_target_length - 1
    if max_tokens is not None and max_tokens > most:
        raise UserError(
            f"--max_tokens={max_tokens}: allowed are up to {most}: with <eos> the run's "
            f"data.max_target_length, {most + 1}"
        )
    return Beam(
        evaluation.beam_size if beam_size is None else beam_size,
        num_best,
        evaluation.length_penalty if length_penalty is None else length_penalty,
        evaluation.coverage_penalty if coverage_penalty is None else coverage_penalty,
        min_tokens,
        most if max_tokens is None else max_tokens,
    )
