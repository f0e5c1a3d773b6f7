"""Wrong versions of forecasts: their windows, figures, baselines and recursion."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.mutant import Mutant

WINDOWS, SERIES = "data.test_features_windows", "data.test_series"
SCORES, MODELS = "tasks.test_forecasting", "models.test_windows"


def folder(path: Path) -> Path:
    return path


FORECASTING = {
    "the last window of a split is dropped": Mutant(
        *("data.features.windows:Windows.encode", "horizon - first + 1", "horizon - first"),
        f"{WINDOWS}:test_every_window_of_a_split_counts_once_whatever_the_batch",
        (folder,),
    ),
    "windows of a split do not look back": Mutant(
        *("data.features.windows:Windows.encode", "series.first - length)", "series.first)"),
        f"{WINDOWS}:test_every_window_of_a_split_counts_once_whatever_the_batch",
        (folder,),
    ),
    "a missing target counts": Mutant(
        *(
            "tasks.forecasting:Forecasting.make_batch",
            "~missing[:, length:]",
            "~missing[:, length:] | True",
        ),
        f"{WINDOWS}:test_a_missing_value_is_read_as_the_one_before_and_is_not_a_target",
        (folder,),
    ),
    "a gap is filled from the future": Mutant(
        *("data.datasets.series:forward_fill", "np.where(known", "np.where(~known"),
        f"{SERIES}:test_gaps_are_filled_with_the_value_before",
    ),
    "times out of order are read": Mutant(
        *("data.datasets.series_file:_on_a_grid", "row.time < before.time", "False"),
        *(f"{SERIES}:test_bad_files_are_one_line", (folder,)),
    ),
    "pinball without its lower side": Mutant(
        *("tasks.forecast_scores:pinball", "(q - 1) * error", "0 * error"),
        f"{SCORES}:test_figures_are_the_definitions_and_skip_what_is_missing",
    ),
    "coverage counts what is missing": Mutant(
        *("tasks.forecast_scores:score_forecast", "below * weights[..., None]", "below * 1.0"),
        f"{SCORES}:test_figures_are_the_definitions_and_skip_what_is_missing",
    ),
    "mase over the border of two series": Mutant(
        *("tasks.forecast_scores:season_errors", "column.ends[:-1]", "[]"),
        f"{SCORES}:test_mase_is_in_errors_of_the_season_and_crosses_no_border",
    ),
    "the last season begins one step late": Mutant(
        *(
            "tasks.forecast_scores:last_season",
            "np.arange(horizon) %",
            "(np.arange(horizon) + 1) %",
        ),
        f"{SCORES}:test_baselines_are_their_definitions",
    ),
    "the ridge forgets the last value": Mutant(
        *("tasks.forecast_scores:ridge", "inputs - last, weights) + last", "inputs, weights)"),
        f"{SCORES}:test_baselines_are_their_definitions",
    ),
    "channels are taken for steps": Mutant(
        "tasks.forecasting:Forecasting._split",
        *("jnp.swapaxes(x, 1, 2).reshape", "x.reshape"),
        f"{SCORES}:test_separate_channels_are_forecast_one_by_one",
    ),
    "a forecast is not moved back": Mutant(
        *("tasks.forecasting:Forecasting._leave", "+ shift[..., None]", "+ 0 * shift[..., None]"),
        f"{SCORES}:test_a_window_is_scaled_and_scaled_back",
    ),
    "training reads the value that it predicts": Mutant(
        "tasks.forecasting:Forecasting._follow",
        *("axis=1)[:, :-1] - shift", "axis=1)[:, 1:] - shift"),
        f"{SCORES}:test_a_recursive_forecast_reads_its_own_and_training_reads_the_truth",
    ),
    "segments of other rows begin with the state": Mutant(
        "models.segment_rnn:SegmentRNN.transform",
        *("jnp.repeat(leaf, size, axis=0)", "jnp.tile(leaf, (size, 1))"),
        f"{MODELS}:test_a_segment_rnn_reads_segments_and_writes_each_from_the_same_state",
    ),
    "the average does not see the ends": Mutant(
        *("models.window_linear:moving_average", "[first, x, last]", "[0 * first, x, 0 * last]"),
        f"{MODELS}:test_the_linear_map_sees_the_whole_window_or_its_average_and_the_rest",
    ),
}
