"""input_wait: the share of the time in which the devices were idle because no batch was ready."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext, TrainingConfig
from seqmodels.data import prefetcher
from seqmodels.data.prefetcher import Prefetcher
from seqmodels.evaluation import evaluate
from seqmodels.runs import clock
from seqmodels.runs.clock import Clock
from seqmodels.runs.rows import read_rows
from seqmodels.training import feed
from seqmodels.training.loop import train
from tests.training.runs import make_setting


class FakeTime:
    """A clock that tests set, with an event for when it is read."""

    def __init__(self) -> None:
        self.now, self.looked = 0.0, threading.Event()

    def monotonic(self) -> float:
        seen = float(self.now)
        self.looked.set()
        return seen


class Devices:
    """Arrays that become ready after `seconds`."""

    def __init__(self, time: FakeTime, seconds: float) -> None:
        self._time, self._seconds = time, seconds

    def block_until_ready(self) -> Devices:
        self._time.now += self._seconds
        return self


def test_only_idle_time_of_the_devices_counts_as_waiting() -> None:
    """Each item takes 7 s, and the devices are busy for the first 5 s of them."""
    fake = FakeTime()

    def make(number: int) -> int:
        assert fake.looked.wait(60)
        fake.now += 2
        return number

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefetcher, "time", fake)
        things = Prefetcher(make)
        for number in (1, 2):
            fake.looked.clear()
            things.start(number, Devices(fake, 5))
            assert things.take(number) == number
        things.close()
    assert things.waited == 2 * 2 and fake.now == 2 * 7


def test_an_item_that_is_ready_in_time_is_not_waited_for() -> None:
    made = threading.Event()
    things = Prefetcher(lambda number: made.set() or number)
    things.start(3, None)
    assert made.wait(60)
    things.close()  # waits for the thread to end
    assert things.take(3) == 3
    assert things.waited == 0


def test_an_item_that_was_not_prefetched_is_made_at_once() -> None:
    things = Prefetcher(lambda number: number)
    things.start(3, None)
    assert [things.take(number) for number in (5, 3, 3)] == [5, 3, 3]
    things.close()


def test_an_error_while_prefetching_is_raised_by_take() -> None:
    things = Prefetcher(lambda number: 1 // number)
    things.start(0, None)
    with pytest.raises(ZeroDivisionError):
        things.take(0)
    things.close()


def test_the_clock_of_the_rows_excludes_stopped_time() -> None:
    fake = FakeTime()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "time", fake)
        watch = Clock(100.0, 10)
        fake.now = 4
        with watch.stopped():
            fake.now = 50
        assert watch.seconds == 104
        fake.now = 54
        assert watch.lap(12, 2.0) == (2, 8.0, 0.25)
        fake.now = 64
        assert watch.lap(16, 7.0) == (4, 10.0, 0.5)
        assert watch.seconds == 118


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    return make_config(tmp_path_factory.mktemp("text"))


def make_config(folder: Path) -> ExperimentConfig:
    folder = make_setting(folder).folder
    return ExperimentConfig(
        model=RecurrentConfig(model_dim=8, hidden_dim=12),
        data=TextDataConfig(
            name="text_file",
            path=str(folder / "text.txt"),
            cache_dir=str(folder / "cache"),
            sequence_length=16,
            batch_size=4,
        ),
        task=LanguageModelConfig(),
        training=TrainingConfig(num_steps=8, log_every=2, evaluate_every=8, checkpoint_every=8),
        evaluation=EvaluationConfig(sequence_length=16, batch_size=16),
    )


def train_with(
    config: ExperimentConfig, workdir: Path, batch_seconds: float, call_seconds: float
) -> list[dict[str, Any]]:
    """The rows of a run, if a batch and its computation took the given times in seconds.

    A batch that takes time is started when it is requested; one that takes none is ready.
    """
    fake, waits = FakeTime(), FakeTime()
    waits.monotonic = lambda: (float(fake.now), waits.looked.set())[0]

    class FakePrefetcher(Prefetcher):
        def __init__(self, make: Callable[[int], Any]) -> None:
            super().__init__(functools.partial(self._slowly, make))

        def _slowly(self, make: Callable[[int], Any], number: int) -> Any:
            if batch_seconds:
                assert waits.looked.wait(60)
            made = make(number)
            fake.now += batch_seconds if made is not None else 0
            return made

        def take(self, number: int) -> Any:
            made = super().take(number)
            fake.now += call_seconds if made is not None else 0
            return made

        def start(self, number: int, busy: Any) -> None:
            waits.looked.clear()
            super().start(number, busy)
            assert self._started is not None
            if not batch_seconds:
                concurrent.futures.wait([self._started[1]])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefetcher, "time", waits)
        for module in (clock, evaluate):
            patch.setattr(module, "time", fake)
        for module in (feed, evaluate):
            patch.setattr(module, "Prefetcher", FakePrefetcher)
        assert train(config, workdir) == 0
    return read_rows(workdir / "metrics.jsonl")


@pytest.mark.parametrize(
    ("batch_seconds", "call_seconds", "share"), [(3, 1, 0.75), (1, 1, 0.5), (0, 1, 0.0)]
)
def test_rows_hold_the_share_of_the_time_spent_waiting(
    config: ExperimentConfig,
    tmp_path: Path,
    batch_seconds: float,
    call_seconds: float,
    share: float,
) -> None:
    rows = train_with(config, tmp_path, batch_seconds, call_seconds)
    assert [row["split"] for row in rows] == ["train"] * 4 + ["validation"]
    assert [row["input_wait"] for row in rows] == [share] * 5


def test_the_row_of_a_fitted_model_holds_it_too(config: ExperimentConfig, tmp_path: Path) -> None:
    fitted = dataclasses.replace(
        config,
        model=NgramConfig(order=2),
        evaluation=dataclasses.replace(config.evaluation, context=EvaluationContext.CARRY),
    )
    (row,) = train_with(fitted, tmp_path, 1, 3)
    assert row["input_wait"] == 0.25
