"""`launch.py benchmark`: measured times, ratios to other libraries, and comparisons of results."""

from __future__ import annotations

import dataclasses
import datetime
import os
import subprocess
from pathlib import Path
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command
from seqmodels.benchmark.suites import CASES, EFFORT, PEER_LIBRARIES, SUITES, Size
from seqmodels.config.errors import RunFailure, UserError, suggest

DOC = """Measures how fast this machine runs the models, next to other libraries.

Each implementation runs in a process of its own, and they take turns; a ratio is the peer's time
over ours. Compilation and warm-up do not count. Outputs are compared first: what differs is not
timed, and the exit status is 1. `benchmark compare FIRST SECOND` compares two files that --json
wrote. How to read the numbers: docs/performance.md.
"""
COMPARE = "compare"
_LOADED = 0.5
"""Load per core above which other work disturbs the measurement."""


def define(values: flags.FlagValues) -> None:
    string = flags.DEFINE_string
    string("suite", "all", f"some of {', '.join(SUITES)}, or all", flag_values=values)
    string(
        "peers",
        None,
        f"other libraries to run: some of {', '.join(PEER_LIBRARIES)}; none = those installed",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "size",
        "small",
        [size.value for size in Size],
        "size of the cases: small takes a few minutes on two cores, full takes hours",
        flag_values=values,
    )
    string(
        "json",
        None,
        "file for all numbers, next to which a roofline and a plot of scaling are drawn",
        flag_values=values,
    )
    string(
        "cases",
        None,
        "cases whose names contain one of these, with commas; none = all",
        flag_values=values,
    )
    flags.DEFINE_integer("seed", 0, "random seed of inputs and weights", 0, flag_values=values)
    string("action", None, f"{COMPARE}, or nothing to measure", flag_values=values)
    string("first", None, f"with {COMPARE}: the earlier file", flag_values=values)
    string("second", None, f"with {COMPARE}: the later file", flag_values=values)


def run(arguments: Arguments) -> int:
    asked = arguments.flags
    if asked.action is not None:
        if asked.action != COMPARE:
            near = suggest(asked.action, [COMPARE])
            raise UserError(f"benchmark {asked.action}: not known{near}")
        return compare(asked.first, asked.second)
    if asked.first is not None:
        raise UserError(f"{asked.first!r}: only benchmark {COMPARE} takes files")
    suites = choose("suite", asked.suite, SUITES)
    peers = choose("peers", asked.peers, PEER_LIBRARIES)
    to = None if asked.json is None else check_target(Path(asked.json).expanduser())
    cases = select(suites, Size(asked.size), asked.cases)
    warn_of_load()
    result = measure(suites, cases, peers, Size(asked.size), asked.seed)
    show(result)
    if to is not None:
        write(result, to)
    failed = [row for row in result["rows"] if row.get("problem") or row.get("right") is False]
    for row in failed:
        program.say(f"{row['suite']}, {row['case']}: {row.get('problem') or row['advice']}")
    return program.FAILED if failed else program.DONE


def choose(flag: str, text: str | None, known: tuple[str, ...]) -> list[str]:
    """The names of a flag, separated by commas; all where it is not given or `all`.

    Raises:
      UserError: a name that is not known, or none.
    """
    if text is None or text == "all":
        return list(known)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            near = suggest(name, [*known, "all"])
            raise UserError(f"--{flag}={text}: {name!r} is not known{near}")
    if not names:
        raise UserError(f"--{flag}={text}: names none of {', '.join(known)}")
    return list(dict.fromkeys(names))


def check_target(path: Path) -> Path:
    """The file to write; UserError where its folder is missing or it is a folder."""
    if path.is_dir():
        raise UserError(f"--json={path}: is a directory; name a file")
    if not path.parent.is_dir():
        raise UserError(f"--json={path}: the directory {path.parent} does not exist")
    return path


def select(suites: list[str], size: Size, parts: str | None) -> dict[str, list[Any]]:
    """The cases of each suite that has cases.

    Raises:
      UserError: one of `parts`, separated by commas, is part of no name.
    """
    found = {name: list(CASES[name](size)) for name in suites if name in CASES}
    if parts is None:
        return found
    names = [case.name for cases in found.values() for case in cases]
    for part in parts.split(","):
        if not any(part in name for name in names):
            near = suggest(part, names)
            raise UserError(f"--cases={parts}: no case has {part!r} in its name{near}")
    wanted = lambda case: any(part in case.name for part in parts.split(","))
    return {suite: [case for case in cases if wanted(case)] for suite, cases in found.items()}


