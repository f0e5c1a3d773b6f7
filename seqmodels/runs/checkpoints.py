"""Checkpoints of a run. Only this file and commit_errors.py use orbax.

The checkpoint of step s is the directory `checkpoints/<s>` with the items `params`, `ema` (if a
moving average is kept) and `train` (the rest of the state), committed by a rename and then sealed.
"""

# Orbax accepts and returns more types than its annotations say.
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from seqmodels.config.errors import RunFailure, UserError, find_problem
from seqmodels.config.tasks import LOSS, Metric
from seqmodels.distributed import processes
from seqmodels.distributed.mesh import whole_sharding
from seqmodels.distributed.processes import decide, exchange, is_main
from seqmodels.runs.commit_errors import CommitErrors
from seqmodels.runs.seals import SealState, check_seal, seal_digest, write_seal
from seqmodels.types import TrainState

_policies = ocp.training.preservation_policies
_log = logging.getLogger(__name__)
_LOOK_S = 0.5  # interval between checks for a failure in this one of several processes

# Parts of a state that are separate items of a checkpoint, so that they can be loaded alone.
_SEPARATE = ("params", "ema")


def _items(state: TrainState) -> dict[str, Any]:
    items: dict[str, Any] = {n: getattr(state, n) for n in _SEPARATE}
    rest = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    items["train"] = {n: v for n, v in rest.items() if n not in _SEPARATE and v is not None}
    return {n: v for n, v in items.items() if v is not None}


def _flat_shapes(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (tuple(x.shape), str(x.dtype))
        for path, x in leaves
    }


def _whole(tree: Any) -> Any:
    where = whole_sharding()
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), tree)


