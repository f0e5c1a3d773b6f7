"""Figures of a model on a split, next to its baseline; and the file that keeps them."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.training import EvaluationConfig
from seqmodels.data.prefetcher import Prefetcher
from seqmodels.decoding.prefill import position_limit
from seqmodels.distributed.mesh import batch_sharding
from seqmodels.distributed.processes import is_main
from seqmodels.protocols import Data, Features, Model, Rows, Task, Trial
from seqmodels.runs.clock import wait_share
from seqmodels.runs.run import Run
from seqmodels.runs.workdir import write_json
from seqmodels.types import Batch, Carry, Metrics, Params

Progress = Callable[[int, int], None]
"""Called with the batches done and all of them."""


class Evaluator:
    """Evaluates parameters of one model on the splits of one data set.

    What is compiled stays with the evaluator: build one, and call it as often as needed.

    Args:
      model, task: as in training; only law 1 and `task.forward` are used.
      config: context, window and rows.
      seed: of the crops, and of what the task does to rows.

    Attributes:
      input_wait: share of the last evaluation's time in which the devices had nothing to do,
        because their batch was not there; from 0 to 1.

    Raises:
      UserError: context `carry`, or a window longer than its positions, for a bounded model.
    """

    def __init__(
        self, model: Model, data: Data, config: EvaluationConfig, task: Task, seed: int
    ) -> None:
        data.check_model(model.config.kind, position_limit(model), config)
        self._model, self._data, self._config = model, data, config
        self._task, self._seed = task, seed
        self.input_wait = 0.0

        def forward(
            params: Params, carry: Carry, batch: Batch, mesh: Mesh | None
        ) -> tuple[Metrics, Carry]:
            _, _, metrics, carry = task.forward(model, params, batch, carry, train=False, key=None)
            return _whole(metrics, mesh), _over_rows(carry, mesh)

        def start(params: Params, rows: int, mesh: Mesh | None) -> Carry:
            length = config.sequence_length
            carry = model.apply({"params": params}, rows, length, method="initial_carry")
            return _over_rows(carry, mesh)

        self._forward = jax.jit(forward, donate_argnums=1, static_argnums=3)
        self._start = jax.jit(start, static_argnums=(1, 2))

    def with_seed(self, seed: int) -> Evaluator:
        """The same for runs of another seed, with which it shares what is compiled."""
        other = copy.copy(self)
        other._seed = seed
        return other

    def __call__(
        self, params: Params, split: str, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Evaluates one split.

        Args:
          params: arrays, on one device or sharded over a mesh.

        Returns:
          what the task makes of the sums (loss and num_targets among it); where the data are text,
          context, and with `carry` num_streams.

        Raises:
          UserError: no such split, or one without a target.
        """
        self._data.check_split(split)
        rows = self._data.rows(split, self._config, self._seed)
        sums: dict[str, np.ndarray] = {}
        pending: Metrics | None = None
        for done, metrics in enumerate(self._run(params, rows), 1):
            # The host adds up the batch before, in float64, while the device is at this one.
            _add(sums, pending)
            pending = metrics
            if progress is not None:
                progress(done, rows.num_batches)
        _add(sums, pending)
        # Pairs of numbers, or of arrays.
        totals = {name: tuple(pair.tolist()) for name, pair in sums.items()}
        summary = self._task.summarize(totals, rows.num_bytes)
        facts = {"context": rows.context, "num_streams": rows.num_streams}
        return summary | {name: fact for name, fact in facts.items() if fact is not None}

    def _run(self, params: Params, rows: Rows) -> Iterator[Metrics]:
        mesh = _mesh_of(params)
        shards = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
        carry, batches, started = None, rows.batches(shards), time.monotonic()

        def make(number: int) -> tuple[Batch, bool] | None:
            batch, starts = next(batches, (None, False))
            return None if batch is None else (_place(batch, mesh), starts)

        prefetcher = Prefetcher(make)
        try:
            for number in itertools.count():
                made = prefetcher.take(number)
                if made is None:
                    break
                batch, starts = made
                if rows.num_streams is not None and starts:
                    carry = self._start(params, len(batch.inputs), mesh)
                metrics, carry = self._forward(params, carry, batch, mesh)
                prefetcher.start(number + 1, metrics)
                yield metrics
        finally:
            prefetcher.close()
            self.input_wait = wait_share(prefetcher.waited, time.monotonic() - started)