def warn_of_load() -> None:
    """Warns where other work runs, which the ratios survive and the times do not."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > _LOADED * cores:
        program.say(
            f"warning: a load of {load:.1f} on {cores} cores: other work disturbs the measurement; "
            "libraries whose threads wait actively (PyTorch) suffer most"
        )


def measure(
    suites: list[str], cases: dict[str, list[Any]], peers: list[str], size: Size, seed: int
) -> dict[str, Any]:
    """Measures the suites; returns the result that --json writes."""
    from seqmodels.benchmark.measure import measure_case
    from seqmodels.benchmark.numerics_report import numerics_rows
    from seqmodels.benchmark.processes import Pool
    from seqmodels.benchmark.startup import measure_startup

    rows: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    started = datetime.datetime.now(datetime.UTC)
    with Pool() as pool:
        program.say("measuring the machine")
        found = pool.call("machine", {"quick": size is Size.SMALL}, seed)
        for suite in suites:
            program.say(f"{suite}")
            for case in cases.get(suite, []):
                peak = found["matrix_flops_per_second"]
                rows += measure_case(pool, case, EFFORT[size], peers, peak, program.say, seed)
            if suite == "startup":
                rows += measure_startup(size, program.say)
            if suite == "numerics":
                rows += numerics_rows(pool, size is Size.SMALL, seed)
    if not rows:
        raise RunFailure("nothing was measured: every case needs a library that is not installed")
    return {
        "machine": found,
        "commit": commit(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": (datetime.datetime.now(datetime.UTC) - started).total_seconds(),
        "load": [before, os.getloadavg()[0]],
        "size": size.value,
        "seed": seed,
        "effort": dataclasses.asdict(EFFORT[size]),
        "rows": rows,
    }


def commit() -> str | None:
    """The commit of the code, with + where files differ from it; None without git."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    here = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def show(result: dict[str, Any]) -> None:
    """Prints the machine and the tables."""
    from seqmodels.benchmark.report import tables

    machine = result["machine"]
    device, peaks = machine["device"], machine["matrix_flops_per_second"]
    program.say(
        f"{device['platform']} {device['processor']}, {len(machine['cores'] or [])} cores, "
        f"allocator {machine['allocator']}; "
        f"measured: {peaks['float32'] / 1e9:,.0f} GFLOP/s in float32, "
        f"{peaks['bfloat16'] / 1e9:,.0f} in bfloat16, {machine['bytes_per_second'] / 1e9:,.1f} GB/s"
    )
    program.say(
        f"cost of the measuring loop: {machine['loop_microseconds']:.1f} us per run; of a call of "
        f"the smallest program: {machine['dispatch_microseconds']:.0f} us (both are in the times)"
    )
    program.say(tables(result["rows"]))


def write(result: dict[str, Any], to: Path) -> None:
    """Writes the numbers and, with matplotlib, the figures."""
    from seqmodels.benchmark.report import write_figures
    from seqmodels.runs.workdir import write_json

    write_json(to, result)
    program.say(f"written to {to}")
    try:
        paths = write_figures(result, to.with_suffix(""))
    except ModuleNotFoundError as missing:
        program.say(f"no figures, because {missing.name} is not installed")
        return
    for path in paths:
        program.say(f"drawn in {path}")


def compare(first: str | None, second: str | None) -> int:
    """Prints how the second result differs from the first."""
    from rich.table import Table

    from seqmodels.benchmark.compare import compare_rows, differing_settings
    from seqmodels.benchmark.report import number, read_result

    if first is None or second is None:
        raise UserError(f"benchmark {COMPARE}: needs two files, FIRST and SECOND")
    one, other = (read_result(COMPARE, Path(p).expanduser()) for p in (first, second))
    rows, alone = compare_rows(one, other)
    if not rows:
        raise UserError(f"benchmark {COMPARE}: {first} and {second} have no case in common")
    for line in differing_settings(one, other):
        program.say(f"warning: {line}")
    table = Table("suite", "case", "peer", "by", "first", "second", "second is", "")
    for row in rows:
        values = (number(row["first"]), number(row["second"]), f"{number(row['change'])} x")
        names = (row["suite"], row["case"], row["peer"] or "", row["by"])
        table.add_row(*names, *values, row["verdict"])
    program.say(table)
    counts = {v: sum(row["verdict"] == v for row in rows) for v in ("faster", "slower", "same")}
    program.say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    if alone:
        program.say(f"in one file only: {', '.join(alone)}")
    return program.DONE


COMMAND = Command("benchmark", DOC, run, define, positionals=("action", "first", "second"))

if __name__ == "__main__":
    program.end(program.main(COMMAND))
