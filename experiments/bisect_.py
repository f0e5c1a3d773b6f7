"""`launch.py bisect`: the first step at which two runs part, and the first tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command
from seqmodels.config.errors import UserError
from seqmodels.config.serialization import differences
from seqmodels.runs.opening import read_config

if TYPE_CHECKING:
    from seqmodels.training.replay import Replay

DOC = """Names the first step at which two runs differ, and the first tensor.

Use bisect A B, with two work directories. Rows and checkpoints that both have are compared bit by
bit; then the steps after the last equal state are repeated for both, in lockstep. If they differ,
the cause is in their configs, data or code, and the step is exact. If they do not, one of the runs
recorded something that its own steps do not give: that run is named, and the range of steps.
"""
_RUNS = ("first", "second")


def define(values: flags.FlagValues) -> None:
    for name in _RUNS:
        text = f"a work directory; --{name}= may be left out"
        flags.DEFINE_string(name, None, text, flag_values=values)
    program.define_json(values)


def run(arguments: Arguments) -> int:
    given = [getattr(arguments.flags, name) for name in _RUNS]
    if None in given:
        raise UserError("two work directories are required: bisect A B")
    first, second = (Path(name).expanduser() for name in given)
    configs = read_config(first), read_config(second)
    program.set_up_jax(configs[0])
    from seqmodels.training.replay import Replay

    result: dict[str, Any] = {"config": differences(*configs)}
    replays = Replay(first), Replay(second)
    try:
        result |= compare(*replays)
    finally:
        for replay in replays:
            replay.close()
    program.answer(arguments, result, "\n".join(describe(first, second, result)))
    return program.DONE if result["step"] is None else program.FAILED


def compare(a: Replay, b: Replay) -> dict[str, Any]:
    """Finds where two runs part.

    Returns:
      `step`: at which they part, None if they are equal; `after`: the last step at which they are
      known to be equal; `what`: differs first; `cause`: replayed, recorded or none; `by`: the run
      that does not give what it has left, if the cause is recorded.
    """
    from seqmodels.training.replay import differing_tensors

    row = first_row(a, b)
    common = [step for step in a.starts() if step in b.starts()]
    equal, unequal, tensors = None, None, {}
    for step in common:
        tensors = differing_tensors(a.state(step), b.state(step))
        if tensors:
            unequal = step
            break
        equal = step
    last = min((s for s in (row, unequal) if s is not None), default=None)
    if last is None:
        return {"step": None, "after": equal, "what": None, "cause": None, "by": None}
    if equal is None:
        what = first_of(tensors) if tensors else f"the row of step {row}"
        return {"step": unequal or row, "after": None, "what": what, "cause": "start", "by": None}
    found = step_together(a, b, equal, last)
    if found is not None:
        return {"step": found[0], "after": found[0] - 1, "what": found[1], "cause": "replayed"} | {
            "by": None
        }
    what = first_of(tensors) if unequal == last else f"the row of step {last}"
    return {"step": last, "after": equal, "what": what, "cause": "recorded"} | {
        "by": blame(a, b, equal, last)
    }


def first_row(a: Replay, b: Replay) -> int | None:
    """The first step whose rows differ in a number that both have."""
    clock = ("seconds", "input_wait")
    for step, row in a.rows.items():
        other = b.rows.get(step, row)
        names = [n for n in row if n not in clock and not n.endswith("_per_second")]
        if any(row[name] != other.get(name, row[name]) for name in names):
            return step
    return None


def first_of(tensors: dict[str, str]) -> str:
    """The first tensor, and how it differs."""
    name = next(iter(tensors))
    return f"{name}: {tensors[name]}"


def step_together(a: Replay, b: Replay, first: int, last: int) -> tuple[int, str] | None:
    """Takes steps of both runs until they part: that step, and the first tensor or input."""
    import jax
    import numpy as np

    from seqmodels.training.replay import differing_tensors

    states = [a.state(first), b.state(first)]
    strides = [run.config.training.steps_per_call for run in (a, b)]
    if strides[0] != strides[1]:
        return None
    for step in range(first, last, strides[0]):
        fed = [jax.tree.leaves(run.batch(step + 1)) for run in (a, b)]
        for one, two in zip(*fed, strict=False):
            if one.shape != two.shape or not np.array_equal(one, two):
                return step + 1, "the batch"
        states = [run.advance(state, step)[0] for run, state in zip((a, b), states, strict=True)]
        if tensors := differing_tensors(*states):
            return step + strides[0], first_of(tensors)
    return None


def blame(a: Replay, b: Replay, first: int, last: int) -> list[str]:
    """The runs whose own steps do not give what they have left."""
    from seqmodels.training.replay import Window

    window = lambda run: Window(first, last, last in run.starts())
    return [str(run.workdir) for run in (a, b) if run.check(window(run))]


def describe(first: Path, second: Path, result: dict[str, Any]) -> list[str]:
    """The result for a person."""
    lines = [f"config: {line}" for line in result["config"]]
    step, after, what = result["step"], result["after"], result["what"]
    if step is None:
        return [*lines, f"{first} and {second}: no difference; equal up to step {after}"]
    if result["cause"] == "start":
        return [*lines, f"they differ from the start: {what}"]
    if result["cause"] == "replayed":
        return [*lines, f"they part at step {step}: {what}"]
    by = " and ".join(result["by"]) or "neither"
    lines.append(f"they part after step {after}, at step {step} at the latest: {what}")
    return [*lines, f"taken again, these steps are the same in both; not as it was left: {by}"]


COMMAND = Command("bisect", DOC, run, define, positionals=_RUNS)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
