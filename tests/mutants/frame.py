"""Wrong versions of what lies between columns and batches, and of what follows from a metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.features import TokenizerKind
from seqmodels.config.tasks import ACCURACY
from tests.mutants.mutant import Mutant

FRAME, TAGGING, TASK = "data.test_frame", "tasks.test_tagging", "tasks.test_task"
VALUES = f"{FRAME}:test_values_are_scaled_by_the_steps_of_the_training_split"
KEPT = f"{FRAME}:test_a_run_keeps_its_scaler_whatever_other_data_have"
ONCE = f"{FRAME}:test_every_row_of_an_evaluation_counts_once"
CLASSES = f"{FRAME}:test_classes_are_those_of_the_training_split"
OWN_LENGTH = f"{TASK}:test_targets_may_have_a_length_of_their_own"
BEFORE = f"{FRAME}:test_the_decoder_reads_what_precedes_its_targets"
DIRECTION = "runs.test_direction"
HIGHEST = "runs.test_checkpoints:test_the_best_is_the_highest_where_more_is_better"
ANY_INTERVAL = "training.test_loop:test_the_best_evaluation_is_kept_at_any_interval"


def folder(path: Path) -> Path:
    return path


def over_text(path: Path) -> Any:
    """Makes configs over a small text."""
    from tests.training.runs import make_setting
    from tests.training.test_loop import make_over

    return make_over(make_setting(path).folder)


def narrow(path: Path) -> Any:
    """Segments of targets that are narrower than their inputs."""
    import numpy as np

    del path
    return np.array([[1, 0], [1, 1], [0, 0]], np.int32)


def wide(path: Path) -> Any:
    """Segments of targets that are as wide as their inputs, and end elsewhere."""
    import numpy as np

    del path
    return np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], np.int32)


FRAME_MUTANTS = {
    "the lowest is the best whatever the metric": Mutant(
        "config.tasks:Metric.cost",
        *("value if self.lower_is_better else -value", "value"),
        *(HIGHEST, (folder,)),
    ),
    "the best that is kept is the lowest whatever the metric": Mutant(
        "runs.checkpoints:Checkpoints.__init__",
        *("reverse=best.lower_is_better", "reverse=True"),
        *(HIGHEST, (folder,)),
    ),
    "an evaluation is the best if it is the lowest": Mutant(
        "training.loop:Trainer._evaluate_now",
        *("metric.cost(value) < best", "value < best"),
        *(ANY_INTERVAL, (over_text, folder, "accuracy", 8)),
    ),
    "patience waits for the lowest whatever the metric": Mutant(
        *("runs.rows:costs_of", "metric.cost(row[metric.name])", "row[metric.name]"),
        f"{DIRECTION}:test_patience_counts_evaluations_since_the_best",
        (ACCURACY, 2),
    ),
    "the lowest is shown as the best whatever the metric": Mutant(
        *("runs.inspect:_best", "metric.cost(values[s])", "values[s]"),
        *(f"{DIRECTION}:test_the_best_step_is_shown", (ACCURACY, 4)),
    ),
    "the lowest is followed as the best whatever the metric": Mutant(
        *("runs.follow_views:_best", "metric.cost(row[metric.name])", "row[metric.name]"),
        *(f"{DIRECTION}:test_the_best_step_is_shown", (ACCURACY, 4)),
    ),
    "the padding of targets of their own length counts": Mutant(
        *(
            "tasks.task:Task.make_batch",
            'segments.astype("float32")',
            '1 + 0 * segments.astype("f")',
        ),
        *(OWN_LENGTH, (narrow,)),
    ),
    "targets as wide as the inputs end where those do": Mutant(
        "tasks.task:Task.make_batch",
        *("aligned and (inputs.segment_ids == segments).all()", "aligned"),
        *(OWN_LENGTH, (wide,)),
    ),
    "a target is shown to the end of its inputs": Mutant(
        *("tasks.task:Task.show", "segments if own is None else own[row]", "segments"),
        *(OWN_LENGTH, (wide,)),
    ),
    "values are scaled by all splits": Mutant(
        "data.features.values:Values.open",
        *('np.concatenate(found["train"])', "np.concatenate(sum(found.values(), []))"),
        *(VALUES, (folder,)),
    ),
    "channels share a deviation": Mutant(
        *("data.features.values:Values._fit", "steps.std(axis=0)", "steps.std() + 0 * steps[0]"),
        *(VALUES, (folder,)),
    ),
    "a channel that does not vary is divided by zero": Mutant(
        "data.features.values:Values._fit",
        *("np.where(deviation > 0, deviation, 1.0)", "np.maximum(deviation, 1e-12)"),
        *(VALUES, (folder,)),
    ),
    "values are told as the model has them": Mutant(
        "data.features.values:Values.decode",
        *("* self.deviation + self.mean", "* 1.0"),
        *(VALUES, (folder,)),
    ),
    "a run scales other data anew": Mutant(
        "data.features.values:Values.open",
        *("saved if saved is not None else", "saved if False else"),
        *(KEPT, (folder,)),
    ),
    "the values are not in the fingerprint": Mutant(
        *(
            "data.features.values:EncodedValues.content",
            "[self.flat[ranges(",
            "[] and [self.flat[ranges(",
        ),
        *(KEPT, (folder,)),
    ),
    "labels are those of the step before": Mutant(
        *("data.features.tags:EncodedTags.part", "scatter_rows(self.flat,"),
        *("scatter_rows(np.roll(self.flat, 1),",),
        *(f"{FRAME}:test_each_step_has_its_own_label", (folder,)),
    ),
    "labels may be more than the steps": Mutant(
        *("data.example_data:_refuse_misaligned", "inputs.num_steps != column.num_steps"),
        "inputs.num_steps > column.num_steps",
        f"{FRAME}:test_texts_and_labels_of_other_lengths_are_refused",
        (folder, "det noun verb noun"),
    ),
    "the labels of padding are learnt": Mutant(
        *(
            "tasks.task:Task.make_batch",
            'segments.astype("float32")',
            '1 + 0 * segments.astype("f")',
        ),
        f"{TAGGING}:test_padding_counts_nothing",
    ),
    "the padding behind a line has a part in its labels": Mutant(
        "tasks.tagging:TagAnswerer.__call__",
        *("jnp.asarray(part.segment_ids)", "jnp.ones_like(part.segment_ids)"),
        *(f"{TAGGING}:test_neighbours_and_padding_change_no_label", ("bert",)),
    ),
    "frequent labels are counted in rows that are left out": Mutant(
        *("tasks.tag_baselines:ask_baselines", "content(one.kept)", "content(np.arange(3))"),
        f"{TAGGING}:test_the_baseline_is_the_frequencies_of_the_labels",
    ),
    "row 0 is padding": Mutant(
        *("data.features.label:EncodedLabels.part", "real = chosen >= 0", "real = chosen > 0"),
        *(ONCE, (folder, 8)),
    ),
    "the label of padding counts": Mutant(
        "data.features.label:EncodedLabels.part",
        *("real.astype(np.float32))", "np.ones(len(chosen), np.float32))"),
        *(ONCE, (folder, 8)),
    ),
    "classes of all splits are known": Mutant(
        "data.features.label:Label.open",
        *('set(map(str, found["train"]))', "{str(x) for column in found.values() for x in column}"),
        *(CLASSES, (folder,)),
    ),
    "a run numbers the classes of other data anew": Mutant(
        *("data.features.label:Label.open", "names = saved.class_names"),
        'names = tuple(sorted(set(found["train"])))',
        *(CLASSES, (folder,)),
    ),
    "classes that are numbers are sorted as text": Mutant(
        *("data.features.label:Label.open", ", key=order_of_name)", ")"),
        *(CLASSES, (folder,)),
    ),
    "the decoder reads the token that it is asked for": Mutant(
        *("tasks.translation:Translation.make_batch", "np.roll(target.values, 1, axis=1)"),
        *("target.values.copy()", BEFORE, (folder, TokenizerKind.WORD)),
    ),
    "targets have no end": Mutant(
        *("data.features.tokens:EncodedTokens.part", "feature.end.tolist()", "[]"),
        *(BEFORE, (folder, TokenizerKind.WORD)),
    ),
    "a shared vocabulary is that of the targets": Mutant(
        *("data.token_store:_tokenise_all", 'n.partition(".")[0] == "train"'),
        'n in ("train", "train.target")',
        f"{FRAME}:test_sides_share_a_vocabulary_where_they_are_asked_to",
        (folder,),
    ),
}
