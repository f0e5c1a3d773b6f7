"""The trainer in this process on a small text: stops, checkpoints, models and batchings."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import (
    Dtype,
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    TrainingConfig,
)
from seqmodels.config.transformers import GPTConfig
from seqmodels.config.validate import validate
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.rows import read_rows
from seqmodels.runs.run import load_run
from seqmodels.training import loop
from seqmodels.training.loop import NonFiniteError, train
from seqmodels.training.optimizers import make_schedule
from tests.tolerances import TOLERANCE
from tests.training.runs import make_setting, rows_without_clock

LSTM = RecurrentConfig(model_dim=8, hidden_dim=12)
GPT = GPTConfig(num_layers=2, model_dim=12, num_heads=3, mlp_dim=20, max_length=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_setting(tmp_path_factory.mktemp("text")).folder


Make = Callable[..., ExperimentConfig]


@pytest.fixture
def make(folder: Path) -> Make:
    return make_over(folder)


def make_over(folder: Path) -> Make:
    """Makes small configs over the text of a folder."""

    def make_config(model: ModelConfig = LSTM, **fields: Any) -> ExperimentConfig:
        config = ExperimentConfig(
            model=model,
            data=TextDataConfig(
                name="text_file",
                path=str(folder / "text.txt"),
                cache_dir=str(folder / "cache"),
                sequence_length=16,
                batch_size=4,
            ),
            task=LanguageModelConfig(),
            optimizer=OptimizerConfig(warmup_steps=0),
            training=TrainingConfig(num_steps=8, log_every=2, evaluate_every=4, checkpoint_every=4),
            evaluation=EvaluationConfig(sequence_length=16, batch_size=16),
        )
        for name, value in fields.items():
            section, _, field = name.partition("__")
            setattr(getattr(config, section), field, value)
        validate(config)
        return config

    return make_config


def losses(workdir: Path, split: str) -> list[float]:
    return [row["loss"] for row in read_rows(workdir / "metrics.jsonl") if row["split"] == split]


def test_fields_of_rows(make: Make, tmp_path: Path) -> None:
    assert train(make(), tmp_path) == 0
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [(r["step"], r["split"]) for r in rows] == [
        *((2, "train"), (4, "train"), (4, "validation")),
        *((6, "train"), (8, "train"), (8, "validation")),
    ]
    fields = {"loss", "learning_rate", "gradient_norm", "parameter_norm", "tokens_per_second"}
    assert fields <= rows[0].keys()
    assert {"loss", "perplexity", "bits_per_byte", "num_targets"} <= rows[2].keys()
    assert all(math.isfinite(v) for r in rows for v in r.values() if isinstance(v, float))
    assert rows[-1]["loss"] < rows[2]["loss"] < math.log(20)


def test_rows_hold_the_learning_rate_of_their_step(make: Make, tmp_path: Path) -> None:
    config = make(optimizer__warmup_steps=5, training__steps_per_call=2)
    assert train(config, tmp_path) == 0
    rows = read_rows(tmp_path / "metrics.jsonl")
    found = [row["learning_rate"] for row in rows if row["split"] == "train"]
    schedule = make_schedule(config.optimizer, config.training.num_steps)
    expected = [float(schedule(step - 1)) for step in (2, 4, 6, 8)]
    np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])


def test_a_signal_during_evaluation_saves_that_step(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(loop.Evaluator):
        def __call__(self, *arguments: Any) -> dict[str, Any]:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().__call__(*arguments)

    monkeypatch.setattr(loop, "Evaluator", Interrupted)
    config = make(training__checkpoint_every=100, training__num_steps=100)
    assert train(config, tmp_path) == 143
    assert len(losses(tmp_path, "validation")) == 1
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps() == [4]


@pytest.mark.parametrize(("metric", "best"), [("loss", 6), ("accuracy", 8)])
def test_the_best_evaluation_is_kept_at_any_interval(
    make: Make, tmp_path: Path, metric: str, best: int
) -> None:
    """The lowest or the highest, as the metric has it."""
    values = iter([0.5, 0.4, 0.3, 0.9, 0.6, 0.7])  # after step 2, 4, ..

    class Scripted(loop.Evaluator):
        def __call__(self, *arguments: Any) -> dict[str, Any]:
            return {**super().__call__(*arguments), metric: next(values)}

    config = make(
        training__best_metric=metric,
        training__num_steps=12,
        training__evaluate_every=2,
        training__checkpoint_every=10,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Evaluator", Scripted)
        assert train(config, tmp_path) == 0
    assert load_run(tmp_path, "best").step == best


def test_the_clock_runs_forward_and_the_last_step_has_a_row(make: Make, tmp_path: Path) -> None:
    train(make(training__log_every=6), tmp_path)
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [r["step"] for r in rows if r["split"] == "train"] == [6, 8]
    seconds = [r["seconds"] for r in rows]
    assert seconds == sorted(seconds)


def test_an_empty_validation_split_is_reported_before_training(make: Make, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("a text of twenty-five or so")
    config = make(data__path=str(tmp_path / "short.txt"), data__batch_size=1)
    with pytest.raises(UserError, match="split validation has 1 token: nothing to predict"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_fitted_model_that_cannot_be_read_is_fitted_again(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], sealed: bool
) -> None:
    config = make(NgramConfig(order=2), evaluation__context=EvaluationContext.CARRY)
    train(config, tmp_path)
    checkpoint = tmp_path / "checkpoints" / "1"
    if sealed:
        next((checkpoint / "params").rglob("manifest.ocdbt")).write_bytes(b"")
    else:  # its process was killed before it could be sealed, and it is not complete
        (checkpoint / "seal.json").unlink()
        shutil.rmtree(checkpoint / "params")
    assert train(config, tmp_path) == 0
    assert "fitting again: no usable checkpoint" in capsys.readouterr().err
    assert load_run(tmp_path).step == 1
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 1


def test_a_non_finite_loss_stops_the_run_and_names_the_step(make: Make, tmp_path: Path) -> None:
    config = make(optimizer__clip_norm=None)
    config.training.num_steps = 4
    train(config, tmp_path / "good")
    broken = make(optimizer__peak_lr=3e38, optimizer__clip_norm=None)
    with pytest.raises(NonFiniteError, match=r"step 2 is not finite.*--step=2.*nothing was saved"):
        train(broken, tmp_path / "broken")
    with Checkpoints(tmp_path / "broken" / "checkpoints") as checkpoints:
        assert checkpoints.steps() == []
    assert losses(tmp_path / "broken", "validation") == []


def poisoned(at: int) -> type[loop.Feed]:
    """A feed with a step whose weights are NaN."""

    class Poisoned(loop.Feed):
        def __call__(self, step: int) -> Any:
            batch = super().__call__(step)
            if step == at:
                nan = batch.loss_weights * np.float32("nan")
                batch = type(batch)(batch.inputs, batch.targets, nan, batch.segment_ids)
            return batch

    return Poisoned


def test_a_step_that_is_not_finite_is_not_saved(make: Make, tmp_path: Path) -> None:
    """A save is due at that step, and no evaluation would notice."""
    config = make(training__checkpoint_every=2, training__evaluate_every=8)
    with mock.patch.object(loop, "Feed", poisoned(6)), contextlib.suppress(NonFiniteError):
        train(config, tmp_path)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps() == [2, 4]


def test_the_last_good_checkpoint_survives_a_later_nan(make: Make, tmp_path: Path) -> None:
    raises = pytest.raises(NonFiniteError, match=r"step 7 is not finite.*step 4 is kept")
    with mock.patch.object(loop, "Feed", poisoned(7)), raises:
        train(make(), tmp_path)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps() == [4]
        assert checkpoints.seal_state(4)[0] == "sealed"


def test_early_stopping_saves_where_it_stops_and_stays_stopped(make: Make, tmp_path: Path) -> None:
    config = make(
        optimizer__peak_lr=1e-12, training__num_steps=40, training__early_stopping_patience=2
    )
    config.training.evaluate_every = config.training.checkpoint_every = 2
    for _ in range(2):
        assert train(config, tmp_path) == 0
        found = losses(tmp_path, "validation")
        assert 3 <= len(found) < 20
        assert min(found[-2:]) >= min(found[:-2])
        with Checkpoints(tmp_path / "checkpoints") as checkpoints:
            assert checkpoints.steps()[-1] == 2 * len(found)


@pytest.mark.hard
def test_the_test_split_decides_nothing(make: Make, tmp_path: Path) -> None:
    """Runs over data that differ only in the test split are equal, early stopping included."""
    paths = {f"data__{name}_path": str(tmp_path / name) for name in ("train", "validation", "test")}
    (tmp_path / "train").write_text("salt and serial numbers " * 40)
    (tmp_path / "validation").write_text("serial numbers and salt " * 8)
    made = []
    for number, text in enumerate(
        ("salt and serial numbers " * 8, "QUITE OTHER: \u00e9\u4e2d " * 9)
    ):
        (tmp_path / "test").write_text(text)
        config = make(data__path=None, **paths, optimizer__peak_lr=3.0, training__num_steps=20)
        config.training.evaluate_every, config.training.checkpoint_every = 2, 20
        config.training.early_stopping_patience = 1
        workdir = tmp_path / f"run{number}"
        assert train(config, workdir) == 0
        made.append((rows_without_clock(workdir), (workdir / "tokenizer.json").read_text()))
    assert made[0] == made[1]
    assert made[0][0][-1]["step"] < 20
    prints = [(tmp_path / f"run{n}" / "data.json").read_text() for n in range(2)]
    assert prints[0] != prints[1]


BATCHINGS = [
    *((LSTM, batching) for batching in (Batching.STREAMS, Batching.BUCKETS)),
    (GPT, Batching.PACKED),
    *(
        pytest.param(LSTM, batching, marks=pytest.mark.grid)
        for batching in (Batching.CROPS, Batching.WINDOWS, Batching.PACKED)
    ),
    *(
        pytest.param(GPT, batching, marks=pytest.mark.grid)
        for batching in (Batching.CROPS, Batching.WINDOWS, Batching.BUCKETS)
    ),
]


@pytest.mark.parametrize(("model", "batching"), BATCHINGS)
def test_every_model_learns_from_every_batching(
    make: Make, tmp_path: Path, folder: Path, model: ModelConfig, batching: Batching
) -> None:
    config = make(model, data__batching=batching)
    if batching in (Batching.PACKED, Batching.BUCKETS):
        # Many short documents, one per file.
        words = (folder / "text.txt").read_text().split()
        for split, part in (("train", words[:2000]), ("validation", words[2000:])):
            (tmp_path / split).mkdir()
            for n in range(0, len(part), 9):
                text = " ".join(part[n : n + 3 + n % 7])
                (tmp_path / split / f"{n:05}.txt").write_text(text)
        config.data.path = None
        config.data.train_path = str(tmp_path / "train" / "*.txt")
        config.data.validation_path = str(tmp_path / "validation" / "*.txt")
        validate(config)
    assert train(config, tmp_path / "run") == 0
    first, last = losses(tmp_path / "run", "validation")
    assert last < first < math.log(25)


@pytest.mark.parametrize(
    "model", [LSTM, pytest.param(GPT, marks=pytest.mark.grid)], ids=["lstm", "gpt"]
)
def test_bfloat16_accumulation_and_several_steps_a_call(
    make: Make, tmp_path: Path, model: ModelConfig
) -> None:
    config = make(model, training__accumulation_steps=2, training__steps_per_call=2)
    train(config, tmp_path / "float32")
    config.training.dtype = Dtype.BFLOAT16
    train(config, tmp_path / "bfloat16")
    exact, rounded = (losses(tmp_path / d, "train") for d in ("float32", "bfloat16"))
    np.testing.assert_allclose(rounded, exact, **TOLERANCE["bfloat16"])
    assert rounded != exact
    run = load_run(tmp_path / "bfloat16")
    assert {str(x.dtype) for x in jax.tree.leaves(run.params)} == {"float32"}


def test_the_moving_average_is_evaluated_and_loaded(make: Make, tmp_path: Path) -> None:
    plain, averaged = make(), make(training__ema_decay=0.5)
    train(plain, tmp_path / "plain")
    train(averaged, tmp_path / "averaged")
    assert losses(tmp_path / "plain", "train") == losses(tmp_path / "averaged", "train")
    assert losses(tmp_path / "plain", "validation") != losses(tmp_path / "averaged", "validation")
    a, b = (load_run(tmp_path / name).params for name in ("plain", "averaged"))
    differ = jax.tree.map(lambda x, y: bool((x != y).any()), a, b)
    assert any(jax.tree.leaves(differ))


def test_a_fitted_model_is_saved_as_step_1_and_not_fitted_twice(make: Make, tmp_path: Path) -> None:
    config = make(NgramConfig(order=3), evaluation__context=EvaluationContext.CARRY)
    for _ in range(2):
        assert train(config, tmp_path) == 0
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 1
    assert load_run(tmp_path).step == 1