class Checkpoints:
    """The checkpoints of one work directory.

    Args:
      directory: `WORKDIR/checkpoints`.
      keep_latest, best: the latest N are kept, and the best by this metric; a checkpoint saved
        without metrics is never the best.
      writable: False for readers, which may read while another process writes.
    """

    def __init__(
        self,
        directory: Path,
        keep_latest: int = 2,
        best: Metric = LOSS,
        *,
        writable: bool = False,
    ) -> None:
        self._directory = directory
        self._best = best
        self._sealing: Future[None] | None = None
        self._saving = -1  # the step of the current or last save
        self._sealer = ThreadPoolExecutor(1, "seal")
        keep = _policies.AnyPreservationPolicy(
            [
                _policies.LatestN(keep_latest),
                _policies.BestN(
                    get_metric_fn=lambda metrics: metrics[best.name],
                    n=1,
                    reverse=best.lower_is_better,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        self._orbax = None
        self._commit_errors: CommitErrors | None = None
        if writable:
            if processes.current().count > 1:
                self._commit_errors = CommitErrors()
            decide(self._remove_unreadable_metrics)
            self._orbax = ocp.training.Checkpointer(
                directory.absolute(),
                preservation_policy=keep,
                # The default policy silently skips a save while an earlier one still runs.
                save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
                cleanup_tmp_directories=True,
            )

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for a save in progress, seals it, and releases the directory."""
        try:
            self.wait()
        finally:
            # If a save failed only here, the process should end instead of waiting for the others.
            waits = self._own_failure() is None
            if self._commit_errors is not None:
                self._commit_errors.close()
            self._sealer.shutdown(wait=waits)
            if self._orbax is not None and waits:
                with contextlib.suppress(RunFailure), self._explain(-1):
                    self._orbax.close()  # raises the error of the last save again

    def wait(self) -> None:
        """Waits until the last save is committed and sealed.

        Raises:
          RunFailure: it could not be written.
        """
        if self._sealing is not None:
            sealing, self._sealing = self._sealing, None
            while self._commit_errors is not None and not sealing.done():
                if (error := self._own_failure()) is not None:
                    with self._explain(self._saving):
                        raise error
                futures.wait([sealing], timeout=_LOOK_S)
            sealing.result()

    def check(self) -> None:
        """Raises the error of the last save, if it is known to have failed."""
        failed = self._own_failure() is not None
        if self._sealing is not None and (failed or self._sealing.done()):
            self.wait()

    def _own_failure(self) -> BaseException | None:
        """The error of a save in this process that the others do not know about yet."""
        return None if self._commit_errors is None else self._commit_errors.error

    def save(self, step: int, state: TrainState, metrics: dict[str, float] | None) -> None:
        """Starts to save the state of `step`; returns when its arrays are copied.

        Args:
          metrics: metrics of the evaluation at this step, if there was one.
        """
        self._save(step, _items(state), metrics)

    def save_params(self, step: int, params: Any, *, ema: bool = False) -> None:
        """Starts to save, as step 0, the parameters that a run begins with.

        Args:
          ema: whether to save them as their moving average too.
        """
        self._save(step, {"params": params, "ema": params} if ema else {"params": params}, None)

    def _save(self, step: int, items: dict[str, Any], metrics: dict[str, float] | None) -> None:
        self.wait()
        assert self._orbax is not None
        with self._explain(step):
            response = self._orbax.save_checkpointables_async(step, items, metrics=metrics)
        if response is None:
            raise RuntimeError(f"orbax refused to save step {step}")

        def seal() -> None:
            with self._explain(step):
                response.result()
                if is_main():  # the wait returns once all processes have committed
                    write_seal(self._directory / str(step))

        self._saving, self._sealing = step, self._sealer.submit(seal)

    @contextlib.contextmanager
    def _explain(self, step: int) -> Iterator[None]:
        """Turns errors of a full or unwritable disk during a save into one line."""
        try:
            yield
        except Exception as error:
            problem = find_problem(error)
            if problem is None:
                raise
            kept = [int(p.name) for p in self._directory.glob("*") if p.name.isdecimal()]
            rest = f"resumes from step {max(kept)}, which is kept" if kept else "starts over"
            raise RunFailure(
                f"the checkpoint of step {step} could not be saved in {self._directory}: "
                f"{problem}; the same command {rest}"
            ) from None

    def steps(self) -> list[int]:
        """Committed steps in order; any of them may be damaged."""
        # Until it is committed, a save has another name.
        paths = [p for p in self._directory.glob("*") if p.name.isdecimal() and p.is_dir()]
        return sorted(int(path.name) for path in paths)

    def metrics(self) -> dict[int, dict[str, float]]:
        """Metrics of each step; steps without readable metrics are left out."""
        found = {step: _read_metrics(self._metrics_path(step)) for step in self.steps()}
        return {step: metrics for step, metrics in found.items() if metrics}

    def _metrics_path(self, step: int) -> Path:
        return self._directory / str(step) / "metrics" / "metrics"

    def _remove_unreadable_metrics(self) -> None:
        """Removes metrics that would keep orbax from opening; the seal still reports them."""
        for step in self.steps():
            if _read_metrics(self._metrics_path(step)) is None:
                self._metrics_path(step).unlink()

    def seal_state(self, step: int) -> tuple[SealState, list[str]]:
        """Whether a step is sealed, unsealed or damaged, and its damaged files."""
        state, files = decide(lambda: check_seal(self._directory / str(step)))
        return SealState(state), files

    def delete_after(self, step: int) -> None:
        """Deletes the steps after `step`, which a resumed run writes again."""
        assert self._orbax is not None
        known = {checkpoint.step for checkpoint in self._orbax.checkpoints}
        for later in [s for s in decide(self.steps) if s > step]:
            _log.warning("dropping the checkpoint of step %d: resuming from %d", later, step)
            if decide(lambda later=later: later in known):
                self._orbax.delete(later)
            elif is_main():
                shutil.rmtree(self._directory / str(later))

    def restore(self, abstract: TrainState, which: str | int = "latest") -> tuple[int, TrainState]:
        """Restores a full state onto the shardings of `abstract`; see `_first_usable`.

        Step 0 cannot be restored this way because it holds only parameters.
        """
        step, items = self._load(_items(abstract), which)
        separate = {n: items.get(n) for n in _SEPARATE}
        return step, TrainState(**separate, **items["train"])

    def restore_params(
        self, abstract: Any, which: str | int = "best", *, ema: bool = False
    ) -> tuple[int, Any]:
        """Restores only the parameters (their moving average if `ema`)."""
        name = "ema" if ema else "params"
        step, items = self._load({name: abstract}, which)
        return step, items[name]

    def shapes(self, step: int, item: str = "params") -> dict[str, tuple[tuple[int, ...], str]]:
        """Path -> (shape, dtype) of an item, read from its metadata."""
        return _flat_shapes(self._metadata(step, item))

    def _metadata(self, step: int, item: str) -> Any:
        tree = ocp.checkpointables_metadata(self._path(step)).metadata.get(item)
        if tree is None:  # orbax logs the cause
            raise ValueError(f"the metadata of {item} cannot be read")
        return tree

    def find(self, which: str | int, item: str) -> tuple[int, dict[str, tuple[int, ...]], str]:
        """Resolves `which`; returns the step, path -> shape of an item, and the digest."""

        def look(step: int) -> dict[str, Any]:
            state, _ = self.seal_state(step)
            metadata = self._metadata(step, item)
            if state is SealState.UNSEALED:  # only loading shows whether it is complete
                self._load_step(step, {item: _whole(metadata)})
            return {item: metadata}

        step, items = self._first_usable(which, look)
        shapes = {path: shape for path, (shape, _) in _flat_shapes(items[item]).items()}
        return step, shapes, seal_digest(self._directory / str(step))

    def restore_some(self, step: int, item: str, abstract: Any) -> Any:
        """Restores only the leaves of an item that the tree `abstract` has."""
        context = ocp.Context()
        context.pytree.loading.partial_load = True
        with context:
            return ocp.load_checkpointables(self._path(step), {item: abstract})[item]

    def abstract_params(self, which: str | int = "best") -> tuple[int, Any]:
        """Step, and the shapes of `params` as saved, without shardings (for fitted models)."""
        step, items = self._first_usable(
            which, lambda step: {"params": self._metadata(step, "params")}
        )
        return step, _whole(items["params"])

    def _path(self, step: int) -> Path:
        return (self._directory / str(step)).absolute()

    def _candidates(self, which: str | int) -> list[int]:
        """Steps in the order in which to try them."""
        steps = self.steps()
        if isinstance(which, int):
            if which not in steps:
                have = ", ".join(map(str, steps)) or "none"
                raise UserError(
                    f"no checkpoint of step {which} in {self._directory}; steps: {have}"
                )
            return [which]
        latest_first = steps[::-1]
        if which == "latest":
            return latest_first
        best = self._best
        costs = {s: best.cost(m[best.name]) for s, m in self.metrics().items()}
        # Stable: among equals, and among those without metrics, the latest is first.
        return sorted(latest_first, key=lambda s: costs.get(s, float("inf")))

    def _load(self, abstract: dict[str, Any], which: str | int) -> tuple[int, dict[str, Any]]:
        return self._first_usable(which, lambda step: self._load_step(step, abstract))

    def _first_usable(
        self, which: str | int, load: Callable[[int], dict[str, Any]]
    ) -> tuple[int, dict[str, Any]]:
        """Loads items of the first usable candidate.

        For `best` and `latest` a damaged step is skipped with a warning; a damaged step that was
        requested by number is refused.

        Raises:
          UserError: there is no checkpoint, all are damaged, or the requested one is.
        """
        damaged: list[str] = []
        tried = decide(lambda: self._candidates(which))
        for step in tried:
            state, files = self.seal_state(step)
            if state is SealState.DAMAGED:
                reason = f"step {step} is damaged ({_first(files)})"
            else:
                loaded, failure = {}, None
                try:
                    loaded = load(step)
                except UserError:
                    raise
                except Exception as error:
                    now = check_seal(self._directory / str(step))[0]
                    if state is now is SealState.SEALED:
                        raise
                    why = "was never sealed" if state is SealState.UNSEALED else "is being deleted"
                    failure = f"{why} and does not load ({error!r:.80})"
                failure = next(filter(None, exchange(failure)), None)  # from any process
                if failure is None:
                    return step, loaded
                reason = f"step {step} {failure}"
            if isinstance(which, int):
                raise UserError(f"checkpoint in {self._directory}: {reason}")
            if step not in self.steps():
                continue  # a run in progress has saved others and deleted it
            _log.warning("checkpoint in %s: %s; trying the previous one", self._directory, reason)
            damaged.append(reason)
        if set(decide(self.steps)).difference(tried):
            return self._first_usable(which, load)
        if damaged:
            raise UserError(
                f"no usable checkpoint in {self._directory}: all are damaged: " + "; ".join(damaged)
            )
        raise UserError(f"no checkpoint in {self._directory}: train first, or wait for a save")

    def _load_step(self, step: int, abstract: dict[str, Any]) -> dict[str, Any]:
        if step == 0 and "train" in abstract:
            raise UserError(
                f"in {self._directory} only the imported parameters of step 0 are usable; all "
                "later steps are damaged: delete them to start over"
            )
        for item in abstract:
            saved, wanted = self.shapes(step, item), _flat_shapes(abstract[item])
            if item in _SEPARATE and saved != wanted:
                names = [n for n in {**saved, **wanted} if saved.get(n) != wanted.get(n)]
                n = names[0]
                raise UserError(
                    f"checkpoint of step {step} does not fit the model: {item}/{n}: "
                    f"checkpoint {saved.get(n, 'nothing')}, model {wanted.get(n, 'nothing')}"
                    f" ({len(names)} differ)"
                )
        loaded = ocp.load_checkpointables(self._path(step), abstract)
        return {name: loaded[name] for name in abstract}


def _read_metrics(path: Path) -> dict[str, float] | None:
    """The metrics of a checkpoint (possibly empty); None if they cannot be read."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None
    return metrics if isinstance(metrics, dict) else None


def _first(files: Iterable[str]) -> str:
    files = list(files)
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return files[0] + more
