"""The manifest of a sweep: what it was made of, compared with what is asked for.

`ROOT/sweep.json` holds the config, the swept fields, the runs, the digests of the code, the
versions of the libraries and the fingerprint of the data. Imports no jax.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import flat_values, from_json, show_value, to_json
from seqmodels.config.strict_json import to_text
from seqmodels.runs.opening import read_config, read_json
from seqmodels.runs.provenance import changed_names, code_digests, library_versions
from seqmodels.runs.workdir import (
    fixed_differences,
    has_steps,
    only_process,
    path_fields,
    refuse_other_run,
    resolved,
    saved_steps,
    write_json,
)
from seqmodels.sweeps.grid import Planned

MANIFEST, _LOCK = "sweep.json", ".lock"


@dataclasses.dataclass
class Manifest:
    """The parts that make a sweep.

    Attributes:
      config_name: as typed.
      config: JSON of the config without the swept fields' values.
      sweeps: swept field -> values as typed.
      num_random: number of points drawn, if any are.
      code, versions: see `provenance`.
      commit: of the code, if known.
      data: hash of the section `data` of a config -> fingerprint of the data.
      runs: name -> swept field -> value.
      former: the same for runs that no longer belong; their directories stay.
    """

    config_name: str
    config: dict[str, Any]
    sweeps: dict[str, str]
    num_random: int | None
    code: dict[str, str]
    versions: dict[str, str]
    commit: str | None
    data: dict[str, str]
    runs: dict[str, dict[str, Any]]
    former: dict[str, dict[str, Any]]

    @property
    def base(self) -> ExperimentConfig:
        return from_json(self.config)

    def planned(self, root: Path) -> list[Planned]:
        """The runs, with the configs of their directories."""
        return [Planned(n, values, read_config(root / n)) for n, values in self.runs.items()]


@dataclasses.dataclass(frozen=True)
class Change:
    """How a sweep differs from its manifest.

    Attributes:
      added, gone: names of runs.
      fields: lines of fields of the config that may change, `field: old -> new`.
    """

    added: list[str]
    gone: list[str]
    fields: list[str]

    def lines(self) -> Iterator[str]:
        """Yields a line for each kind of change."""
        if self.fields:
            yield f"changed: {'; '.join(self.fields)}"
        if self.added:
            yield f"added: {', '.join(self.added)}"
        if self.gone:
            yield (
                f"no longer part of the sweep: {', '.join(self.gone)}; their directories stay, and "
                "tables leave them out"
            )


def only_sweep(root: Path) -> contextlib.AbstractContextManager[None]:
    """Locks the folder of a sweep against others that start its runs, see `only_process`."""
    return only_process(root / _LOCK, f"--root={root}", "another process is running this sweep")


def make_manifest(
    config_name: str,
    config: ExperimentConfig,
    sweeps: Mapping[str, str],
    num_random: int | None,
    runs: Sequence[Planned],
    commit: str | None,
) -> Manifest:
    """Makes the manifest of a sweep as it is asked for now; its data are not known yet."""
    return Manifest(
        config_name,
        to_json(resolved(config)),
        dict(sweeps),
        num_random,
        code_digests(),
        library_versions(),
        commit,
        {},
        {run.name: run.values for run in runs},
        {},
    )


def read_manifest(root: Path) -> Manifest | None:
    """Reads the manifest of a folder; None if there is none.

    Raises:
      UserError: the folder holds something else, or the manifest is damaged.
    """
    path = root / MANIFEST
    if not path.exists():
        held = [p.name for p in root.iterdir() if p.name != _LOCK] if root.is_dir() else []
        if held:
            raise UserError(
                f"--root={root}: is not empty and has no {MANIFEST}: this is not a sweep"
            )
        return None
    values = read_json(path)
    try:
        return Manifest(**values)
    except TypeError as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def need_manifest(root: Path) -> Manifest:
    """The manifest of a folder that must have one; raises UserError if it does not."""
    if not root.is_dir():
        raise UserError(f"--root={root}: no such directory")
    manifest = read_manifest(root)
    if manifest is None:
        raise UserError(f"--root={root}: holds no sweep: it has no {MANIFEST}")
    return manifest


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Writes the manifest, completely or not at all."""
    write_json(root / MANIFEST, dataclasses.asdict(manifest))