def _add(sums: dict[str, np.ndarray], metrics: Metrics | None) -> None:
    """Adds (sum, weight) pairs of a batch on the host; waits for the device."""
    if metrics is not None:
        for name, pair in jax.device_get(metrics).items():
            sums[name] = sums.get(name, 0.0) + np.asarray(pair, np.float64)


def _mesh_of(params: Params) -> Mesh | None:
    """The mesh of more than one device that the parameters live on, if any."""
    for leaf in jax.tree.leaves(params):
        sharding = getattr(leaf, "sharding", None)
        mesh = sharding.mesh if isinstance(sharding, NamedSharding) else None
        if isinstance(mesh, Mesh) and mesh.size > 1:
            return mesh
    return None


def _place(batch: Batch, mesh: Mesh | None) -> Batch:
    """Splits the rows over the mesh; each process has made all, and places those of its devices."""
    if mesh is None:
        return batch
    sharding = batch_sharding(mesh, stacked=False)
    return jax.tree.map(
        lambda x: jax.make_array_from_callback(x.shape, sharding, lambda at: x[at]), batch
    )


def _over_rows(carry: Carry, mesh: Mesh | None) -> Carry:
    """Inside jit: keeps the rows of a carry where those of the batches are."""
    if mesh is None or carry is None:
        return carry
    return jax.lax.with_sharding_constraint(carry, batch_sharding(mesh, stacked=False))


def _whole(metrics: Metrics, mesh: Mesh | None) -> Metrics:
    """Inside jit: sums are whole everywhere, so that each process can read them."""
    if mesh is None:
        return metrics
    return jax.lax.with_sharding_constraint(metrics, NamedSharding(mesh, PartitionSpec()))


def evaluate_run(
    run: Run,
    data: Data,
    split: str,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluates a run on a split, next to its baseline.

    Args:
      data: opened with the run's features.

    Returns:
      step, split, what `Evaluator` returns, and, in process 0, `baseline` where the data have a
      training split, and what else the task finds (`Task.evaluate_more`); for `write_result`.
    """
    if run.features is None or to_json(data.features) != to_json(run.features):
        raise ValueError("the data must be opened with the run's features")
    config = run.config
    evaluator = Evaluator(run.model, data, config.evaluation, run.task, config.training.seed)
    result = evaluator(run.params, split, progress)
    if is_main():
        trial = make_trial(run.model, run.params, data, split, config, run.task)
        if "train" in data.splits:
            result["baseline"] = run.task.baseline(trial)
        result |= run.task.evaluate_more(dataclasses.replace(trial, figures=result))
    return {"step": run.step, "split": split, **result}


def draw_run(
    run: Run, data: Data, split: str, figures: Mapping[str, Any], stem: Path
) -> list[Path]:
    """Draws what `evaluate_run` has found, and returns the paths of the pictures. For process 0.

    Args:
      stem: folder, and the beginning of the names of the files.
    """
    trial = make_trial(run.model, run.params, data, split, run.config, run.task)
    return run.task.draw(dataclasses.replace(trial, figures=figures), stem)


def to_json(features: Features) -> dict[str, Any]:
    """Features by role, as JSON."""
    return {role: feature.to_json() for role, feature in features.items()}


def make_trial(
    model: Model,
    params: Params,
    data: Data,
    split: str,
    config: ExperimentConfig,
    task: Task,
) -> Trial:
    """The `Trial` from which a task finds baselines and the figures that the loss does not give."""
    given = task

    def evaluate(
        model: Model,
        params: Params,
        *,
        task: Task | None = None,
        evaluation: EvaluationConfig | None = None,
    ) -> dict[str, Any]:
        settings = config.evaluation if evaluation is None else evaluation
        evaluator = Evaluator(model, data, settings, task or given, config.training.seed)
        return evaluator(params, split)

    return Trial(model, params, data.features, data, split, config, evaluate)


def write_result(
    workdir: Path, result: dict[str, Any], overrides: dict[str, str | None] | None = None
) -> Path:
    """Writes `evaluations/<split>-<step>.json`, whole or not at all, and returns its path.

    Args:
      result: of `evaluate_run`.
      overrides: fields of the run's config that were set otherwise, with their texts. Figures of
        other data or of another context must not pass for those of the run: they go to
        `<split>-<step>-<hash of the overrides>.json`, with the key `overrides`.

    Raises:
      UserError: it cannot be written.
    """
    name = f"{result['split']}-{result['step']}"
    if overrides:
        result = {**result, "overrides": overrides}
        text = json.dumps(overrides, sort_keys=True)
        name += f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    path = workdir / "evaluations" / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path
