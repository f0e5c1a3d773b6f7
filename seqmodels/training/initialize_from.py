"""Start of a run with another run's parameters: which of them fit, and a record of the start."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.finetuning import resolve_source
from seqmodels.data.features.saved import find_tokenizer
from seqmodels.protocols import Features
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.paths import flat, nested
from seqmodels.runs.workdir import find_start, write_json
from seqmodels.types import Params

RECORD = "init_from.json"
_NAMED = 5

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Match:
    """The parameters of a source and of a model, compared by path and shape.

    Attributes:
      taken: paths that are in both with the same shape.
      fresh: path in the model -> its shape there and in the source, where None means absent.
      left: path in the source that the model does not have -> its shape.
    """

    taken: tuple[str, ...]
    fresh: dict[str, tuple[Shape, Shape | None]]
    left: dict[str, Shape]

    def lines(self) -> list[str]:
        """Up to two lines about parameters that are not taken, each with up to 5 names."""
        fresh = [
            f"{path} (here {_show(here)}, source {'none' if there is None else _show(there)})"
            for path, (here, there) in self.fresh.items()
        ]
        left = [f"{path} ({_show(shape)})" for path, shape in self.left.items()]
        titles = {"newly initialised": fresh, "of the source not used": left}
        return [f"{len(names)} {title}: {_some(names)}" for title, names in titles.items() if names]


@dataclasses.dataclass(frozen=True)
class StartingPoint:
    """A checkpoint to start from, whose parameters have not been read yet.

    Attributes:
      init_from: the value in the config, in full.
      directory, step: its run and step.
      item: `ema` if the run kept a moving average, as in evaluation; otherwise `params`.
      digest: digest of the checkpoint's checksums.
      match: comparison of its parameters with the model's.
      notes: warnings for the user.
    """

    init_from: str
    directory: Path
    step: int
    item: str
    digest: str
    match: Match
    notes: list[str]

    def load(self, abstract: Params) -> dict[str, jax.Array]:
        """Reads the matching parameters, path -> array, onto the shardings of `abstract`."""
        leaves = flat(abstract)
        wanted = nested({path: leaves[path] for path in self.match.taken})
        with Checkpoints(self.directory / "checkpoints") as checkpoints:
            return flat(checkpoints.restore_some(self.step, self.item, wanted))

    def lines(self) -> list[str]:
        """Lines for the user about what is taken."""
        total = len(self.match.taken) + len(self.match.fresh)
        average = ", their moving average" if self.item == "ema" else ""
        head = f"{len(self.match.taken)} of {total} parameters from {self.directory}, "
        lines = [f"{head}step {self.step}{average}", *self.match.lines(), *self.notes]
        return [f"init_from: {line}" for line in lines]

    def record(self, workdir: Path) -> None:
        """Records the starting point in the work directory."""
        fresh = {path: [here, there] for path, (here, there) in self.match.fresh.items()}
        values = {
            "init_from": self.init_from,
            "step": self.step,
            "item": self.item,
            "digest": self.digest,
            "taken": self.match.taken,
            "fresh": fresh,
            "left": self.match.left,
        }
        write_json(workdir / RECORD, values)


def compare(source: dict[str, Shape], model: dict[str, Shape]) -> Match:
    """Compares shapes by path."""
    return Match(
        taken=tuple(path for path, shape in model.items() if source.get(path) == shape),
        fresh={p: (s, source.get(p)) for p, s in model.items() if source.get(p) != s},
        left={path: shape for path, shape in source.items() if path not in model},
    )


def find_starting_point(
    config: ExperimentConfig, workdir: Path | None, abstract: Params, features: Features
) -> StartingPoint | None:
    """Finds the checkpoint that a new run starts from; reads no array and writes nothing.

    A run that was killed before its first checkpoint starts from the recorded checkpoint again,
    even if the source has another best one by now.

    Args:
      workdir: work directory of the run; None if there is none yet.
      abstract: shapes of its parameters.
      features: of its data.

    Returns:
      None if `training.init_from` is none, or if the run has checkpoints of its own.

    Raises:
      UserError: the source is not a run, is fitted, is the run itself, has no usable checkpoint or
        no parameter that fits, or its checkpoint is not that of the first start.
    """
    text, found = config.training.init_from, find_start(config, workdir)
    if text is None or found is None:
        return None
    directory, which, there = found
    init_from = resolve_source(text)
    record = _read_record(workdir, init_from)
    item = "params" if there.training.ema_decay is None else "ema"
    try:
        with Checkpoints(
            directory / "checkpoints", best=there.task.metric(there.training.best_metric)
        ) as checkpoints:
            wanted = which if record is None else record["step"]
            step, shapes, digest = checkpoints.find(wanted, item)
    except UserError as error:
        raise UserError(f"--init_from={text}: {error}{_begun(workdir, record)}") from None
    if record is not None and record["digest"] != digest:
        raise UserError(
            f"--init_from={text}: the checkpoint of step {step} has changed"
            + _begun(workdir, record)
        )
    match = compare(shapes, {path: tuple(x.shape) for path, x in flat(abstract).items()})
    if not match.taken:
        lines = "; ".join(match.lines())
        raise UserError(f"--init_from={text}: no parameter of step {step} fits: {lines}")
    return StartingPoint(
        init_from, directory, step, item, digest, match, _notes(directory, features)
    )


def _read_record(workdir: Path | None, init_from: str) -> dict[str, Any] | None:
    """The record of the first start, if it was from the same source."""
    path = None if workdir is None else workdir / RECORD
    if path is None or not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if record["init_from"] == init_from else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error!r}; delete it to start over") from None


def _begun(workdir: Path | None, record: dict[str, Any] | None) -> str:
    if record is None or workdir is None:
        return ""
    path = workdir / RECORD
    return f"; the run started from its step {record['step']}: delete {path} to start over"


def _notes(directory: Path, features: Features) -> list[str]:
    """Tables of one shape may belong to vocabularies in which a row means another symbol."""
    inputs = features.get("inputs")
    ours, theirs = None if inputs is None else inputs.tokenizer, find_tokenizer(directory)
    if ours is None or theirs is None:
        return []
    if theirs.vocab_size != ours.vocab_size or theirs.to_json() == ours.to_json():
        return []
    return [
        f"warning: both vocabularies have {ours.vocab_size} symbols, but different ones: rows of "
        "the embedding are used for other symbols"
    ]


def _show(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
