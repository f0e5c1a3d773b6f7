"""Wrong versions of sweeps: of their points, their states and their tables."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.mutant import Mutant

GRID, MANIFEST, TABLE = "sweeps.test_grid", "sweeps.test_manifest", "sweeps.test_table"
POINTS = f"{GRID}:test_points_are_drawn_between_the_bounds_and_kept_when_there_are_more"
MEANS = f"{TABLE}:test_means_and_spreads_best_first_and_a_diverged_run_is_named"


def folder(path: Path) -> Path:
    return path


def sweep(path: Path) -> Path:
    """A sweep of which one run has diverged."""
    from tests.sweeps.test_table import write_sweep

    return write_sweep(path)


SWEEPS = {
    "every point of a sweep is the same": Mutant(
        *("sweeps.grid:_Span.draw", "{self.high} {point}", "{self.high}"), POINTS
    ),
    "a logarithmic span is drawn from uniformly": Mutant(
        *("sweeps.grid:_Span.draw", 'self.scale == "log"', "False"), POINTS
    ),
    "a run that diverged is in the mean": Mutant(
        *("sweeps.table:summarize", "status.state is State.DONE", "status.step"), MEANS, (sweep,)
    ),
    "a run counts by its last evaluation": Mutant(
        *("sweeps.table:summarize", "min(costs_of(", "max(costs_of("), MEANS, (sweep,)
    ),
    "a sweep of another config is continued": Mutant(
        *("sweeps.manifest:compare", "if fixed:", "if False:"),
        f"{MANIFEST}:test_a_longer_sweep_is_continued_and_another_config_is_refused",
        (folder,),
    ),
    "other data are taken for those of the sweep": Mutant(
        "sweeps.manifest:refuse_other_data",
        *("known != fingerprint", "False"),
        *(f"{MANIFEST}:test_other_data_are_refused", (folder,)),
    ),
}
