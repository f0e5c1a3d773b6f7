"""Lock of a work directory by a run of one or several processes. Imports no jax."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import differences, from_json, to_json
from seqmodels.distributed import processes
from seqmodels.runs.workdir import claim, claim_data, only_trainer, path_fields

if TYPE_CHECKING:
    from seqmodels.protocols import Data

_MARK = ".mark"
_LOOKS, _LOOK_S = 50, 0.1  # a shared file system may show another machine's files with a delay


@contextlib.contextmanager
def hold(workdir: Path, config: ExperimentConfig, data: Data) -> Iterator[None]:
    """Makes the work directory that of this run and its data, and keeps other runs away.

    Process 0 does so; any other processes check that they belong to the same run.

    Raises:
      UserError: see `only_trainer`, `claim` and `claim_data`; or a process has another config,
        other data or another file system than process 0.
    """
    group = processes.current()
    fingerprint = data.description()["fingerprint"]
    with contextlib.ExitStack() as stack:

        def take() -> dict[str, Any]:
            stack.enter_context(only_trainer(workdir))
            claim(workdir, config)
            claim_data(workdir, data.description())
            data.save_features(workdir / data.features_file)
            mark = secrets.token_hex(8)
            if group.count > 1:
                (workdir / _MARK).write_text(mark)
                stack.callback((workdir / _MARK).unlink, missing_ok=True)
            return {"config": to_json(config), "fingerprint": fingerprint, "mark": mark}

        first = group.decide(take)
        own = {"config": to_json(config), "fingerprint": fingerprint}
        problems = group.exchange(_compare(workdir, own, first) if group.count > 1 else None)
        for index, problem in enumerate(problems):
            if problem is not None:
                raise UserError(f"process {index} {problem}")
        yield


def _compare(workdir: Path, own: dict[str, Any], first: dict[str, Any]) -> str | None:
    """Why this process cannot take part in the run of process 0; None if it can."""
    configs = from_json(first["config"]), from_json(own["config"])
    paths = path_fields(*configs)
    changed = [line for line in differences(*configs) if line.partition(":")[0] not in paths]
    if changed:
        return f"has another config than process 0, differing in {'; '.join(changed)}"
    if own["fingerprint"] != first["fingerprint"]:
        return (
            "has other data than process 0: fingerprint "
            f"{first['fingerprint'][:12]} -> {own['fingerprint'][:12]}"
        )
    for _ in range(_LOOKS):
        with contextlib.suppress(OSError):
            if (workdir / _MARK).read_text() == first["mark"]:
                return None
        time.sleep(_LOOK_S)
    return f"does not see the files of process 0 in --workdir={workdir}: they must share it"
