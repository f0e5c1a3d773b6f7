"""What every result stands beside: an n-gram, or what the task asks of a guess without a look."""

from __future__ import annotations

import json
from typing import Any

import jax
import jax.numpy as jnp

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.tasks import LanguageModelConfig, MaskedLanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.data.pipeline import Data, TextData, cache_directory, make_task
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.evaluation.rows import find_split
from seqmodels.models.build import build_model
from seqmodels.runs.workdir import write_json
from seqmodels.tasks.language_model import LanguageModel
from seqmodels.types import Batch, Carry, Metrics, Params

# Part of the key of a cached baseline; to be raised where counting or smoothing changes.
_VERSION = 1


def baseline(data: Data, split: str, config: ExperimentConfig) -> dict[str, Any]:
    """Figures of a model that needs no training, fitted on the training split.

    For text that is an interpolated modified Kneser-Ney n-gram; else see `baseline` of the task.
    Its order is evaluation.baseline_order; for a run that is an n-gram itself, 1. It sees all of
    the text before a target (context `carry`). Beside a masked language model stands the unigram.

    Returns:
      model, order, loss, perplexity and, where the tokenizer loses nothing, bits_per_byte; beside
      a masked language model accuracy instead. An n-gram's are kept as JSON beside the token
      stores, by the data's fingerprint, the order and the split.
    """
    found = find_split(data, split)
    if not isinstance(data, TextData):
        return make_task(config).baseline(data.splits["train"], found, data.encoding)
    if isinstance(config.task, MaskedLanguageModelConfig):
        return _unigram_on_masked(data, split, config)
    order = 1 if config.model.kind == NgramConfig.kind else config.evaluation.baseline_order
    directory = cache_directory(config.data) / "baselines"
    path = directory / f"{data.fingerprint}-{split}-{order}-v{_VERSION}.json"
    if path.exists():
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass  # damaged: made anew
    model, params = count_ngram(data, order)
    settings = EvaluationConfig(context=EvaluationContext.CARRY, sequence_length=256)
    task = _Likelihood(LanguageModelConfig())
    figures = Evaluator(model, data, settings, task, seed=0)(params, split)
    names = ("loss", "perplexity", "bits_per_byte")
    result = {"model": NgramConfig.kind, "order": order}
    result |= {name: figures[name] for name in names if name in figures}
    directory.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    return result


def count_ngram(data: TextData, order: int) -> tuple[Any, Params]:
    """The Kneser-Ney n-gram of an order, counted on the training split, and its parameters."""
    model = build_model(NgramConfig(order=order), data.spec)
    return model, jax.tree.map(jnp.asarray, model.fit(data.splits["train"]))


class _Likelihood(LanguageModel):
    """Asks an n-gram for the probability of the target alone, and so tells no accuracy."""

    def forward(
        self,
        model: Any,
        params: Params,
        batch: Batch,
        carry: Carry | None,
        *,
        train: bool,
        key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array, Metrics, Carry | None]:
        variables, segments = {"params": params}, batch.segment_ids
        features, carry = model.apply(
            variables, batch.inputs, carry, segment_ids=segments, train=train
        )
        found = model.apply(variables, features, batch.targets, method="log_likelihood")
        weights = batch.loss_weights
        loss, weight = -jnp.where(weights > 0, found * weights, 0.0).sum(), weights.sum()
        return loss, weight, {"loss": (loss, weight), "accuracy": (0 * weight, weight)}, carry


def _unigram_on_masked(data: TextData, split: str, config: ExperimentConfig) -> dict[str, Any]:
    """The unigram's figures on the very tokens that the run is asked for: it needs no context."""
    model = build_model(NgramConfig(order=1), data.spec)
    params = jax.tree.map(jnp.asarray, model.fit(data.splits["train"]))
    task, seed = make_task(config), config.training.seed
    found = Evaluator(model, data, config.evaluation, task, seed)(params, split)
    names = ("loss", "perplexity", "accuracy")
    return {"model": NgramConfig.kind, "order": 1} | {name: found[name] for name in names}
