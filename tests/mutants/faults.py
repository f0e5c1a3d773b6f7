"""Wrong versions of what keeps a run whole: seals, the lock, rows, signals, a NaN that is kept."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.mutants.foundation import saved
from tests.mutants.mutant import Mutant
from tests.runs.test_checkpoints import save_steps
from tests.training.runs import make_setting
from tests.training.test_loop import make_over

CHECKPOINTS, WORKDIR = "runs.test_checkpoints", "runs.test_workdir"


def three(folder: Path) -> Path:
    save_steps(folder / "checkpoints", {2: 1.0, 4: 2.5, 5: None})
    return folder / "checkpoints"


def same(folder: Path) -> Path:
    return folder


FAULTS = {
    "a damaged checkpoint is used": Mutant(
        "runs.checkpoints:Checkpoints._first_usable",
        *("if state is SealState.DAMAGED:", "if False:"),
        f"{CHECKPOINTS}:test_any_damaged_file_is_detected_and_the_previous_step_used",
        (saved, "flipped"),
    ),
    "a strange file beside the sealed ones is not seen": Mutant(
        *("runs.seals:check_seal", "{**expected, **found}", "expected"),
        f"{CHECKPOINTS}:test_an_unexpected_file_is_damage",
        (saved,),
    ),
    "checkpoints after the one that is used stay": Mutant(
        *("runs.checkpoints:Checkpoints.delete_after", "if s > step", "if False"),
        *(f"{CHECKPOINTS}:test_resuming_deletes_later_steps", (three,)),
    ),
    "nobody takes the lock": Mutant(
        *("runs.workdir:only_process", "lock.acquire(poll_interval=0.01)", "pass"),
        *(f"{WORKDIR}:test_processes_may_train_in_a_directory_one_after_another", (same,)),
    ),
    "two commands take the same number": Mutant(
        *("files:claim_number", '.open("x")', '.open("w")'),
        *("test_written_files:test_commands_at_once_take_different_numbers", (same,)),
    ),
    "a damaged row is left out": Mutant(
        *("runs.rows:_rows", "if step >= last_step:", "if True:"),
        *(f"{WORKDIR}:test_a_damaged_row_is_refused_if_a_checkpoint_covers_it", (same,)),
    ),
    "a step that is not finite is saved": Mutant(
        *("training.loop:Trainer._save", "self._read()", "pass"),
        "training.test_loop:test_a_step_that_is_not_finite_is_not_saved",
        (lambda folder: make_over(make_setting(folder).folder), lambda folder: folder / "run"),
    ),
    "a second Ctrl-C is one more request": Mutant(
        *("distributed.signals:stop_on_signals", "if again:", "if False:"),
        "distributed.test_signals:test_a_ctrl_c_after_a_request_interrupts",
        (signal.SIGINT,),
    ),
    "a Ctrl-C counts once its line is written": Mutant(
        *(
            "distributed.signals:stop_on_signals",
            "request.signal is not None, number",
            "False, None",
        ),
        "distributed.test_signals:test_a_ctrl_c_in_response_to_the_line_interrupts",
    ),
    "what the disk said is looked for in the last error alone": Mutant(
        *("config.errors:chain", "this.__cause__, this.__context__, ", ""),
        "config.test_errors:test_what_the_disk_said_is_found_where_it_was_hidden",
    ),
    "damaged metrics of a checkpoint are left in its way": Mutant(
        "runs.checkpoints:Checkpoints._remove_unreadable_metrics",
        *("is None", "is False"),
        *(f"{CHECKPOINTS}:test_damaged_metrics_do_not_prevent_opening", (saved, "{")),
    ),
}
