"""`make tour`: from counting to attention and back to recurrence, in ten stops.

    python -m experiments.tour [--only=STOP] [--root=runs/tour] [--page=docs]

Runs the commands of `experiments.tour_stops` through the front door, draws a picture of each stop,
and writes docs/tour.md with the numbers that were found. A command that is finished is not
repeated, so the same command resumes. --only runs one stop, after those whose runs it reads.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from experiments import evaluate, look, program, token_times, train
from experiments.arguments import Arguments, Command
from experiments.tour_pictures import PICTURES
from experiments.tour_stops import END, START, STOPS, Stop
from seqmodels.config.errors import UserError, suggest
from seqmodels.files import read_json, replacing, write_picture
from seqmodels.look.page import check_templates

COMMANDS = {one.COMMAND.name: one.COMMAND for one in (train, evaluate, look, token_times)}
ROOT = "runs/tour"
DONE = "tour.json"
WIDTH, DPI = 120, 90


def define(values: flags.FlagValues) -> None:
    string = flags.DEFINE_string
    string("root", ROOT, "folder for the work directories", flag_values=values)
    string("page", "docs", "folder of tour.md, tour.json and tour/*.png", flag_values=values)
    string("only", None, f"one of {', '.join(s.name for s in STOPS)}", flag_values=values)


def run(arguments: Arguments) -> int:
    check_templates()
    root, page = (Path(p).expanduser() for p in (arguments.flags.root, arguments.flags.page))
    stops = choose(arguments.flags.only)
    for number, stop in enumerate(stops, 1):
        program.say(f"\n{number} of {len(stops)}: {stop.title}")
        if status := run_commands(stop, root):
            return status
        draw(stop, root, page)
    if (missing := write_page(page)) and len(stops) == len(STOPS):
        raise AssertionError(missing)
    return program.DONE


def choose(only: str | None) -> list[Stop]:
    """The stop of --only after those that it needs; all of them where it is not given.

    Raises:
      UserError: a name that is not known.
    """
    stops = {stop.name: stop for stop in STOPS}
    if only is None:
        return list(STOPS)
    if only not in stops:
        raise UserError(f"--only={only}: must be one of {', '.join(stops)}{suggest(only, stops)}")
    wanted = [only]
    for name in wanted:
        wanted += [other for other in stops[name].needs if other not in wanted]
    return [stop for stop in STOPS if stop.name in wanted]


def run_commands(stop: Stop, root: Path) -> int:
    """Runs the commands of a stop that are not finished; returns the exit status."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / DONE
    done = read_json(path) if path.is_file() else {}
    for line in stop.commands:
        command = line.format(root=root)
        if command in done:
            program.say(f"finished before: {command}")
            continue
        program.say(f"$ {command}")
        started = os.times()
        if status := run_line(command):
            return status
        ended = os.times()
        done[command] = ended.user + ended.system - started.user - started.system
        with replacing(path) as partial:
            partial.write_text(json.dumps(done, indent=1), encoding="utf-8")
    return 0


def run_line(line: str) -> int:
    """Runs a line for a shell, `python launch.py NAME ..` or `python -m experiments.NAME ..`, in
    this process; returns the exit status."""
    python, _, name, *words = shlex.split(line)
    assert python == "python"
    return program.main(COMMANDS[name.rpartition(".")[2]], words)


def draw(stop: Stop, root: Path, page: Path) -> None:
    """Draws the picture of a stop, and adds its numbers to tour.json."""
    from seqmodels.benchmark.machine import processor, versions

    picture, numbers = PICTURES[stop.name](root)
    path = page / "tour" / f"{stop.name}.png"
    write_picture(path, lambda to: picture.savefig(to, dpi=DPI))
    program.say(f"drawn: {path}")
    done = read_json(root / DONE)
    seconds = sum(done[line.format(root=root)] for line in stop.commands)
    file = page / "tour.json"
    found = read_json(file) if file.is_file() else {}
    found |= {
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": processor(),
        "versions": versions(),
    }
    of_stops = found.setdefault("stops", {})
    of_stops[stop.name] = {"processor_seconds": round(seconds, 1), **numbers}
    with replacing(file) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def write_page(page: Path) -> list[str]:
    """Writes tour.md where all stops have numbers; returns the names of those that have none."""
    found = read_json(page / "tour.json")
    missing = [stop.name for stop in STOPS if stop.name not in found["stops"]]
    if not missing:
        with replacing(page / "tour.md") as partial:
            partial.write_text(make_page(found), encoding="utf-8")
        program.say(f"written to {page / 'tour.md'}")
    return missing


def make_page(found: Mapping[str, Any]) -> str:
    """The page, from the numbers of tour.json."""
    stops = found["stops"]
    minutes = sum(one["processor_seconds"] for one in stops.values()) / 60
    facts = {**found, "minutes": minutes, "jax": found["versions"]["jax"]}
    parts = [START.format(**facts)]
    for number, stop in enumerate(STOPS, 1):
        numbers = {**stops, **stops[stop.name]}
        lines = [line.format(root=ROOT) for line in stop.commands]
        parts += [
            f"## {number}. {stop.title}",
            stop.text.format(**numbers),
            "\n".join(f"    {fold(line)}" for line in lines),
            f"![{stop.alt}](tour/{stop.name}.png)",
            stop.seen.format(**numbers),
        ]
    blocks = "\n\n".join([*parts, END.format(**facts)]).split("\n\n")
    return "\n\n".join(map(flow, blocks)) + "\n"


def flow(block: str) -> str:
    """A paragraph in lines of the width of the pages; headings, code and pictures as they are."""
    if block.startswith(("#", "    ", "!")):
        return block
    text = re.sub(r"(\d)%", r"\1 %", " ".join(block.split()))
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def fold(line: str) -> str:
    """A line for a shell, continued on further lines where it is long."""
    words, lines = line.split(" --"), [""]
    for number, word in enumerate(words):
        piece = word if not number else f" --{word}"
        if lines[-1] and len(lines[-1]) + len(piece) > 96:
            lines.append("   ")
        lines[-1] += piece
    return " \\\n    ".join(lines)


COMMAND = Command("tour", __doc__ or "", run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
