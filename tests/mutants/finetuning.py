"""Wrong versions of starting from another run, frozen parts and learning rates by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mutants.mutant import Mutant
from tests.training.finetuning import make_config, write_texts

TESTS = "training.test_finetuning"


def source(folder: Path) -> Path:
    """Texts and a run over bytes."""
    from tests.training.test_finetuning import BYTES, train

    config = make_config(write_texts(folder), "first", **BYTES, training__ema_decay=0.5)
    train(config, folder / "lstm-bytes")
    return folder


def texts(folder: Path) -> Any:
    return write_texts(folder)


FINETUNING = {
    "frozen parts still decay": Mutant(
        "training.optimizers:make_optimizer",
        *('"frozen": optax.set_to_zero()', '"frozen": trained'),
        f"{TESTS}:test_scales_and_frozen_parts_follow_the_formula_for_a_step_of_sgd",
        ("a",),
    ),
    "the factor of a part is ignored": Mutant(
        *("training.optimizers:_scale_parts", "parts.scale(path) * update", "update"),
        f"{TESTS}:test_scales_and_frozen_parts_follow_the_formula_for_a_step_of_sgd",
        (None,),
    ),
    "frozen gradients are clipped with the others": Mutant(
        *(
            "training.step:make_gradients",
            "_moved(is_frozen, jax.lax.stop_gradient(params), params)",
        ),
        "params",
        f"{TESTS}:test_the_gradient_norm_covers_trained_parameters_only",
        (texts,),
    ),
    "the average of frozen parameters moves": Mutant(
        *("training.step:_moved", "old if is_frozen(path) else new", "new"),
        f"{TESTS}:test_a_step_keeps_frozen_bits_in_the_moving_average_too",
        (texts,),
    ),
    "what is taken is not copied": Mutant(
        *("training.setup:Setup.create_state", "taken or {}", "{}"),
        f"{TESTS}:test_with_the_same_vocabulary_the_run_starts_at_the_source_s_loss",
        (source, "lstm"),
    ),
    "a second start looks for the best again": Mutant(
        "training.initialize_from:find_starting_point",
        *("record = _read_record(workdir, init_from)", "record = None"),
        f"{TESTS}:test_a_recorded_start_is_used_again",
        (source, lambda folder: folder),
    ),
}
