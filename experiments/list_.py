"""`launch.py list`: lists what is available."""

from __future__ import annotations

from experiments import program
from experiments.arguments import Arguments, Command
from seqmodels import registry
from seqmodels.config.files import config_names, config_summary

DOC = """Lists the configs, models, cells, tasks and datasets, one line each."""


def run(arguments: Arguments) -> int:
    configs = {}
    for name in config_names():
        summary, variants = config_summary(name)
        configs[name] = {"summary": summary, "variants": list(variants)}
    values = {"configs": configs}
    tables = {
        "models": registry.MODELS,
        "cells": registry.CELLS,
        "tasks": registry.TASKS,
        "datasets": registry.DATASETS,
    }
    for title, table in tables.items():
        values[title] = {name: {"summary": entry.summary} for name, entry in table.items()}
    lines = []
    for title, rows in values.items():
        lines.append(f"{title}:")
        for name, row in rows.items():
            variants = row.get("variants", [])
            lines.append(f"  {name:<24}{row['summary']}")
            if len(variants) > 1:
                lines.append(f"{'':<26}{name}:{' | '.join(variants)}")
    program.answer(arguments, values, "\n".join(lines))
    return program.DONE


COMMAND = Command("list", DOC, run, program.define_json)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
