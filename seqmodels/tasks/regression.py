"""Real numbers for the whole of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.protocols import Answerer, Features, Model, Part, Trial
from seqmodels.tasks.chance import with_chance
from seqmodels.tasks.classification import read_whole
from seqmodels.tasks.lengths import sum_by_length, summarize_by_length
from seqmodels.tasks.task import Task
from seqmodels.types import Batch, Carry, DataSpec, Metrics, Params, ValueOutput


class Regression(Task):
    """The loss is the squared error, in the units of `data.targets`.

        loss = sum_b w_b mean_d (y_bd - target_bd)^2 / sum_b w_b

    Targets are values [B, D], one step of each row; y is read where a class would be, see
    `Classification`.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "absolute_error")

    def make_spec(self, features: Features) -> DataSpec:
        """As many numbers as the targets have channels."""
        size = features["targets"].input.num_features
        return DataSpec(features["inputs"].input, ValueOutput(horizon=1, num_channels=size))

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """Inputs, the one step of the targets, and a weight for each row."""
        del features
        inputs, targets = parts["inputs"], parts["targets"]
        return Batch(inputs.values, targets.values[:, 0], targets.mask, inputs.segment_ids)

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """The numbers, and the inputs below them."""
        if not batch.loss_weights[row]:
            return "(padding)"
        segments = None if batch.segment_ids is None else batch.segment_ids[row]
        numbers = features["targets"].show(batch.targets[row][None], None)
        return f"{numbers}\n{features['inputs'].show(batch.inputs[row], segments)}"

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
        """Runs the model over whole examples; see `Task.forward`."""
        rngs = {} if key is None else {"dropout": key}
        inputs, segments = batch.inputs, batch.segment_ids
        found, carry = read_whole(model, params, inputs, segments, carry, train=train, rngs=rngs)
        weights = batch.loss_weights
        # A row of padding may hold anything, NaN too: it is selected away, not multiplied.
        error = found.reshape(batch.targets.shape) - batch.targets
        error = jnp.where(weights[:, None] > 0, error, 0.0)
        square, weight = (error**2).mean(axis=1), weights.sum()
        metrics: Metrics = {
            "loss": ((weights * square).sum(), weight),
            "absolute_error": ((weights * jnp.abs(error).mean(axis=1)).sum(), weight),
        }
        if not train:
            metrics |= sum_by_length(square, weights, segments)
        return metrics["loss"][0], weight, metrics, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures.

        Returns:
          loss, absolute_error, num_targets, and by_length, see `summarize_by_length`.
        """
        figures = {n: float(sums[n][0] / sums[n][1]) for n in self.metric_names}
        targets = int(sums["loss"][1])
        return {**figures, "num_targets": targets, **summarize_by_length(sums, "loss")}

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """The figures of the mean of the training split."""
        trained, asked = (
            one.columns["targets"].content(one.kept)[0].astype(np.float64)
            for one in (trial.data.splits[name] for name in ("train", trial.split))
        )
        error = asked - trained.mean(axis=0)
        figures = {"loss": error**2, "absolute_error": np.abs(error)}
        mean = {name: float(x.mean()) for name, x in figures.items()}
        return with_chance(trial, [{"model": "mean", **mean}])

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The numbers of each input."""
        del config, settings
        return NumberAnswerer(model, params, features, batch_size)


class NumberAnswerer:
    """{"text", "numbers": [..]} of a line, in the units of the data."""

    def __init__(self, model: Model, params: Params, features: Features, batch_size: int) -> None:
        self._features, self._params, self.batch_size = features, params, batch_size
        self._find = jax.jit(lambda *given: read_whole(model, *given, train=False)[0])

    def read(self, given: str) -> Any:
        """Encodes a line for the model."""
        return self._features["inputs"].read(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Predicts."""
        inputs, targets = self._features["inputs"], self._features["targets"]
        part = inputs.batch(encoded, self.batch_size)
        found = np.asarray(self._find(self._params, part.values, part.segment_ids))
        decoded = targets.decode(found.reshape(len(found), -1))  # type: ignore[attr-defined]
        return [
            {inputs.key: text, "numbers": row.tolist(), **inputs.facts(one)}
            for text, one, row in zip(given, encoded, decoded, strict=False)
        ]
