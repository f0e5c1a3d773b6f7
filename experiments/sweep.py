"""`launch.py sweep`: trains a config with many values of some fields, and compares the runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import executors, program
from experiments.arguments import Arguments, Command, ConfigSource, alternatives
from experiments.reproduce import commit
from seqmodels.config.errors import UserError
from seqmodels.sweeps import manifest as manifests
from seqmodels.sweeps.grid import Planned, plan
from seqmodels.sweeps.jobs import read_job
from seqmodels.sweeps.local import LocalExecutor, Stop, Task
from seqmodels.sweeps.manifest import Manifest, need_manifest, read_manifest
from seqmodels.sweeps.slurm import adopt_jobs, num_tasks, submit
from seqmodels.sweeps.states import State, Status
from seqmodels.sweeps.views import count_states, read_statuses, show_statuses

if TYPE_CHECKING:
    from seqmodels.sweeps.table import Summary

DOC = """Trains a config with many values of some fields, and compares the runs.

    --sweep.FIELD=a,b,c        these values; 0..4 are the integers from 0 to 4
    --sweep.FIELD=log:LOW..HIGH, linear:LOW..HIGH
                               with --random=N: N numbers between the bounds

Every combination is a run with its own work directory in --root. The same command continues a
sweep: finished runs are not repeated, jobs in flight are found again, and runs that failed are
started again with --retries. With other values it reports which runs are added and which no longer
belong. --status shows the runs and --table their results; both take only --root. With
--executor=slurm the runs are submitted and the command exits.
"""


def define(values: flags.FlagValues) -> None:
    string, integer, switch = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool
    string("root", None, "folder of the sweep, with a work directory per run", flag_values=values)
    integer("random", None, "number of points drawn from log: and linear:", 1, flag_values=values)
    executors.define(values)
    text = "runs to train at once on this machine; with --pack, the processes or jobs of a pack"
    integer("parallel", 1, text, 1, flag_values=values)
    switch(
        "pack", False, "train runs that differ only in some numbers together", flag_values=values
    )
    integer("retries", 0, "how often to restart a run that fails", 0, flag_values=values)
    switch("dry_run", False, "validate, list the runs, stop", flag_values=values)
    switch("status", False, "show the state of every run", flag_values=values)
    switch("table", False, "show and write the results of the runs", flag_values=values)
    switch(
        "other_code",
        False,
        "continue runs that were trained with other code or library versions",
        flag_values=values,
    )
    program.define_json(values)


def run(arguments: Arguments) -> int:
    asked = arguments.flags
    if asked.root is None:
        raise UserError("--root=DIR is required: the folder of the sweep")
    options = executors.check(arguments)
    if options is not None:
        check_slurm(asked, options)
    root = Path(asked.root).expanduser().absolute()
    shown = [name for name in ("dry_run", "status", "table") if getattr(asked, name)]
    if len(shown) > 1:
        raise UserError(f"--{shown[0]} and --{shown[1]}: give only one of the two")
    if shown and shown[0] != "dry_run":
        if arguments.config is not None or arguments.prefixed["sweep"]:
            raise UserError(f"--{shown[0]}: takes only --root; the rest comes from the sweep there")
        found = need_manifest(root)
        return show_status(arguments, root, found) if asked.status else show_table(arguments, root)
    old = read_manifest(root)
    new, runs = planned(arguments, root, old)
    change = None
    if old is not None:
        change = manifests.compare(root, old, new, other_code=asked.other_code)
    new = manifests.take_over(old, new)
    if asked.dry_run:
        return show_plan(arguments, root, runs, change)
    with manifests.only_sweep(root):
        for line in [] if change is None else change.lines():
            program.say(line)
        manifests.claim_runs(root, runs)
        check_data(root, new, runs)
        manifests.write_manifest(root, new)
        if options is not None:
            return submit_all(arguments, root, new, runs, options)
        return train_here(arguments, root, new, runs)


def check_slurm(asked: Any, options: dict[str, Any]) -> None:
    """Checks the flags that mean something else to Slurm, or nothing.

    Raises:
      UserError: one has no effect.
    """
    if asked.parallel > 1 and not asked.pack:
        raise UserError(
            f"--parallel={asked.parallel}: Slurm decides how many jobs run at once; with --pack it "
            "is the number of jobs of a pack"
        )
    if asked.pack and (count := num_tasks(options)) > 1:
        raise UserError(f"--pack: trains in one process, not in {count} tasks of a job")


def planned(
    arguments: Arguments, root: Path, old: Manifest | None
) -> tuple[Manifest, list[Planned]]:
    """The sweep that is asked for: by its flags, or that of the folder where there are none."""
    asked, sweeps = arguments.flags, arguments.prefixed["sweep"]
    if arguments.config is None:
        if sweeps or asked.random is not None or arguments.overrides:
            raise UserError("--config=NAME is required with --sweep, --random and --config.FIELD")
        old = need_manifest(root) if old is None else old
        runs = old.planned(root)
        made = manifests.make_manifest(
            old.config_name, old.base, old.sweeps, old.num_random, runs, commit()
        )
        return made, runs
    if not sweeps:
        raise UserError("--sweep.FIELD=VALUES is required; without it, use train")
    runs = plan(arguments.config, sweeps, asked.random, alternatives())
    name = arguments.config_name or ""
    return manifests.make_manifest(
        name, arguments.config, sweeps, asked.random, runs, commit()
    ), runs


def show_plan(
    arguments: Arguments, root: Path, runs: Sequence[Planned], change: manifests.Change | None
) -> int:
    """Lists the runs of a sweep, and how it differs from the one in the folder."""
    lines = [run.name for run in runs]
    lines += [f"{len(runs)} runs in {root}; nothing is written"]
    lines += [] if change is None else list(change.lines())
    values = {"root": str(root), "runs": {run.name: run.values for run in runs}}
    if change is not None:
        values |= {"added": change.added, "gone": change.gone}
    program.answer(arguments, values, "\n".join(lines))
    return program.DONE


def check_data(root: Path, manifest: Manifest, runs: Sequence[Planned]) -> None:
    """Prepares the data of the runs once, and compares them with those of earlier runs.

    Raises:
      UserError: they cannot be read, or have changed.
    """
    import jax

    # This process computes nothing, and must not take the memory of a GPU from its jobs.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_platforms", "cpu")
    from seqmodels.data.pipeline import load_data
    from seqmodels.runs.workdir import kept_features
    from seqmodels.tasks.build import build_task

    seen: set[str] = set()
    for one in runs:
        key = manifests.data_key(one.config)
        if key in seen:
            continue
        seen.add(key)
        features = kept_features(root / one.name, one.config)
        data = load_data(one.config, build_task(one.config), features)
        data.check_split("validation")
        manifests.refuse_other_data(root, manifest, key, data.description()["fingerprint"])


def train_here(
    arguments: Arguments, root: Path, manifest: Manifest, runs: Sequence[Planned]
) -> int:
    """Trains the runs that are not done on this machine; returns the exit status."""
    asked = arguments.flags
    before = read_statuses(root, manifest)
    tasks, in_flight = choose(root, runs, before, retries=asked.retries)
    tasks = packed(arguments, root, runs, tasks)
    stop = Stop()
    with stop.listening():
        executor = LocalExecutor(asked.parallel, asked.retries, program.say, stop)
        executor.run(tasks, in_flight)
    after = read_statuses(root, manifest)
    status = exit_status(after, stop)
    program.answer(
        arguments,
        {name: one.to_json() for name, one in after.items()},
        f"{count_states(after)}; python launch.py sweep --root={root} --table",
    )
    return status


def packed(
    arguments: Arguments, root: Path, runs: Sequence[Planned], tasks: list[Task]
) -> list[Task]:
    """The tasks, with --pack those that can be one program joined."""
    if not arguments.flags.pack:
        return tasks
    from experiments.packing import pack_tasks

    configs = {root / one.name: one.config for one in runs}
    return pack_tasks(tasks, configs, arguments.flags.parallel)


def submit_all(
    arguments: Arguments,
    root: Path,
    manifest: Manifest,
    runs: Sequence[Planned],
    options: dict[str, Any],
) -> int:
    """Submits the runs that are not done to Slurm; returns the exit status."""
    retries = arguments.flags.retries
    adopt_jobs({root / one.name: read_job(root / one.name) for one in runs})
    tasks, _ = choose(root, runs, read_statuses(root, manifest), retries=retries)
    jobs: dict[str, str] = {}
    for task in packed(arguments, root, runs, tasks):
        number, names = submit(task, options, retries), [path.name for path in task.workdirs]
        jobs |= dict.fromkeys(names, number)
        program.say(f"{', '.join(names)}: submitted as job {number}")
    watch = f"python launch.py sweep --root={root} --status"
    program.answer(arguments, jobs, f"{len(jobs)} submitted; {watch}")
    return program.DONE


def choose(
    root: Path, runs: Sequence[Planned], statuses: Mapping[str, Status], *, retries: int
) -> tuple[list[Task], list[Path]]:
    """The runs to start and those that are in flight; says why the others are left alone."""
    tasks, in_flight = [], []
    for one in runs:
        workdir, status = root / one.name, statuses[one.name]
        words = manifests.change_words(workdir, one.config)
        if status.state.in_flight:
            in_flight.append(workdir)
        elif status.state is State.DIVERGED and not words:
            program.say(f"{one.name}: diverged: {status.note}; delete it to train it again")
        elif status.state is State.FAILED and not retries:
            program.say(f"{one.name}: failed: {status.note}; --retries=1 starts it again")
        elif status.state is not State.DONE or words:
            tasks.append(Task((workdir,), words))
    if in_flight:
        program.say(f"in flight: {', '.join(path.name for path in in_flight)}")
    return tasks, in_flight


def exit_status(statuses: Mapping[str, Status], stop: Stop) -> int:
    """128 + the signal after one, 1 where a run failed, otherwise 0; a diverged run is a result."""
    if stop.signal is not None:
        return 128 + stop.signal
    failed = any(status.state in (State.FAILED, State.STOPPED) for status in statuses.values())
    return program.FAILED if failed else program.DONE


def show_status(arguments: Arguments, root: Path, manifest: Manifest) -> int:
    """Shows the states of the runs."""
    if arguments.flags.json:
        found = read_statuses(root, manifest)
        program.answer(arguments, {n: one.to_json() for n, one in found.items()}, "")
        return program.DONE
    from rich.console import Console

    show_statuses(root, manifest, Console(stderr=True))
    return program.DONE


def show_table(arguments: Arguments, root: Path) -> int:
    """Shows the results of the finished runs, and writes them as JSON, CSV and plots."""
    from seqmodels.sweeps.figures import draw_figures
    from seqmodels.sweeps.table import draw_table, summarize, write_tables

    manifest = need_manifest(root)
    statuses = read_statuses(root, manifest)
    summary = summarize(root, manifest, statuses, None)
    if any(point.results for point in summary.points):
        summary = summarize(root, manifest, statuses, find_baseline(root, manifest, summary))
    paths = [*write_tables(root, summary), *draw_figures(root, summary)]
    program.answer(arguments, summary.to_json(), draw_table(summary))
    if not arguments.flags.json:
        program.say(f"written to {root}: {', '.join(str(p.relative_to(root)) for p in paths)}")
    return program.DONE


def find_baseline(root: Path, manifest: Manifest, summary: Summary) -> tuple[str, float] | None:
    """The best baseline on the validation split; None where the runs have different data.

    It is found once, with the best run, and kept in `baseline.json`.
    """
    from seqmodels.evaluation.baselines import best_baseline
    from seqmodels.runs.opening import read_json
    from seqmodels.runs.workdir import write_json

    metric = summary.metric
    if len({read_json(root / n / "data.json")["fingerprint"] for n in _finished(summary)}) > 1:
        program.say("no baseline: the runs have different data")
        return None
    best = min(
        ((metric.cost(value), name) for p in summary.points for name, value in p.results.items())
    )[1]
    path = root / "baseline.json"
    fingerprint = read_json(root / best / "data.json")["fingerprint"]
    kept = read_json(path) if path.exists() else {}
    if (kept.get("fingerprint"), kept.get("metric")) != (fingerprint, metric.name):
        kept = {"fingerprint": fingerprint, "metric": metric.name}
        found = evaluate_baselines(root / best, further=metric.further)
        one = best_baseline(found, metric.name, lower_is_better=metric.lower_is_better)
        kept |= {} if one is None else {"name": one[0], "value": one[1]}
        write_json(path, kept)
    return (kept["name"], kept["value"]) if "value" in kept else None


def _finished(summary: Summary) -> list[str]:
    return [name for point in summary.points for name in point.results]


def evaluate_baselines(workdir: Path, *, further: bool) -> dict[str, object]:
    """Baselines on the validation split, as `evaluate` finds them.

    Args:
      further: whether the metric needs the whole evaluation.
    """
    from seqmodels.evaluation.evaluate import evaluate_run, make_trial
    from seqmodels.runs.opening import read_config
    from seqmodels.runs.run import load_run, open_data

    config = read_config(workdir)
    program.set_up_jax(config)
    opened = load_run(workdir)
    data = open_data(workdir, config, opened.task)
    if further:
        return evaluate_run(opened, data, "validation")
    if "train" not in data.splits:
        return {}
    trial = make_trial(opened.model, opened.params, data, "validation", config, opened.task)
    return {"baseline": opened.task.baseline(trial)}


COMMAND = Command(
    "sweep", DOC, run, define, ConfigSource.OPTIONAL, prefixes=("sweep", executors.PREFIX)
)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
