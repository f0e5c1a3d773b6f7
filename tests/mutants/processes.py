"""Wrong versions of what makes several processes one run.

Those that need real processes (a collective left out in one of them, an array that only one can
read) hang or crash, and are no mutants here: test_distributed.py would not end in time.
"""

from __future__ import annotations

from pathlib import Path

from seqmodels.config.errors import UserError
from tests.mutants.mutant import Mutant

TESTS = "distributed.test_processes"


def folder(path: Path) -> Path:
    return path


PROCESSES = {
    "every process writes rows": Mutant(
        *("runs.rows:MetricsWriter.__init__", "if is_main()", "if True"),
        *(f"{TESTS}:test_process_1_writes_no_rows_but_reads_them", (folder,)),
    ),
    "every process seals": Mutant(
        *("runs.checkpoints:Checkpoints._save", "if is_main()", "if True"),
        *(f"{TESTS}:test_process_1_seals_nothing", (folder,)),
    ),
    "each process resumes where it likes": Mutant(
        "runs.checkpoints:Checkpoints._first_usable",
        *("decide(lambda: self._candidates(which))", "self._candidates(which)"),
        *(f"{TESTS}:test_process_1_resumes_where_process_0_says", (folder,)),
    ),
    "what process 0 finds wrong is its own": Mutant(
        *("distributed.processes:Group.decide", 'if "line" in answer', "if False"),
        *(f"{TESTS}:test_an_error_in_process_0_is_raised_in_all", (lambda folder: UserError,)),
    ),
    "each process stops at its own step": Mutant(
        *("distributed.stop:SharedStopRequest._answer", "self._last + self._stride"),
        "self._last",
        f"{TESTS}:test_a_process_one_call_behind_stops_at_the_same_step",
    ),
    "a process makes the rows of all": Mutant(
        *("training.feed:Feed.__init__", "min((b[0] for b in bounds), default=0)", "0"),
        f"{TESTS}:test_a_process_makes_only_the_rows_of_its_devices",
    ),
    "every device is fed the first rows": Mutant(
        *("training.feed:Feed._make", "start - self._first, stop - self._first"),
        "0, stop - start",
        f"{TESTS}:test_a_process_makes_only_the_rows_of_its_devices",
    ),
    "a process may train on other data": Mutant(
        *("runs.hold:_compare", 'own["fingerprint"] != first["fingerprint"]', "False"),
        f"{TESTS}:test_processes_of_two_runs_are_refused",
        (folder, {"data": "b"}, "process 1 has other data"),
    ),
    "a save that failed in one process waits for the others": Mutant(
        *("runs.checkpoints:Checkpoints.check", "failed or ", "False or "),
        *(f"{TESTS}:test_a_failed_save_is_reported_before_waiting_for_the_others", (folder,)),
    ),
}
