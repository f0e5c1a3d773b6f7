"""Process of a job: `train`, whose exit status is recorded in the work directory.

`sweep` and `train --executor=slurm` start it as `python -m experiments.job --workdir=DIR [flags]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from experiments import program, train
from seqmodels.sweeps.jobs import end_job

_FLAG = "--workdir="


def main(words: list[str]) -> int:
    """Trains, and records how it ended unless it is killed; returns the exit status."""
    (workdir,) = (word.removeprefix(_FLAG) for word in words if word.startswith(_FLAG))
    status = program.main(train.COMMAND, words)
    end_job(Path(workdir), status)
    return status


if __name__ == "__main__":
    program.end(main(sys.argv[1:]))
