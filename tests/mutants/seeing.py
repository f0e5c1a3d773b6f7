"""Wrong versions of what a person sees of a run: rows, events, profile, attributions, looks."""

from __future__ import annotations

from pathlib import Path

from seqmodels.config.experiment import ExperimentConfig
from tests.mutants.mutant import Mutant
from tests.runs.test_follow import short_config
from tests.training.test_input_wait import make_config


def followed(folder: Path) -> ExperimentConfig:
    del folder
    return short_config()


def small(folder: Path) -> ExperimentConfig:
    (folder / "text").mkdir()
    return make_config(folder / "text")


def here(folder: Path) -> Path:
    return folder


WAIT, PROFILE = "training.test_input_wait", "training.test_profile"
EVENTS, FOLLOW = "runs.test_event_files", "runs.test_follow"
LOOK = "look.test_predictions"
ATTRIBUTED = f"{LOOK}:test_integrated_gradients_add_up_to_the_gain"
CUT = f"{FOLLOW}:test_repeated_steps_of_a_resumed_run_are_reported"
SEEING = {
    "what the devices work counts as waiting for input": Mutant(
        "data.prefetcher:Prefetcher.take",
        "jax.block_until_ready(busy)\n        idle_since = time.monotonic()",
        "idle_since = time.monotonic()\n        jax.block_until_ready(busy)",
        f"{WAIT}:test_only_idle_time_of_the_devices_counts_as_waiting",
    ),
    "waiting for input counts in every later row": Mutant(
        *("runs.clock:Clock.lap", "waited - self._lap_waited", "waited"),
        f"{WAIT}:test_rows_hold_the_share_of_the_time_spent_waiting",
        (small, here, 1, 3, 0.25),
    ),
    "evaluations count as training time": Mutant(
        *("runs.clock:Clock.stopped", "self._lap_started += spent", "pass"),
        f"{WAIT}:test_the_clock_of_the_rows_excludes_stopped_time",
    ),
    "the batch ahead serves any step": Mutant(
        *("data.prefetcher:Prefetcher.take", " or started[0] != number", ""),
        f"{WAIT}:test_an_item_that_was_not_prefetched_is_made_at_once",
    ),
    "a resumed run has events twice": Mutant(
        "runs.event_files:EventFiles.__init__",
        *("path.unlink()", "path.rename(f'{path}.before')"),
        *(f"{EVENTS}:test_a_resumed_run_has_each_step_once", (here,)),
    ),
    "event files begin when they are asked for": Mutant(
        *(
            "runs.rows:MetricsWriter._open",
            "EventFiles(self._folder, self.rows)",
            "EventFiles(self._folder, [])",
        ),
        *(f"{EVENTS}:test_event_files_enabled_late_hold_the_whole_run", (here,)),
    ),
    "a trace begins in the midst of a call": Mutant(
        *("training.profile:traced_steps", "-(-WARM_UP // per_call) * per_call", "WARM_UP"),
        f"{PROFILE}:test_whole_calls_are_traced",
    ),
    "integrated gradients begin at zeros": Mutant(
        *("look.predictions:attributions", "v - v.mean(1, keepdims=True)", "v"),
        f"{LOOK}:test_attributions_are_gradients_paths_and_lack",
    ),
    "both ends of the path count as points of it": Mutant(
        "look.predictions:attributions",
        *("np.full(PATH_STEPS, 1 / PATH_STEPS), 0, 0", "np.full(PATH_STEPS + 2, 1 / PATH_STEPS)"),
        *(ATTRIBUTED, ("lstm",)),
    ),
    "an occlusion leaves the step as it is": Mutant(
        *("look.predictions:_occlusions", "set(-leaves", "set(0 * leaves"),
        f"{LOOK}:test_attributions_are_gradients_paths_and_lack",
    ),
    "a file in the place of another is not noticed": Mutant(
        *("runs.follow:RowFile._was_replaced", "not os.path.samestat(own, there) or "),
        *("", CUT, (followed, here)),
    ),
    "rows that were cut stay in sight": Mutant(
        *("runs.follow:watch", "kept = _common(rows, new)", "kept = len(rows)"),
        *(CUT, (followed, here)),
    ),
    "a run is done before it has saved": Mutant(
        *("runs.follow:watch", "ended and not trains", "ended"),
        f"{FOLLOW}:test_a_run_is_done_once_its_last_step_is_evaluated_and_its_trainer_gone",
        (followed, here),
    ),
    "a look passes for a trainer": Mutant(
        *("runs.workdir:has_trainer", "fcntl.LOCK_SH", "fcntl.LOCK_EX"),
        *(f"{FOLLOW}:test_checking_for_a_trainer_does_not_block_one", (here,)),
    ),
    "a look holds a trainer back": Mutant(
        *("runs.workdir:only_process", "timeout=0.5", "timeout=0"),
        *(f"{FOLLOW}:test_checking_for_a_trainer_does_not_block_one", (here,)),
    ),
}
