"""The runs of a sweep: combinations, draws, names, and one line for each mistake."""

from __future__ import annotations

import math

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.files import load_config
from seqmodels.config.serialization import differences
from seqmodels.sweeps.grid import plan


def test_runs_are_all_combinations_named_by_what_differs() -> None:
    config = load_config("demo_lstm")
    runs = plan(config, {"optimizer.peak_lr": "1e-3,3e-4", "training.seed": "0..2"}, None)
    assert [run.name for run in runs] == [
        f"peak_lr={rate},seed={seed}" for rate in ("0.001", "0.0003") for seed in range(3)
    ]
    assert runs[4].values == {"optimizer.peak_lr": 3e-4, "training.seed": 1}
    changed = differences(config, runs[4].config)
    assert [line.partition(":")[0] for line in changed] == list(runs[4].values)
    assert config == load_config("demo_lstm")


def test_values_of_every_type() -> None:
    sweeps = {
        "model.tie_embeddings": "false,true",
        "optimizer.clip_norm": "none,1",
        "optimizer.schedule": "constant,cosine",
        "optimizer.lr_scales": "embedding=0.1,head=10;head=2",
    }
    config = load_config("demo_lstm")
    config.model.hidden_dim = config.model.model_dim
    runs = plan(config, sweeps, None)
    assert len({run.name for run in runs}) == 16
    assert runs[0].name.startswith("tie_embeddings=false,clip_norm=none,schedule=constant,lr_")
    assert runs[-1].config.optimizer.lr_scales == "head=2"
    assert all("=" in run.name and "/" not in run.name for run in runs)


def test_points_are_drawn_between_the_bounds_and_kept_when_there_are_more() -> None:
    config = load_config("demo_lstm")
    sweeps = {
        "optimizer.peak_lr": "log:1e-4..1e-1",
        "model.hidden_dim": "linear:8..64",
        "training.seed": "0,1",
    }
    few, many = plan(config, sweeps, 3), plan(config, sweeps, 150)
    assert len(few) == 6 and [run.values for run in many[:6]] == [run.values for run in few]
    assert len({run.name for run in many}) == 300
    rates = [run.config.optimizer.peak_lr for run in many[::2]]
    widths = [run.config.model.hidden_dim for run in many[::2]]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert set(widths) <= set(range(8, 65)) and len(set(widths)) > 30
    # A third of the numbers in each decade, within five standard deviations.
    decades = [math.floor(math.log10(rate)) for rate in rates]
    for decade in (-4, -3, -2):
        assert abs(decades.count(decade) - 50) < 5 * math.sqrt(150 * 2 / 9)
    assert abs(sum(widths) / 150 - 36) < 5 * 16.5 / math.sqrt(150)


@pytest.mark.parametrize(
    ("field", "text", "num_random", "message"),
    [
        ("optimizer.peek_lr", "1", None, "--sweep.optimizer.peek_lr: .* did you mean 'peak_lr'"),
        ("optimizer.peak_lr", "1,x", None, "=x: must be a number .in --sweep.opt.*=1,x"),
        ("optimizer.peak_lr", "0.1,-1", None, "run peak_lr=-1.0: --sweep.*=-1.0: must be above 0"),
        ("optimizer.peak_lr", "0.1,,1", None, "a value is empty"),
        ("optimizer.peak_lr", "1e-3,0.001", None, "0.001 is listed twice"),
        ("optimizer.peak_lr", "lag:1e-3..1", 2, "'lag' is not a scale; did you mean 'log'"),
        ("optimizer.peak_lr", "log:0..1", 2, "must be log:LOW..HIGH with 0 < LOW < HIGH"),
        ("optimizer.peak_lr", "linear:2..1", 2, "must be linear:LOW..HIGH with LOW < HIGH"),
        ("optimizer.peak_lr", "log:1e-3..1", None, "needs --random=N"),
        ("optimizer.peak_lr", "1,2", 3, "--random=3: draws from --sweep.FIELD=log"),
        ("model.cell", "log:1..2", 1, "numbers are drawn, and model.cell does not hold one"),
        ("model.cell", "lstm,gruu", None, "--sweep.model.cell=gruu: .* did you mean 'gru'"),
        ("model", "lstm", None, "--sweep.model: a section cannot be replaced"),
        ("training.seed", "3..1", None, "must be FIRST..LAST with FIRST <= LAST"),
        ("training.seed", "0..99999", None, "at most 10,000 values are allowed"),
    ],
)
def test_a_mistake_is_one_line(field: str, text: str, num_random: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(load_config("demo_lstm"), {field: text}, num_random)


def test_too_many_runs_are_refused() -> None:
    sweeps = {"training.seed": "0..999", "optimizer.peak_lr": ",".join(map(str, range(1, 12)))}
    with pytest.raises(UserError, match=r"--sweep: 11,000 runs; at most 10,000 are allowed"):
        plan(load_config("demo_lstm"), sweeps, None)


def test_names_that_would_be_equal_or_too_long_get_a_hash() -> None:
    config = load_config("demo_lstm")
    runs = plan(config, {"data.cache_dir": "a/b,a_b," + "c" * 300}, None)
    assert len({run.name for run in runs}) == 3
    assert all("/" not in run.name and len(run.name) < 200 for run in runs)
