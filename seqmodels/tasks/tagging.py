"""A label for each step of a sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.data.features.tags import IGNORED
from seqmodels.protocols import Answerer, Features, Model, Part, Trial
from seqmodels.tasks.chance import with_chance
from seqmodels.tasks.lengths import count_by_length, summarize_by_length
from seqmodels.tasks.pictures import draw_confusion
from seqmodels.tasks.scores import score, total_loss
from seqmodels.tasks.tag_baselines import ask_baselines
from seqmodels.tasks.task import Task
from seqmodels.types import Batch, Carry, ClassOutput, DataSpec, Metrics, Params


class Tagging(Task):
    """The loss is in nats per label.

    loss = - sum_bt w_bt log p(label_bt | sequence_b) / sum_bt w_bt
    """

    rate_unit: ClassVar[str] = "label"

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """The batch of `Task.make_batch`, in which labels that are ignored have weight 0."""
        batch = super().make_batch(parts, features)
        weights = batch.loss_weights * (batch.targets != IGNORED)
        return dataclasses.replace(batch, loss_weights=weights)

    def make_spec(self, features: Features) -> DataSpec:
        """A class for each step."""
        outputs = ClassOutput(len(features["targets"].names()), per_step=True)
        return DataSpec(features["inputs"].input, outputs)

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
        """Runs the model over whole sequences; see `Task.forward`."""
        logits, carry = label_steps(
            model, params, batch.inputs, batch.segment_ids, carry, train=train, key=key
        )
        metrics = score(logits, batch.targets, batch.loss_weights)
        loss, weight = metrics["loss"]
        if not train:
            metrics |= count_by_length(logits, batch.targets, batch.loss_weights, batch.segment_ids)
        if train and self.config.label_smoothing:
            smoothing = self.config.label_smoothing
            loss = total_loss(logits, batch.targets, batch.loss_weights, smoothing)
        return loss, weight, metrics, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures.

        Returns:
          loss, accuracy, num_targets, and by_length, see `summarize_by_length`.
        """
        return {**super().summarize(sums, num_bytes), **summarize_by_length(sums)}

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """Metrics of the baselines that suit the feature of the inputs; see `tag_baselines`.

        The last of them, with the frequencies of the labels and any others in `beside`.
        """
        return with_chance(trial, ask_baselines(trial))

    def pictures(self, trial: Trial) -> dict[str, Any]:
        """How often each label was taken for each."""
        return draw_confusion(trial, step_logits)

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The most probable label of each step."""
        del config, settings
        return TagAnswerer(model, params, features, batch_size)


def label_steps(
    model: Model,
    params: Params,
    inputs: jax.Array,
    segment_ids: jax.Array | None,
    carry: Carry | None = None,
    *,
    train: bool,
    key: jax.Array | None = None,
) -> tuple[jax.Array, Carry | None]:
    """Logits [B, T, C] of each step, and the carry after them."""
    rngs = {} if key is None else {"dropout": key}
    features, carry = model.apply(
        {"params": params}, inputs, carry, segment_ids=segment_ids, train=train, rngs=rngs
    )
    return model.apply({"params": params}, features, method="readout"), carry


def step_logits(
    model: Model, params: Params, inputs: jax.Array, segment_ids: jax.Array | None
) -> jax.Array:
    """Logits [B, T, C] of the label of each step."""
    return label_steps(model, params, inputs, segment_ids, train=False)[0]


class TagAnswerer:
    """{"text", "labels": [..], "probabilities": [p of each label, ..]} of a line."""

    def __init__(self, model: Model, params: Params, features: Features, batch_size: int) -> None:
        self._features, self._params, self.batch_size = features, params, batch_size

        def label(params: Params, inputs: jax.Array, segment_ids: Any) -> jax.Array:
            logits, _ = label_steps(model, params, inputs, segment_ids, train=False)
            return jax.nn.softmax(logits, axis=-1)

        self._label = jax.jit(label)

    def read(self, given: str) -> Any:
        """Encodes a line for the model."""
        return self._features["inputs"].read(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Labels."""
        inputs, names = self._features["inputs"], self._features["targets"].names()
        part = inputs.batch(encoded, self.batch_size)
        segments = jnp.asarray(part.segment_ids)
        found = np.asarray(self._label(self._params, jnp.asarray(part.values), segments))
        answers = []
        for text, one, rows in zip(given, encoded, found, strict=False):
            best = rows[: len(one)].argmax(axis=-1)
            answers.append(
                {
                    inputs.key: text,
                    "labels": [names[int(i)] for i in best],
                    "probabilities": [float(p) for p in rows[np.arange(len(one)), best]],
                    **inputs.facts(one),
                }
            )
        return answers
