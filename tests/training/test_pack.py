"""Packs: each member is the lone run, resumes by itself, and diverges by itself."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.configs._diagnostics import make_config
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.training import Schedule
from seqmodels.data.datasets import diagnostics
from seqmodels.distributed.mesh import mesh_context
from seqmodels.runs.paths import flat
from seqmodels.runs.rows import read_rows
from seqmodels.runs.run import load_run
from seqmodels.training.loop import train
from seqmodels.training.pack import (
    Outcome,
    check_pack,
    make_pack_call,
    pack_key,
    train_pack,
)
from seqmodels.training.packed_arrays import stack_padded
from tests.opening import load, set_up

COUNTS = {"train": 90, "validation": 20, "test": 20, "longer": 10}
FIRST, LAST = 6, 9


def make(
    seed: int, num_steps: int, peak_lr: float = 0.02, dropout: float = 0.0, **optimizer: Any
) -> ExperimentConfig:
    """A run whose batches have two shapes, so that those of a pack are padded."""
    config = make_config(
        "reverse:5",
        RecurrentConfig(cell="gru", model_dim=6, hidden_dim=8, dropout_rate=dropout),
        num_steps=num_steps,
        peak_lr=peak_lr,
        evaluate_every=3,
        optimizer={"schedule": Schedule.CONSTANT, "warmup_steps": 0, **optimizer},
        training={"seed": seed, "mesh_data": 1},
        batch_size=10,
    )
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, log_every=3, keep_checkpoints=5)
    )


@dataclasses.dataclass(frozen=True)
class Runs:
    """Packed to step 6, one of them further, by itself and in a pack with one at step 0; and the
    lone run that they are to equal."""

    folder: Path
    outcomes: list[Outcome]
    later: list[Outcome]

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("pack")
    with pytest.MonkeyPatch.context() as patch:
        for split, count in COUNTS.items():
            patch.setitem(diagnostics.COUNTS, split, count)
        pack = {
            "a": make(0, FIRST),
            "b": make(1, FIRST, 0.01, weight_decay=0.5),
            "bad": make(2, FIRST, 3e38),
        }
        outcomes = train_pack([(config, folder / name) for name, config in pack.items()])
        shutil.copytree(folder / "a", folder / "alone")
        train(make(0, LAST), folder / "alone")
        later = train_pack([(make(0, LAST), folder / name) for name in ("a", "fresh")])
        train(make(0, LAST), folder / "never packed")
        yield Runs(folder, outcomes, later)


def assert_equal(one: Path, other: Path) -> None:
    """Equal parameters at every checkpoint, and equal rows, up to rounding."""
    for step in (3, FIRST, LAST):
        left, right = (load_run(path, step).params for path in (one, other))
        difference = jax.tree.map(lambda x, y: np.abs(x - y).max(), left, right)
        assert max(jax.tree.leaves(difference)) < 1e-5, (one, step)
    rows, wanted = (read_rows(path / "metrics.jsonl") for path in (one, other))
    assert [(row["step"], row["split"]) for row in rows] == [
        (row["step"], row["split"]) for row in wanted
    ]
    for row, lone in zip(rows, wanted, strict=True):
        for name in ("loss", "accuracy", "learning_rate", "gradient_norm"):
            if name in lone:
                assert row[name] == pytest.approx(lone[name], rel=1e-5, abs=1e-5), (name, row)


def test_a_member_is_the_lone_run_and_resumes_alone(runs: Runs) -> None:
    assert_equal(runs / "alone", runs / "never packed")
    assert runs.outcomes[0] == Outcome(runs / "a", FIRST, None, 0)


@pytest.mark.grid
def test_a_pack_resumes_members_at_different_steps(runs: Runs) -> None:
    assert_equal(runs / "a", runs / "never packed")
    assert_equal(runs / "fresh", runs / "never packed")
    assert [(one.step, one.problem) for one in runs.later] == [(LAST, None)] * 2


def test_members_differ(runs: Runs) -> None:
    first, second = (read_rows(runs / name / "metrics.jsonl")[0]["loss"] for name in "ab")
    assert abs(first - second) > 1e-3


def test_a_member_that_diverges_is_named_and_does_not_stop_the_others(runs: Runs) -> None:
    bad = runs.outcomes[2]
    assert bad.problem is not None and "is not finite" in bad.problem
    assert str(runs / "bad") in bad.problem and bad.exit_status == 0
    assert all(row["loss"] < 1e30 for row in read_rows(runs / "bad" / "metrics.jsonl"))
    assert not list((runs / "bad" / "checkpoints").glob("[0-9]*"))


def test_what_cannot_be_packed_is_refused(tmp_path: Path) -> None:
    one = make(0, 6)
    other = dataclasses.replace(make(1, 6), model=RecurrentConfig(cell="gru", hidden_dim=9))
    fitted = dataclasses.replace(one, model=NgramConfig())
    started = make(0, 6)
    started.training.init_from = "runs/first"
    a, b = tmp_path / "a", tmp_path / "b"
    cases: list[tuple[list[Any], str]] = [
        ([], "a pack needs a run"),
        ([(one, a), (make(1, 6), a)], "cannot share it"),
        ([(one, a), (make(1, 7), b)], "training.num_steps: 6 -> 7"),
        ([(one, a), (other, b)], "model.hidden_dim: 8 -> 9"),
        ([(fitted, a)], "model.kind=ngram is counted"),
        ([(started, a)], "training.init_from=runs/first"),
        (
            [(make(0, 6, dropout=0.2), a), (make(1, 6, dropout=0.2), b)],
            "model.dropout_rate=0.2 with data.max_shapes=2",
        ),
    ]
    for runs, words in cases:
        with pytest.raises(UserError, match=words):
            check_pack(runs)
    assert not list(tmp_path.iterdir())
    assert pack_key(one) == pack_key(make(3, 6, 0.5, weight_decay=0.1)) != pack_key(other)


def test_dropout_and_rates_of_a_member_are_its_own(runs: Runs) -> None:
    """One call of two members, of which one has the state and the rates of the lone step."""
    config = make(0, FIRST, 0.01, dropout=0.3, weight_decay=0.1)
    data = load(config)
    setup = set_up(config, data.spec, carries_state=False)
    batch = data.batches(config).batch(1)
    states = [setup.create_state(seed) for seed in (0, 1)]
    stack = lambda *trees: jax.tree.map(lambda *x: jnp.stack(x), *trees)
    rates = {"peak_lr": jnp.array([0.01, 0.02]), "weight_decay": jnp.array([0.1, 0.0])}
    given = stack(*states), jnp.array([True, False]), rates, stack(batch, batch)
    with mesh_context(setup.mesh):
        packed, alive, _ = jax.jit(make_pack_call(config, setup))(*given)
        lone, _ = setup.call(states[0], batch)
    for path, wanted in flat(lone.params).items():
        found = flat(packed.params)[path]
        np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(found[1], flat(given[0].params)[path][1])
    assert alive.tolist() == [True, False] and packed.step.tolist() == [1, 0]


def test_batches_of_different_lengths_are_filled_up_with_padding() -> None:
    short, long = np.ones((2, 3), np.int32), np.full((2, 5), 2, np.int32)
    stacked = stack_padded([short, long])
    assert stacked.tolist() == [[[1, 1, 1, 0, 0]] * 2, [[2] * 5] * 2]
    assert stack_padded([short, short]).shape == (2, 2, 3)