def compare(root: Path, old: Manifest, new: Manifest, *, other_code: bool) -> Change:
    """Compares a sweep with its manifest.

    Args:
      other_code: whether runs of another code or other libraries may stand next to new ones.

    Raises:
      UserError: the config of the others, the code or a library is another one.
    """
    swept = {*old.sweeps, *new.sweeps}
    before, after = old.base, new.base
    step = max((s for name in old.runs for s in saved_steps(root / name)), default=0)
    name_of = lambda line: line.partition(":")[0]
    fixed = [x for x in fixed_differences(before, after, step) if name_of(x) not in swept]
    if fixed:
        raise UserError(
            f"--root={root} holds a sweep of another config, differing in {'; '.join(fixed)}; "
            "choose another --root"
        )
    started = any(has_steps(root / name) for name in old.runs)
    if started and not other_code:
        _refuse_other_code(root, old, new)
    moved = path_fields(before, after)
    one, two = flat_values(before), flat_values(after)
    fields = [
        f"{name}: {show_value(one[name])} -> {show_value(two[name])}"
        for name in one
        if name in two and one[name] != two[name] and name not in {*swept, *moved}
    ]
    added = [name for name in new.runs if name not in old.runs]
    return Change(added, [name for name in old.runs if name not in new.runs], fields)


def _refuse_other_code(root: Path, old: Manifest, new: Manifest) -> None:
    what = []
    if files := changed_names(old.code, new.code):
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        what.append(f"{files[0]}{more}")
    for name in changed_names(old.versions, new.versions):
        what.append(f"{name} {old.versions.get(name)} -> {new.versions.get(name)}")
    if what:
        raise UserError(
            f"--root={root}: its runs were trained by other code, differing in {', '.join(what)}: "
            "choose another --root, or --other_code to continue them with this one"
        )


def take_over(old: Manifest | None, new: Manifest) -> Manifest:
    """The manifest to write: the new one, with what the old one knows."""
    if old is None:
        return new
    left = {name: values for name, values in old.runs.items() if name not in new.runs}
    former = {name: x for name, x in {**old.former, **left}.items() if name not in new.runs}
    return dataclasses.replace(new, data={**old.data, **new.data}, former=former)


def data_key(config: ExperimentConfig) -> str:
    """A text that is the same for configs of the same data section."""
    text = to_text(to_json(resolved(config))["data"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_other_data(root: Path, manifest: Manifest, key: str, fingerprint: str) -> None:
    """Compares the data with those of the sweep's earlier runs, and notes new ones.

    Raises:
      UserError: the data have changed since.
    """
    known = manifest.data.setdefault(key, fingerprint)
    if known != fingerprint:
        raise UserError(
            f"--root={root}: its runs were trained on other data: fingerprint {known[:12]} -> "
            f"{fingerprint[:12]}; choose another --root"
        )


def claim_runs(root: Path, runs: Sequence[Planned]) -> None:
    """Claims the directory of each run, see `claim_run`, once none is refused.

    Raises:
      UserError: a directory holds a run of another config, or cannot be written.
    """
    for run in runs:
        refuse_other_run(root / run.name, run.config)
    for run in runs:
        claim_run(root / run.name, run.config)


def claim_run(workdir: Path, config: ExperimentConfig) -> None:
    """Writes the config of a run into its directory, where `train --workdir=DIR` reads it.

    A run that has steps keeps its own until it is resumed, see `change_words`.

    Raises:
      UserError: the directory cannot be written.
    """
    if has_steps(workdir):
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / "config.json", to_json(resolved(config)))
    except OSError as error:
        raise UserError(f"{workdir}: cannot be written: {error.strerror}") from None


def change_words(workdir: Path, config: ExperimentConfig) -> tuple[str, ...]:
    """Flags of `train` for what a run that has steps will change when it is resumed."""
    old, new = flat_values(read_config(workdir)), flat_values(resolved(config))
    changed = (name for name in new if old.get(name) != new[name])
    return tuple(f"--config.{name}={show_value(new[name])}" for name in changed)
