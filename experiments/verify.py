"""`launch.py verify`: takes steps of a run again, and compares every bit."""

from __future__ import annotations

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError

DOC = """Repeats steps of a run from its checkpoints, and compares every bit.

Losses and parameters are compared. A window begins at a checkpoint, or at the seed, and is at most
training.checkpoint_every steps long; --windows of them are chosen at random. What differs is named,
and the exit status is 1. If the steps were taken with other libraries or devices, these are named,
and numbers are compared up to rounding.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    integer = flags.DEFINE_integer
    integer("windows", 3, "number of windows", lower_bound=1, flag_values=values)
    integer("seed", None, "seed of the windows; none = a new one each time", 0, flag_values=values)


def run(arguments: Arguments) -> int:
    from seqmodels.runs.workdir import has_trainer

    asked, workdir = arguments.flags, arguments.workdir
    if has_trainer(workdir):
        raise UserError(f"--workdir={workdir}: a process is training there")
    program.set_up_jax(arguments.experiment)
    import random

    from seqmodels.training.replay import Replay, choose_windows

    replay = Replay(workdir)
    seed = random.SystemRandom().randrange(2**31) if asked.seed is None else asked.seed
    windows = choose_windows(replay.windows(), asked.windows, seed)
    if not windows:
        raise UserError(f"--workdir={workdir}: no steps to repeat: no state fits the rows")
    found = []
    for window in windows:
        foreign, problems = replay.foreign(window), replay.check(window)
        one = {"first": window.first, "last": window.last, "saved": window.saved}
        found.append({**one, "foreign": foreign, "problems": problems})
        if not asked.json:
            show(found[-1])
    replay.close()
    wrong = sum(bool(one["problems"]) for one in found)
    result = {"workdir": str(workdir), "seed": seed, "windows": found}
    lines = f"{len(found) - wrong} of {len(found)} windows are the run's (--seed={seed})"
    program.answer(arguments, result, lines)
    return program.FAILED if wrong else program.DONE


def show(window: dict[str, object]) -> None:
    """Prints the result of a window."""
    where = f"steps {window['first']} to {window['last']}"
    foreign, problems = window["foreign"], window["problems"]
    assert isinstance(foreign, list)
    assert isinstance(problems, list)
    what = "rows and checkpoint" if window["saved"] else "rows"
    how = f"{what}, bit by bit"
    if foreign:
        how = f"{what}, up to rounding: they were taken with other parts: {', '.join(foreign)}"
    program.say(f"{where}: {'DIFFERENT' if problems else 'equal'} ({how})")
    for line in problems:
        program.say(f"  {line}")


COMMAND = Command("verify", DOC, run, define, ConfigSource.WORKDIR, overridable=())

if __name__ == "__main__":
    program.end(program.main(COMMAND))
