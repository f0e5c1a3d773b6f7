"""Record of what changed in a run's config when it was resumed. Imports no jax.

`changes.json` is written before `config.json`, so that a kill in between leaves a last entry that
the config does not have: it never came into force, and does not count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import flat_values, to_json
from seqmodels.runs.opening import read_config, read_json
from seqmodels.runs.workdir import resolved, write_json

RECORD = "changes.json"


def read_changes(workdir: Path, config: ExperimentConfig) -> list[dict[str, Any]]:
    """The changes of a run, in order.

    Args:
      config: that of the work directory.

    Returns:
      For each the last step before it, `after_step`, and `fields`: field -> [before, after].

    Raises:
      UserError: the record is damaged.
    """
    path = workdir / RECORD
    if not path.exists():
        return []
    entries = read_json(path).get("changes")
    if not isinstance(entries, list):
        raise UserError(f"{path}: cannot be read: it has no changes")
    values = flat_values(config)
    for field, (_, after) in entries[-1]["fields"].items() if entries else ():
        if values.get(field) != after:
            return entries[:-1]
    return entries


def change(workdir: Path, config: ExperimentConfig, step: int) -> ExperimentConfig:
    """Makes `config` that of the run from the step after `step` on, and records what it changes.

    Returns:
      The config until then.
    """
    before, after = read_config(workdir), resolved(config)
    entries = read_changes(workdir, before)
    # Where later checkpoints were lost, the steps from here on are taken again, as changed.
    entries = [{**entry, "after_step": min(entry["after_step"], step)} for entry in entries]
    old, new = flat_values(before), flat_values(after)
    if old != new:
        fields = {name: [old[name], new[name]] for name in new if old[name] != new[name]}
        entries.append({"after_step": step, "fields": fields})
    if entries:
        write_json(workdir / RECORD, {"changes": entries})
    write_json(workdir / "config.json", to_json(after))
    return before
