"""One class for the whole of an image or a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from seqmodels.protocols import Answerer, Features, Model, Trial
from seqmodels.tasks.chance import with_chance
from seqmodels.tasks.class_baselines import ask_baselines
from seqmodels.tasks.class_scores import count_outcomes, summarize_outcomes
from seqmodels.tasks.lengths import count_by_length, summarize_by_length
from seqmodels.tasks.pictures import draw_confusion, draw_map
from seqmodels.tasks.scores import score, total_loss
from seqmodels.tasks.task import Task
from seqmodels.types import Batch, Carry, Metrics, Params


class Classification(Task):
    """The loss is in nats per example.

        loss = - sum_b w_b log p(class_b | example_b) / sum_b w_b

    Of a causal model's features [B, T, D] those at the last position that is not padding count; a
    model that looks both ways has pooled its own to [B, D].
    """

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
        """Runs the model over whole examples; see `Task.forward`.

        Targets and loss_weights are [B]. `loss` is without label smoothing; where train is False
        the metrics have the counts of `count_outcomes` too. There is no carry.
        """
        rngs = None if key is None else {"dropout": key}
        inputs, segments = batch.inputs, batch.segment_ids
        logits, carry = read_whole(model, params, inputs, segments, carry, train=train, rngs=rngs)
        metrics = score(logits, batch.targets, batch.loss_weights)
        loss, weight = metrics["loss"]
        if not train:
            metrics |= count_outcomes(logits, batch.targets, batch.loss_weights)
            metrics |= count_by_length(logits, batch.targets, batch.loss_weights, segments)
        if train and self.config.label_smoothing:
            smoothing = self.config.label_smoothing
            loss = total_loss(logits, batch.targets, batch.loss_weights, smoothing)
        return loss, weight, metrics, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures.

        Returns:
          loss (nats per example), accuracy, num_targets, f1, f1_binary where there are two classes,
          and calibration_error, see `summarize_outcomes`; by_length where the inputs have steps,
          see `summarize_by_length`.
        """
        figures = super().summarize(sums, num_bytes)
        return {**figures, **summarize_outcomes(sums), **summarize_by_length(sums)}

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """Metrics of the baselines that suit the feature of the inputs; see `class_baselines`.

        The last of them, with the majority class and any others in `beside`.
        """
        return with_chance(trial, ask_baselines(trial))

    def pictures(self, trial: Trial) -> dict[str, Any]:
        """How often each class was taken for each; of inputs of two numbers, the map of classes."""
        return {**draw_confusion(trial, whole_logits), **draw_map(trial, whole_logits)}

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The class and the probabilities of each input."""
        del config, settings
        return ClassAnswerer(model, params, features, batch_size)


class ClassAnswerer:
    """{"text" or "file", "label", "probabilities": {label: p}, ..} of an input.

    What follows is what the feature of the inputs adds, such as num_unknown of a text.
    """

    def __init__(self, model: Model, params: Params, features: Features, batch_size: int) -> None:
        self._features, self._params, self.batch_size = features, params, batch_size

        def classify(params: Params, inputs: jax.Array, segment_ids: Any) -> jax.Array:
            logits, _ = read_whole(model, params, inputs, segment_ids, train=False)
            return jax.nn.softmax(logits, axis=-1)

        self._classify = jax.jit(classify)

    def read(self, given: str) -> Any:
        """Encodes a line or a file for the model."""
        return self._features["inputs"].read(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Classifies."""
        inputs, names = self._features["inputs"], self._features["targets"].names()
        part = inputs.batch(encoded, self.batch_size)
        segments = None if part.segment_ids is None else jnp.asarray(part.segment_ids)
        found = np.asarray(self._classify(self._params, jnp.asarray(part.values), segments))
        return [
            {
                inputs.key: text,
                "label": names[int(row.argmax())],
                "probabilities": dict(zip(names, map(float, row), strict=True)),
                **inputs.facts(one),
            }
            for text, one, row in zip(given, encoded, found, strict=False)
        ]


def read_whole(
    model: Model,
    params: Params,
    inputs: Array,
    segment_ids: Integer[Array, "B T"] | None,
    carry: Carry | None = None,
    *,
    train: bool,
    rngs: dict[str, jax.Array] | None = None,
) -> tuple[Float[Array, "B ..."], Carry | None]:
    """The outputs of a model for whole examples, such as logits, and the carry after them."""
    features, carry = model.apply(
        {"params": params}, inputs, carry, segment_ids=segment_ids, train=train, rngs=rngs or {}
    )
    if features.ndim == 3:
        features = last_valid(features, segment_ids)
    return model.apply({"params": params}, features, method="readout"), carry


def whole_logits(
    model: Model, params: Params, inputs: Array, segment_ids: Integer[Array, "B T"] | None
) -> Float[Array, "B C"]:
    """Logits of the class of each example."""
    return read_whole(model, params, inputs, segment_ids, train=False)[0]


def last_valid(
    features: Float[Array, "B T D"], segment_ids: Integer[Array, "B T"] | None
) -> Float[Array, "B D"]:
    """The features at the last position of each row that is not padding."""
    if segment_ids is None:
        return features[:, -1]
    places = jnp.arange(features.shape[1])[None]
    last = jnp.max(jnp.where(segment_ids > 0, places, 0), axis=1)
    return jnp.take_along_axis(features, last[:, None, None], axis=1)[:, 0]
