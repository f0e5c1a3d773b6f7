"""Wrong versions of the diagnostics, of figures by length and of packs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mutants.mutant import Mutant

DATA, LENGTHS, PACK = "data.test_diagnostics", "tasks.test_lengths", "training.test_pack"


def sets(path: Path) -> Any:
    """The examples, made by the mutant."""
    from tests.data.test_diagnostics import make_sets

    del path
    return make_sets()


DIAGNOSTICS = {
    "a held-out example may be in training": Mutant(
        *("data.datasets.diagnostics:Diagnostic.belongs", "< end", "< 2"),
        f"{DATA}:test_lengths_and_splits",
        (sets,),
    ),
    "products come before sums in no expression": Mutant(
        *("data.datasets.diagnostics_state:ModularArithmetic.make", "term *= number", "term += 1"),
        f"{DATA}:test_answers_follow_from_the_inputs",
        (sets,),
    ),
    "a query is answered with the next value": Mutant(
        "data.datasets.diagnostics_memory:Recall.make",
        *("= key, value", "= key, values[0]"),
        f"{DATA}:test_recall_asks_for_the_values_of_its_pairs",
        (sets,),
    ),
    "a power of two is in the bin above": Mutant(
        *("tasks.lengths:length_bins", "> bounds", ">= bounds"),
        f"{LENGTHS}:test_each_length_is_in_its_bin",
    ),
    "a label that is ignored counts": Mutant(
        *("data.features.tags:EncodedTags.sizes", "!= IGNORED", "!= -2"),
        "tasks.test_tagging:test_a_step_that_is_ignored_has_no_weight",
    ),
    "the error of padding counts": Mutant(
        *("tasks.regression:Regression.forward", "weights[:, None] > 0", "True"),
        "tasks.test_regression:test_the_loss_is_the_squared_error_of_the_rows",
    ),
    "a member that is frozen moves": Mutant(
        *("training.pack:make_pack_call", "jnp.where(alive, new, old)", "new"),
        f"{PACK}:test_dropout_and_rates_of_a_member_are_its_own",
        (None,),
    ),
    "padding is what was there": Mutant(
        *("training.packed_arrays:stack_padded", "np.zeros((", "np.ones(("),
        f"{PACK}:test_batches_of_different_lengths_are_filled_up_with_padding",
    ),
}
