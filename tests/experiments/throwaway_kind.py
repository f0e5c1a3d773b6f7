"""A task, a feature and a data set that nothing else knows, and an experiment that needs all three.

A count is read digit by digit; the task is to say what is left when it is divided by three. None of
it is like what is built in: the columns have other names, the inputs are numbers, the metrics do
not include an accuracy, one metric needs sums over classes and one a second evaluation, and the
answers have a flag of their own.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels import registry
from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import FeatureConfig, LabelConfig
from seqmodels.config.fields import number
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import AnswerFlag, Metric, TaskConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.data.ragged import power_of_two, ranges, scatter_rows, segments_of
from seqmodels.ops.losses import most_likely
from seqmodels.protocols import Answerer, Features, Model, Part, Trial
from seqmodels.tasks.classification import read_whole
from seqmodels.tasks.scores import total_loss
from seqmodels.tasks.task import Task
from seqmodels.types import Batch, Carry, Metrics, Params, TokenInput

RESTS = ("none", "one", "two")
SIZES = {"train": 120, "validation": 30, "test": 33}


class Counts(BuiltInDataset):
    """Count and rest of each row, functions of its number."""

    description = "counts and what division by three leaves of them"

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((RESTS, SIZES, 1)).encode()).hexdigest()

    def splits(self) -> Splits:
        splits: Splits = {}
        for split, size in SIZES.items():
            first = 7 * sum(SIZES[other] for other in splits)
            counts = [first + 7 * row for row in range(size)]
            splits[split] = {"count": counts, "rest": [RESTS[count % 3] for count in counts]}
        return splits

    def classes(self, column: str) -> tuple[str, ...] | None:
        return RESTS if column == "rest" else None


@dataclasses.dataclass
class DigitsConfig(FeatureConfig):
    """A whole number, read digit by digit in base `base`."""

    kind: ClassVar[str] = "throwaway_digits"
    word: ClassVar[str] = "tokens"
    varies: ClassVar[bool] = True
    column: str = "count"
    base: int = number(10, least=2, most=10)
    max_length: int = 12

    def lengths(self) -> dict[str, int]:
        return {"max_length": self.max_length}


class Digits(FeatureBase):
    """Digits of a number, the first one first."""

    kind: ClassVar[str] = "throwaway_digits"
    key: ClassVar[str] = "count"

    def __init__(self, config: DigitsConfig) -> None:
        self.config = config

    @classmethod
    def open(cls, config: DigitsConfig, source: ColumnSource, saved: Digits | None) -> Opened:
        feature = cls(config) if saved is None else saved
        columns = {
            split: EncodedDigits([feature.read(str(count)) for count in column])
            for split, column in source.splits().items()
        }
        return Opened(feature, columns, start=f" {config.base}")

    @property
    def input(self) -> TokenInput:
        return TokenInput(self.config.base)

    def read(self, given: str) -> np.ndarray:
        if not given.isdecimal():
            raise UserError(f"{given!r} is not a count")
        return np.array([int(d) for d in np.base_repr(int(given), self.config.base)], np.int32)

    def batch(self, encoded: Sequence[np.ndarray], rows: int) -> Part:
        column = EncodedDigits(encoded)
        chosen = np.where(np.arange(rows) < len(encoded), np.arange(rows), -1)
        return column.part(chosen, power_of_two(int(column.lengths.max())))

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        return "".join(map(str, values if segment_ids is None else values[segment_ids > 0]))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "base": self.config.base}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: DigitsConfig) -> Digits:
        if values["base"] != config.base:
            raise ValueError("another base")
        return cls(config)

    def summary(self) -> str:
        return f"digits of base {self.config.base}"

    def description(self) -> dict[str, Any]:
        return {"base": self.config.base}


class EncodedDigits:
    """The digits of one split; see `feature.EncodedColumn`."""

    unit = "digit"

    def __init__(self, rows: Sequence[np.ndarray]) -> None:
        self.flat = np.concatenate(rows)
        self.offsets = np.cumsum([0, *map(len, rows)])
        self.lengths = self.num_steps = np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        assert width is not None
        digits = scatter_rows(self.flat, self.offsets, self.lengths, chosen, width)
        segments = segments_of(self.lengths, chosen, width)
        return Part(digits, segments, (chosen >= 0).astype(np.float32))

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        lengths = self.lengths[kept]
        return [self.flat[ranges(self.offsets[kept], lengths)], lengths]

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        return {"digits": int(self.lengths[kept].sum())}


@dataclasses.dataclass
class RestConfig(TaskConfig):
    """What is left of a count, as one of a few classes. `sharpness` multiplies the logits."""

    kind: ClassVar[str] = "throwaway_rest"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "inputs": ("throwaway_digits",),
        "targets": ("label",),
    }
    outputs: ClassVar[str] = "classes"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("loss", "hundredths of a nat per target"),
        Metric("hits", "per hundred", lower_is_better=False),
        Metric("worst_hits", "per hundred, of the worst class", lower_is_better=False),
        Metric("loss_of_zeros", "hundredths of a nat per target", further=True),
    )
    answers: ClassVar[str | None] = "inputs"
    answer_flags: ClassVar[tuple[AnswerFlag, ...]] = (
        AnswerFlag("most_rests", int, 1, 1, "rests to name, the most probable ones first"),
    )
    noun: ClassVar[str] = "rests"
    sharpness: float = number(1.0, above=0)

    def answer_settings(self, config: ExperimentConfig, flags: dict[str, Any]) -> int:
        return flags["most_rests"]


class Rest(Task):
    """A class for the whole of a count."""

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "hits")
    rate_unit: ClassVar[str] = "count"

    def logits(self, model: Model, params: Params, inputs: Any, segments: Any, **how: Any) -> Any:
        found, _ = read_whole(model, params, inputs, segments, **how)
        return found * self.config.sharpness

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
        rngs = None if key is None else {"dropout": key}
        logits = self.logits(model, params, batch.inputs, batch.segment_ids, train=train, rngs=rngs)
        weights = batch.loss_weights
        loss, weight = 100 * total_loss(logits, batch.targets, weights), weights.sum()
        hits = 100 * (most_likely(logits) == batch.targets) * weights
        classes = jax.nn.one_hot(batch.targets, logits.shape[-1]) * weights[:, None]
        metrics: Metrics = {
            "loss": (loss, weight),
            "hits": (hits.sum(), weight),
            "hits_of_each": ((classes * hits[:, None]).sum(0), classes.sum(0)),
        }
        return loss, weight, metrics, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        hits, there = map(np.asarray, sums["hits_of_each"])
        return {
            **super().summarize(sums, num_bytes),
            "hits": float(sums["hits"][0] / sums["hits"][1]),
            "worst_hits": float((hits / np.maximum(there, 1)).min()),
        }

    def baseline(self, trial: Trial) -> dict[str, Any]:
        split = trial.data.splits[trial.split]
        (targets,) = split.columns["targets"].content(split.kept)
        return {
            "model": "a guess",
            "loss": 100 * float(np.log(len(RESTS))),
            "hits": float(100 * np.mean(targets == 0)),
        }

    def evaluate_more(self, trial: Trial) -> dict[str, Any]:
        zeros = jax.tree.map(jnp.zeros_like, trial.params)
        return {"loss_of_zeros": trial.evaluate(trial.model, zeros)["loss"]}

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        return RestAnswerer(self, model, params, features, settings, batch_size)


class RestAnswerer:
    """{"count", "rests": [names]} of a line."""

    def __init__(
        self,
        task: Rest,
        model: Model,
        params: Params,
        features: Features,
        most: int,
        batch_size: int,
    ) -> None:
        self._params, self._features, self._most = params, features, most
        self.batch_size = batch_size
        self._logits = jax.jit(lambda *given: task.logits(model, *given, train=False))

    def read(self, given: str) -> Any:
        return self._features["inputs"].read(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        inputs, names = self._features["inputs"], self._features["targets"].names()
        part = inputs.batch(encoded, self.batch_size)
        logits = self._logits(self._params, part.values, part.segment_ids)
        order = np.argsort(-np.asarray(logits), axis=-1)[:, : self._most]
        return [
            {inputs.key: text, "rests": [names[int(i)] for i in row]}
            for text, row in zip(given, order, strict=False)
        ]


registry.DATASETS["throwaway_counts"] = registry.DatasetEntry(
    f"{__name__}:Counts", "counts and rests", ("count", "rest")
)
registry.FEATURES["throwaway_digits"] = registry.Entry(
    f"{__name__}:Digits", f"{__name__}:DigitsConfig", "a number, digit by digit"
)
registry.TASKS["throwaway_rest"] = registry.Entry(
    f"{__name__}:Rest", f"{__name__}:RestConfig", "what division leaves"
)

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentConfig(cell="gru", model_dim=6, hidden_dim=10),
        data=ExamplesDataConfig(
            name="throwaway_counts",
            inputs=DigitsConfig(),
            targets=LabelConfig(column="rest"),
            batch_size=8,
            max_shapes=1,
        ),
        task=RestConfig(sharpness=2.0),
        optimizer=OptimizerConfig(peak_lr=0.02, warmup_steps=2),
        training=TrainingConfig(
            num_steps=8, log_every=2, evaluate_every=4, checkpoint_every=4, best_metric="hits"
        ),
        evaluation=EvaluationConfig(batch_size=16),
    )
