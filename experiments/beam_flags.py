"""Flags for beam search over translations."""

from __future__ import annotations

from typing import Any

from absl import flags

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.evaluation.beam_settings import make_beam

NAMES = ("beam_size", "num_best", "length_penalty", "coverage_penalty", "min_tokens", "max_tokens")


def define(values: flags.FlagValues) -> None:
    """Defines the flags in `NAMES`."""
    one = {"lower_bound": 1, "flag_values": values}
    zero = {"lower_bound": 0, "flag_values": values}
    integer, number = flags.DEFINE_integer, flags.DEFINE_float
    own = "none = the run's evaluation."
    integer("beam_size", None, f"number of hypotheses; 1 is greedy; {own}beam_size", **one)
    integer("num_best", 1, "number of translations per source", **one)
    number("length_penalty", None, f"exponent of the length penalty; {own}length_penalty", **zero)
    number(
        *("coverage_penalty", None),
        f"weight of the penalty on unread source words; {own}coverage_penalty",
        **zero,
    )
    integer("min_tokens", 0, "minimum number of tokens per translation", **zero)
    integer(
        *("max_tokens", None),
        "maximum number of tokens; none = data.max_target_length without <eos>",
        **one,
    )


def read_beam(asked: Any, config: ExperimentConfig) -> Beam | None:
    """Reads the beam for a run over pairs; None for other runs.

    Raises:
      UserError: flags contradict each other, or a flag is given for a run without pairs.
    """
    if isinstance(config.data, PairsDataConfig):
        return make_beam(config, **{name: asked[name].value for name in NAMES})
    for name in NAMES:
        if asked[name].present:
            raise UserError(
                f"--{name}={asked[name].value}: is for translation only; this run has data.kind="
                f"{config.data.kind}"
            )
    return None
