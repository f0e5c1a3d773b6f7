"""Flags of the commands that search for texts."""

from __future__ import annotations

from typing import Any

from absl import flags

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig

NAMES = ("beam_size", "num_best", "length_penalty", "coverage_penalty", "min_tokens", "max_tokens")


def define(values: flags.FlagValues, beam_size: int, length_penalty: float) -> None:
    """Defines all of `NAMES` but num_best."""
    one = {"lower_bound": 1, "flag_values": values}
    zero = {"lower_bound": 0, "flag_values": values}
    integer, number = flags.DEFINE_integer, flags.DEFINE_float
    integer("beam_size", beam_size, "hypotheses of a translation; 1 is greedy", **one)
    number("length_penalty", length_penalty, "of translations; 0 has none", **zero)
    number("coverage_penalty", 0.0, "of what a translation did not look at; 0 has none", **zero)
    integer("min_tokens", 0, "least tokens of a translation", **zero)
    integer("max_tokens", None, "most; none = data.max_target_length without <eos>", **one)


def make_beam(asked: Any, config: ExperimentConfig) -> Beam | None:
    """The beam of a run over pairs; of others None.

    Raises:
      UserError: numbers that do not go together, or flags of a beam for a run without pairs.
    """
    defined = [name for name in NAMES if name in asked]
    if not isinstance(config.data, PairsDataConfig):
        for name in defined:
            if asked[name].present:
                raise UserError(
                    f"--{name}={asked[name].value}: is for translations; this run's data.kind is "
                    f"{config.data.kind}"
                )
        return None
    most = config.data.max_target_length - 1
    given = {name: asked[name].value for name in defined}
    if given["max_tokens"] is not None and given["max_tokens"] > most:
        raise UserError(
            f"--max_tokens={given['max_tokens']}: allowed are up to {most}: with <eos> the run's "
            f"data.max_target_length, {most + 1}"
        )
    given["max_tokens"] = given["max_tokens"] or most
    return Beam(size=given.pop("beam_size"), **given)
