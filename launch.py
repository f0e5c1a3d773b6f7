"""Command line of the project: `python launch.py COMMAND [flags]`."""

from __future__ import annotations

import importlib
import sys

from seqmodels.config.errors import suggest

COMMANDS = {
    "list": "experiments.list_",
    "prepare": "experiments.prepare",
    "train": "experiments.train",
    "evaluate": "experiments.evaluate",
    "generate": "experiments.generate",
    "predict": "experiments.predict",
    "inspect": "experiments.inspect_",
    "look": "experiments.look",
    "report": "experiments.report",
    "batch": "experiments.batch",
    "music": "experiments.music",
    "sweep": "experiments.sweep",
    "verify": "experiments.verify",
    "bisect": "experiments.bisect_",
    "reproduce": "experiments.reproduce",
    "plan": "experiments.plan",
    "diagnose": "experiments.diagnose",
    "benchmark": "experiments.benchmark",
    "import": "experiments.import_",
    "export": "experiments.export",
}


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit status."""
    if argv and argv[0] in ("--help", "-h", "-help", "help"):
        print(_help())
        return 0
    if not argv or argv[0] not in COMMANDS:
        given = f"unknown command {argv[0]!r}" if argv else "a command is required"
        near = suggest(argv[0] if argv else "", COMMANDS)
        print(f"launch.py: {given}{near} (see --help)", file=sys.stderr)
        return 2
    from experiments.program import main as run

    return run(importlib.import_module(COMMANDS[argv[0]]).COMMAND, argv[1:])


def _help() -> str:
    lines = ["python launch.py COMMAND [flags]", ""]
    for name, module in COMMANDS.items():
        summary, _, _ = importlib.import_module(module).COMMAND.doc.strip().partition("\n")
        lines.append(f"  {name:<11}{summary}")
    return "\n".join([*lines, "", "python launch.py COMMAND --help lists a command's flags"])


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:  # raised before the command handles it
        status = 130
    from experiments.program import end

    end(status)
