"""Flags of the commands that search for texts."""

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
    """Defines all of `NAMES`."""
    one = {"lower_bound": 1, "flag_values": values}
    zero = {"lower_bound": 0, "flag_values": values}
    integer, number = flags.DEFINE_integer, flags.DEFINE_float
    own = "none = the run's evaluation."
    integer("beam_size", None, f"hypotheses of a translation; 1 is greedy; {own}beam_size", **one)
    integer("num_best", 1, "translations of each source", **one)
    number("length_penalty", None, f"of translations; {own}length_penalty", **zero)
    number("coverage_penalty", None, f"of unread parts of a source; {own}coverage_penalty", **zero)
    integer("min_tokens", 0, "least tokens of a translation", **zero)
    integer("max_tokens", None, "most; none = data.max_target_length without <eos>", **one)


def read_beam(asked: Any, config: ExperimentConfig) -> Beam | None:
    """The beam of a run over pairs; of others None.

    Raises:
      UserError: numbers that do not go together, or flags of a beam for a run without pairs.
    """
    if isinstance(config.data, PairsDataConfig):
        return make_beam(config, **{name: asked[name].value for name in NAMES})
    for name in NAMES:
        if asked[name].present:
            raise UserError(
                f"--{name}={asked[name].value}: is for translations; this run's data.kind is "
                f"{config.data.kind}"
            )
    return None
