"""Process of a job: `train`, whose exit status is recorded in the work directory.

`sweep` and `train --executor=slurm` start it as `python -m experiments.job --workdir=DIR [flags]`;
with several --workdir the runs are a pack.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from experiments import program, train
from experiments.arguments import Arguments, Command, ConfigSource, override
from seqmodels.config.validate import validate
from seqmodels.runs.opening import read_config
from seqmodels.sweeps.jobs import end_job

_FLAG = "--workdir="


def main(words: list[str]) -> int:
    """Trains, and records how it ended unless it is killed; returns the exit status."""
    places = [Path(word.removeprefix(_FLAG)) for word in words if word.startswith(_FLAG)]
    if len(places) > 1:
        return train_packed(places, [word for word in words if not word.startswith(_FLAG)])
    status = program.main(train.COMMAND, words)
    end_job(places[0], status)
    return status


def train_packed(places: list[Path], words: list[str]) -> int:
    """Trains runs as one program, and records how each ended; returns the highest exit status.

    Args:
      places: their work directories.
      words: overrides of all of them.
    """
    ends: dict[Path, int] = {}

    def run(arguments: Arguments) -> int:
        runs = [(override(read_config(p), arguments.overrides), p) for p in places]
        for config, _ in runs:
            validate(config)
        program.set_up_jax(runs[0][0])
        from seqmodels.training.pack import train_pack

        outcomes = train_pack(runs)
        for one in outcomes:
            ends[one.workdir] = one.exit_status if one.problem is None else program.FAILED
        return max(one.exit_status for one in outcomes)

    status = program.main(Command("train", "", run, _define, ConfigSource.OWN), words)
    for place in places:
        end_job(place, ends.get(place, status))
    return status


def _define(values: flags.FlagValues) -> None:
    """Has no flags of its own."""


if __name__ == "__main__":
    program.end(main(sys.argv[1:]))
