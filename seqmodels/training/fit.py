"""Replacement of the training loop for models that are fitted; their checkpoint is step 1."""

from __future__ import annotations

import time
from pathlib import Path

import jax
import jax.numpy as jnp

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.models.build import build_model
from seqmodels.protocols import Data, FittedModel, Task
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.progress import TrainingProgress
from seqmodels.runs.rows import METRICS, MetricsWriter
from seqmodels.types import TrainState


def fit(config: ExperimentConfig, task: Task, data: Data, workdir: Path) -> int:
    """Fits the model to the training split, evaluates it and saves it as step 1.

    Returns:
      The exit status, 0.
    """
    training = config.training
    model = build_model(config.model, data.spec, jnp.dtype(training.dtype.value))
    assert isinstance(model, FittedModel)
    best = config.task.metric(training.best_metric)
    with Checkpoints(
        workdir / "checkpoints", training.keep_checkpoints, best, writable=True
    ) as checkpoints:
        progress = TrainingProgress(1, 0, config.model.kind)
        try:
            if checkpoints.steps():
                try:
                    checkpoints.find("latest", "params")
                except UserError as error:
                    progress.say(f"fitting again: {error}")
                    checkpoints.delete_after(0)
                else:
                    progress.say("already fitted")
                    return 0
            started = time.monotonic()
            params = jax.tree.map(jnp.asarray, model.fit(data.splits["train"]))
            seconds = round(time.monotonic() - started, 3)
            progress.say(f"{config.model.kind}: fitted in {seconds:.1f} s")
            evaluate = Evaluator(model, data, config.evaluation, task, training.seed)
            result = evaluate(params, "validation")
            path = workdir / METRICS
            writer = MetricsWriter(path, 0, tensorboard=training.tensorboard)
            clock = {"input_wait": evaluate.input_wait, "seconds": seconds}
            row = {"step": 1, "split": "validation", **result, **clock}
            writer.write(row)
            writer.close()
            progress.show(row)
            progress.advance(1)
            state = TrainState(jnp.int32(1), params, (), jax.random.key(training.seed), {})
            checkpoints.save(1, state, {training.best_metric: float(result[training.best_metric])})
            checkpoints.wait()
        finally:
            progress.close()
    return 0
