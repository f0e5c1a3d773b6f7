"""Counting n-grams: the baseline of language models."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import jax
import jax.numpy as jnp

from seqmodels.config.models import NgramConfig
from seqmodels.config.strict_json import to_text
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationContext
from seqmodels.data.store import cache_directory
from seqmodels.files import replacing
from seqmodels.models.build import build_model
from seqmodels.protocols import Data, FittedModel, Model, Trial
from seqmodels.tasks.scores import RATES, summarize_tokens
from seqmodels.tasks.task import Task
from seqmodels.types import Batch, Carry, Metrics, Params, VocabOutput

# Part of the key of a cached baseline; to be raised where counting or smoothing changes.
_VERSION = 2


def kneser_ney(trial: Trial) -> dict[str, Any]:
    """Figures of an interpolated modified Kneser-Ney n-gram, counted on the training split.

    Its order is evaluation.baseline_order; for a run that is an n-gram itself, 1. It sees all of
    the text before a target (context `carry`).

    Returns:
      model, order, loss, perplexity (also without <unk>, where there are any) and, where the
      tokenizer loses nothing, bits_per_byte. They are kept as JSON in the cache, by the data's
      fingerprint, the order and the split.
    """
    config, data = trial.config, trial.data
    order = 1 if config.model.kind == NgramConfig.kind else config.evaluation.baseline_order
    directory = cache_directory(config.data) / "baselines"
    path = directory / f"{data.fingerprint}-{trial.split}-{order}-v{_VERSION}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        pass  # not there, or damaged: counted again
    model, params = count_ngram(data, order)
    settings = dataclasses.replace(
        config.evaluation,
        context=EvaluationContext.CARRY,
        sequence_length=256,
        batch_size=32,
        num_streams=32,  # exact, because no n-gram reaches beyond their warm-up
    )
    task = _Likelihood(LanguageModelConfig())
    figures = trial.evaluate(model, params, task=task, evaluation=settings)
    names = (*RATES, "bits_per_byte")
    result = {"model": NgramConfig.kind, "order": order}
    # It is asked for the probability of the targets alone, so that it has no accuracy.
    result |= {n: figures[n] for n in names if n in figures and n != "accuracy"}
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(to_text(result), encoding="utf-8")
    return result


def unigram(trial: Trial) -> dict[str, Any]:
    """Figures of the unigram on the very targets that the run is asked for: it needs no context."""
    model, params = count_ngram(trial.data, 1)
    found = trial.evaluate(model, params)
    return {"model": NgramConfig.kind, "order": 1} | {n: found[n] for n in RATES if n in found}


def count_ngram(data: Data, order: int) -> tuple[Model, Params]:
    """The Kneser-Ney n-gram of an order, counted on the training split, and its parameters."""
    model = build_model(NgramConfig(order=order), data.spec)
    assert isinstance(model, FittedModel)
    return model, jax.tree.map(jnp.asarray, model.fit(data.splits["train"]))


class _Likelihood(Task):
    """Computes only the n-gram's probability of the target, and so has no accuracy."""

    metric_names = ("loss",)

    def forward(
        self,
        model: Model,
        params: Params,
        batch: Batch,
        carry: Carry | None,
        *,
        train: bool,
        key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array, Metrics, Carry | None]:
        del key
        variables, segments = {"params": params}, batch.segment_ids
        features, carry = model.apply(
            variables, batch.inputs, carry, segment_ids=segments, train=train
        )
        found = model.apply(variables, features, batch.targets, method="log_likelihood")
        weights, outputs = batch.loss_weights, model.spec.outputs
        total = lambda weights: (-jnp.where(weights > 0, found * weights, 0.0).sum(), weights.sum())
        loss, weight = total(weights)
        metrics = {"loss": (loss, weight), "accuracy": (0 * weight, weight)}
        assert isinstance(outputs, VocabOutput)
        if outputs.unknown_id is not None:
            metrics["known_loss"] = total(weights * (batch.targets != outputs.unknown_id))
        return loss, weight, metrics, carry

    def summarize(self, sums: Any, num_bytes: float | None) -> dict[str, Any]:
        summary = summarize_tokens(sums)
        if num_bytes is not None:
            summary["bits_per_byte"] = sums["loss"][0] / math.log(2) / num_bytes
        return summary
