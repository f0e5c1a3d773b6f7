"""Claim of a work directory by one run: its config, data and tokenizer. Imports no jax."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.finetuning import resolve_source
from seqmodels.config.serialization import differences, from_json, to_json
from seqmodels.config.strict_json import to_text
from seqmodels.files import replacing
from seqmodels.runs.opening import open_source, read_config_file, read_json

if TYPE_CHECKING:
    from seqmodels.protocols import Features

_log = logging.getLogger(__name__)

# No step already taken depends on how long a run is, when it reports and saves, and on what devices
# it computes. Where it finds its data may change too (what it finds there has a fingerprint).
MAY_CHANGE: tuple[str, ...] = (
    "training.num_steps",
    "training.log_every",
    "training.evaluate_every",
    "training.checkpoint_every",
    "training.keep_checkpoints",
    "training.early_stopping_patience",
    "training.tensorboard",
    "training.mesh_data",
    "training.mesh_fsdp",
    "training.mesh_tensor",
    "evaluation.batch_size",
    "evaluation.baseline_order",
)
# These decide only how the learning rate leaves its peak, and may change until it does.
_END_OF_SCHEDULE = ("optimizer.schedule", "optimizer.decay_steps", "optimizer.final_lr")

LOCK = ".lock"
IMPORTED, SPEC = "imported.json", "spec.json"
"""Files of imported runs: the origin of the parameters; the spec of the model, unless it reads and
predicts the text of its tokenizer."""

# Sections that imported parameters depend on. All else may change until the run's first step.
_TOKENIZER_FIELDS = ("tokenizer", "vocab_size", "inputs.tokenizer", "inputs.vocab_size")
_IMPORTED_KEEP = ("model.", "task.kind", "data.kind", *(f"data.{f}" for f in _TOKENIZER_FIELDS))


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, completely or not at all."""
    with replacing(path) as partial:
        partial.write_text(to_text(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def only_trainer(workdir: Path) -> contextlib.AbstractContextManager[None]:
    """Locks the work directory against other trainers, see `only_process`."""
    return only_process(workdir / LOCK, f"--workdir={workdir}", "another process is training there")


@contextlib.contextmanager
def only_process(file: Path, field: str, busy: str) -> Iterator[None]:
    """Locks a directory against other processes; the lock ends with its process.

    Args:
      file: of the lock; its directory is made.
      field: flag and value that name the directory, for messages.
      busy: message where another process has the lock.

    Raises:
      UserError: another process has it, or the directory cannot be written.
    """
    from filelock import FileLock, Timeout  # here, because `benchmark` runs without it

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Long enough to outlast a check by `has_trainer`.
        lock = FileLock(file, timeout=0.5)
        lock.acquire(poll_interval=0.01)
    except Timeout:
        raise UserError(f"{field}: {busy}") from None
    except OSError as error:
        raise UserError(f"{field}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def has_trainer(workdir: Path) -> bool:
    """Whether a process is training there; does not block others, and changes nothing."""
    import fcntl  # exists only on Unix

    try:
        file = os.open(workdir / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # the file system has no such locks
        return False
    finally:
        os.close(file)  # releases the lock too
    return False


def path_fields(*configs: ExperimentConfig) -> set[str]:
    """The fields that say where the data are."""
    return {f"data.{field}" for config in configs for field in config.data.paths()}


def fixed_differences(old: ExperimentConfig, new: ExperimentConfig, step: int) -> list[str]:
    """The lines of `differences` about fields on which the steps up to `step` depend."""
    free = {*MAY_CHANGE, *path_fields(old, new)}
    if step <= min(c.optimizer.last_step_at_peak(c.training.num_steps) for c in (old, new)):
        free.update(_END_OF_SCHEDULE)
    return [line for line in differences(old, new) if line.partition(":")[0] not in free]


def refuse_other_run(workdir: Path, config: ExperimentConfig) -> None:
    """Compares the config with the run in the directory; writes nothing.

    Raises:
      UserError: the directory holds checkpoints of another run; the message names the fields that
        differ.
    """
    if not has_checkpoints(workdir):
        return
    path = workdir / "config.json"
    if not path.exists():
        raise UserError(f"--workdir={workdir} holds checkpoints but no config.json")
    step = max(saved_steps(workdir))
    changed = fixed_differences(read_config_file(path), resolved(config), step)
    if not has_steps(workdir):
        changed = [line for line in changed if line.startswith(_IMPORTED_KEEP)]
    if changed:
        raise UserError(
            f"--workdir={workdir} holds a run of another config, differing in " + "; ".join(changed)
        )
    if not config.model.fitted and config.training.num_steps < step:
        raise UserError(
            f"--config.training.num_steps={config.training.num_steps}: the run in "
            f"--workdir={workdir} has taken {step} steps"
        )


def claim(workdir: Path, config: ExperimentConfig) -> None:
    """Writes the config of the run, unless it has steps: `changes.change` does once it resumes.

    Raises:
      UserError: see `refuse_other_run`.
    """
    refuse_other_run(workdir, config)
    if config.model.fitted or not has_steps(workdir):
        write_json(workdir / "config.json", to_json(resolved(config)))


def resolved(config: ExperimentConfig) -> ExperimentConfig:
    """The same config with absolute paths, so that it works from anywhere."""
    values = to_json(config)
    for field in config.data.paths():
        *sections, name = field.split(".")
        section = values["data"]
        for part in sections:
            section = section[part]
        if section[name] is not None:
            section[name] = os.path.abspath(os.path.expanduser(section[name]))
    if values["training"]["init_from"] is not None:
        values["training"]["init_from"] = resolve_source(values["training"]["init_from"])
    return from_json(values)


def saved_steps(workdir: Path) -> list[int]:
    """The steps of the checkpoints, in order; 0 holds imported parameters."""
    names = (path.name for path in (workdir / "checkpoints").glob("*"))
    return sorted(int(name) for name in names if name.isdecimal())


def has_checkpoints(workdir: Path) -> bool:
    """Whether a run has saved anything; one that has not can be started over."""
    return bool(saved_steps(workdir))


def has_steps(workdir: Path) -> bool:
    """Whether a run has saved a step of its own."""
    return any(saved_steps(workdir))


def find_start(
    config: ExperimentConfig, workdir: Path | None
) -> tuple[Path, str | int, ExperimentConfig] | None:
    """Directory, step and config of the run that a new run starts from; reads no checkpoints.

    Returns:
      None if `training.init_from` is none, or if the run has steps of its own.

    Raises:
      UserError: see `open_source`; or the directory holds imported parameters to start with.
    """
    init_from = config.training.init_from
    if init_from is None or (workdir is not None and has_steps(workdir)):
        return None
    if workdir is not None and has_checkpoints(workdir):
        raise UserError(
            f"--init_from={init_from}: --workdir={workdir} holds imported parameters to start with"
        )
    return open_source(init_from, workdir)


def kept_features(workdir: Path, config: ExperimentConfig) -> Features | None:
    """The features there that the data do not make; None where they do.

    They came with imported parameters, or, by tokenizer=run, from another run, which a run that is
    resumed no longer needs.

    Raises:
      UserError: they are damaged, or the parameters are of a model that no task feeds.
    """
    imported = (workdir / IMPORTED).is_file()
    kinds = [settings.tokenizer for settings in config.data.tokenizers().values()]
    if not has_checkpoints(workdir) or not (imported or TokenizerKind.RUN in kinds):
        return None
    from seqmodels.data.pipeline import read_features

    refuse_other_outputs(workdir)
    return read_features(config, workdir)


def refuse_other_outputs(workdir: Path) -> None:
    """Refuses a run whose model none of our data sets and tasks can feed.

    Raises:
      UserError: the model is such a one; the message has its inputs and outputs.
    """
    path = workdir / SPEC
    if path.is_file():
        spec = read_json(path)
        reads, writes = (
            ", ".join(f"{name}={value}" for name, value in spec[part].items())
            for part in ("inputs", "outputs")
        )
        raise UserError(
            f"--workdir={workdir}: no task has a model of inputs ({reads}) and outputs "
            f"({writes}); seqmodels.load_run returns the model and its parameters"
        )


def claim_data(workdir: Path, description: dict[str, Any]) -> None:
    """Stores the description of the run's data, or compares with the stored one.

    Args:
      description: fingerprint of the tokenised data, and sizes for the user.

    Raises:
      UserError: the run in `workdir` was trained on other data, or the description is damaged.
    """
    path = workdir / "data.json"
    if not path.exists() or not has_steps(workdir):
        if has_steps(workdir):
            _log.warning("%s is missing: cannot check that these are the data of the run", path)
        write_json(path, description)
        return
    kept = read_json(path)
    if "fingerprint" not in kept:
        raise UserError(f"{path}: cannot be read: it has no fingerprint")
    if kept["fingerprint"] != description["fingerprint"]:
        changed = [k for k in description if k != "fingerprint" and kept.get(k) != description[k]]
        raise UserError(
            f"--workdir={workdir} was trained on other data: fingerprint "
            f"{kept['fingerprint'][:12]} -> {description['fingerprint'][:12]}"
            + "".join(f"; {k} {kept.get(k)} -> {description[k]}" for k in changed)
        )
