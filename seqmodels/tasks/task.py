"""The defaults of a task: what most problems do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax

from seqmodels.config.tasks import Metric, TaskConfig
from seqmodels.files import save_figure
from seqmodels.protocols import (
    Answerer,
    BatchSource,
    Data,
    Example,
    Features,
    Given,
    Model,
    Part,
    Trial,
)
from seqmodels.tasks.lengths import length_tables
from seqmodels.tasks.looking import whole_example
from seqmodels.types import Batch, Carry, ClassOutput, DataSpec, Metrics, Params


class Task:
    """One kind of problem: everything about it, before and after the loss.

    A task writes `forward` and `summarize`, and overrides what its problem has otherwise. What it
    declares (roles, metrics, flags of its answers) is in its config, which knows no jax.

    Args:
      config: its settings.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    rate_unit: ClassVar[str] = "example"

    def __init__(self, config: TaskConfig) -> None:
        self.config: Any = config

    def unit(self, features: Features) -> str:
        """The unit of the targets, in one word."""
        del features
        return self.rate_unit

    def affixes(self, role: str) -> tuple[str, ...]:
        """Tokens of its own that the feature of a role has after its vocabulary: none."""
        del role
        return ()

    def make_spec(self, features: Features) -> DataSpec:
        """The shape of the inputs, and one class for each of them as a whole."""
        outputs = ClassOutput(len(features["targets"].names()), per_step=False)
        return DataSpec(features["inputs"].input, outputs)

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """Inputs, targets, and a source where there is one.

        Targets count one per row, or, where they have steps, one per step: at the steps of the
        inputs, or with a length of their own, then with target_segment_ids.
        """
        inputs, targets, source = parts["inputs"], parts["targets"], parts.get("source")
        weights, segments = targets.mask, targets.segment_ids
        own = None
        if segments is not None:
            weights = segments.astype("float32")
            aligned = inputs.segment_ids is not None and inputs.segment_ids.shape == segments.shape
            # By the lengths alone, the form of a batch would depend on which rows are asked for.
            aligned = aligned and features["targets"].is_aligned
            own = None if aligned and (inputs.segment_ids == segments).all() else segments
        return Batch(
            inputs.values,
            targets.values,
            weights,
            inputs.segment_ids,
            source=None if source is None else source.values,
            source_segment_ids=None if source is None else source.segment_ids,
            target_segment_ids=own,
        )

    def check_rows(self, split: Any, features: Features, locate: Callable[[int], str]) -> None:
        """Raises UserError where examples cannot be learned from; by default all can.

        Args:
          split: the examples, an `ExampleSplit`.
          locate: says where a row comes from.
        """
        del split, features, locate

    def make_source(self, source: BatchSource, features: Features, seed: int) -> BatchSource:
        """The batches to train on: those of the data."""
        del features, seed
        return source

    def make_rows(self, batch: Batch, first: int, features: Features, seed: int) -> Batch:
        """The rows first, first + 1, .. of an evaluation: those of the data."""
        del first, features, seed
        return batch

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """The target, and the inputs below it."""
        if not batch.loss_weights[row].any():
            return "(padding)"
        segments = None if batch.segment_ids is None else batch.segment_ids[row]
        own = batch.target_segment_ids
        ends = segments if own is None else own[row]
        target = features["targets"].show(
            batch.targets[row], ends if batch.targets[row].ndim else None
        )
        return f"{target}\n{features['inputs'].show(batch.inputs[row], segments)}"

    def example(
        self, model: Model, params: Params, features: Features, config: Any, given: Given
    ) -> Example:
        """A user's own input as one row, for looking inside a model.

        Raises:
          UserError: it cannot be read.
        """
        del model, params, config
        return whole_example(features[self.config.answers or "inputs"], given)

    def rival(self, data: Data, config: Any) -> tuple[Model, Params] | None:
        """A counted model of the same targets, whose predictions are shown next to a run's."""
        del data, config
        return None

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
        """Runs the model over one batch.

        Args:
          carry: None for the parallel form; a carry where the batch continues another.
          key: of dropout; None where train is False.

        Returns:
          The summed loss that training descends, the summed weights, the metrics as (sum, weight)
          pairs (those of `metric_names` among them), and the carry after the batch.
        """
        raise NotImplementedError

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures.

        Args:
          sums: (sum, weight) by name, over all targets of the split.
          num_bytes: UTF-8 bytes of those targets; None where that is not known.

        Returns:
          loss, accuracy and num_targets.
        """
        del num_bytes
        loss, targets = sums["loss"]
        figures = {"loss": float(loss / targets)}
        if "accuracy" in sums:
            figures["accuracy"] = float(sums["accuracy"][0] / targets)
        return {**figures, "num_targets": int(targets)}

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """Metrics of the baselines, which need no training, on the same rows.

        Returns:
          model (its name), and figures as `summarize` has them; further ones in the list `beside`.
        """
        raise NotImplementedError

    def evaluate_more(self, trial: Trial) -> dict[str, Any]:
        """Figures that the loss does not give; merged into the result. None by default."""
        del trial
        return {}

    def pictures(self, trial: Trial) -> dict[str, Any]:
        """Figures of matplotlib by name, which `draw` saves: none by default."""
        del trial
        return {}

    def tables(self, result: dict[str, Any], unit: str) -> list[Any]:
        """A result for a person, to be printed by rich: the baselines and the run, one per row."""
        return [figures_table(result, self.config.metrics, unit), *length_tables(result)]

    def draw(self, trial: Trial, stem: Path) -> list[Path]:
        """Writes pictures of a trial, and returns their paths: a PNG of each of `pictures`.

        Args:
          trial: with the figures of the run on the split, the baseline's among them.
          stem: folder, and the beginning of the names of the files.
        """
        found = self.pictures(trial)
        return [save_figure(x, stem.with_name(f"{stem.name}-{n}.png")) for n, x in found.items()]

    def save_answer(self, encoded: Any, answer: dict[str, Any], stem: Path) -> list[Path]:
        """Writes tables and pictures of an answer, where `TaskConfig.saves_answers` says so.

        Args:
          encoded: what the answerer has read.
          answer: to that.
          stem: folder, and the beginning of the names of the files.
        """
        raise NotImplementedError(f"task.kind={self.config.kind} writes no files of answers")

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """An `Answerer` for a user's own inputs.

        Args:
          config: of the experiment.
          settings: of `TaskConfig.answer_settings`.
          batch_size: inputs at once.
        """
        raise NotImplementedError(f"task.kind={self.config.kind} has no answers")

    def stream_answerer(
        self, model: Model, params: Params, features: Features, batch_size: int
    ) -> Answerer:
        """An `Answerer` for the pieces of one text without end, in their order, where
        `TaskConfig.answers_streams` says so. `model` reads texts of any length."""
        raise NotImplementedError(f"task.kind={self.config.kind} reads no text without end")


def figures_table(result: dict[str, Any], metrics: tuple[Metric, ...], unit: str) -> Any:
    """The shown metrics of the baselines and of the run.

    Args:
      unit: what a target is, in a word.
    """
    from rich.table import Table

    title = f"{result['split']}, step {result['step']}"
    if "context" in result:
        title += f", context {result['context']}"
    if result.get("num_streams", 1) > 1:
        title += f" in {result['num_streams']} streams"
    rows = []
    if (base := result.get("baseline")) is not None:
        order = f" of order {base['order']}" if "order" in base else ""
        rows = [(other["model"], other) for other in base.get("beside", ())]
        rows.append((f"{base['model']}{order}", base))
    rows.append(("this run", result))
    names = [
        m.name
        for m in metrics
        if m.shown and not m.further and any(m.name in row for _, row in rows)
    ]
    heads = [name.replace("_per_", "/").replace("_", " ") for name in names]
    measure = metrics[0].unit.replace("target", unit)
    table = Table("", *heads, "targets", title=f"{title}; loss in {measure}")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in rows:
        shown = [f"{row[n]:.4f}" if row.get(n) is not None else "-" for n in names]
        targets = f"{row['num_targets']:,}" if "num_targets" in row else ""
        table.add_row(name, *shown, targets)
    return table


def own_params(params: Params) -> Params:
    """The parameters, for use by this process only.

    They are its copy where they are whole on each device. Those that are spread over devices of
    this process stay so; spread over several processes they cannot be used by one alone.
    """
    arrays = [x for x in jax.tree.leaves(params) if isinstance(x, jax.Array)]
    if not all(x.is_fully_replicated for x in arrays):
        return params
    return jax.tree.map(lambda x: x.addressable_data(0) if isinstance(x, jax.Array) else x, params)


def replaced(trial: Trial, **changes: Any) -> Trial:
    """A trial with some of its fields changed."""
    return dataclasses.replace(trial, **changes)
