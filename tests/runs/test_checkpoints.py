"""Checkpoints: which are kept, how damage is detected, and what is used instead."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from concurrent.futures import wait
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqmodels.config.errors import RunFailure, UserError
from seqmodels.config.tasks import ACCURACY
from seqmodels.runs import checkpoints
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.seals import SealState, check_seal
from seqmodels.types import TrainState


def make_state(step: int) -> TrainState:
    params = {"layer": {"kernel": jnp.full((3, 5), float(step)), "bias": jnp.arange(5.0)}}
    return TrainState(
        step=jnp.int32(step),
        params=params,
        opt_state=optax.adam(1e-3).init(params),
        key=jax.random.key(step),
        log={"loss": (jnp.float32(step), jnp.float32(2))},
        carry={"h": jnp.ones((2, 7)) * step},
        ema=jax.tree.map(lambda x: -x, params),
    )


def abstract() -> TrainState:
    state = make_state(0)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), state)


def save_steps(directory: Path, losses: dict[int, float | None], keep: int = 2) -> None:
    with Checkpoints(directory, keep, writable=True) as checkpoints:
        for step, loss in losses.items():
            checkpoints.save(step, make_state(step), None if loss is None else {"loss": loss})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of steps 2 (best), 4 and 5, the last without metrics."""
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    save_steps(directory, {1: 3.0, 2: 1.0, 3: 2.0, 4: 2.5, 5: None})
    return directory


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "checkpoints"))


def same(a: TrainState, b: TrainState) -> bool:
    def raw(x: jax.Array) -> np.ndarray:
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x)

    equal = jax.tree.map(lambda x, y: bool((raw(x) == raw(y)).all()), a, b)
    return all(jax.tree.leaves(equal))


def test_the_latest_and_the_best_are_kept_and_all_are_sealed(saved: Path) -> None:
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.steps() == [2, 4, 5]
        assert checkpoints.metrics() == {2: {"loss": 1.0}, 4: {"loss": 2.5}}
        assert [checkpoints.seal_state(s)[0] for s in (2, 4, 5)] == [SealState.SEALED] * 3


def test_the_best_is_the_highest_where_more_is_better(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "run", 1, ACCURACY, writable=True) as checkpoints:
        for step, accuracy in {1: 0.5, 2: 0.75, 3: 0.25, 4: 0.5}.items():
            checkpoints.save(step, make_state(step), {"loss": 1.0 / step, "accuracy": accuracy})
        checkpoints.wait()
        assert checkpoints.steps() == [2, 4]
        assert checkpoints.restore(abstract(), "best")[0] == 2


@pytest.mark.parametrize(("which", "step"), [("latest", 5), ("best", 2), (4, 4)])
def test_restore_is_bitwise(saved: Path, which: str | int, step: int) -> None:
    with Checkpoints(saved) as checkpoints:
        used, state = checkpoints.restore(abstract(), which)
    assert used == step
    assert same(state, make_state(step))
    assert type(state.opt_state[0]) is type(make_state(0).opt_state[0])


def test_parameters_and_their_average_can_be_loaded_alone(saved: Path) -> None:
    with Checkpoints(saved) as checkpoints:
        step, params = checkpoints.restore_params(abstract().params)
        assert step == 2
        assert float(params["layer"]["kernel"][0, 0]) == 2.0
        _, ema = checkpoints.restore_params(abstract().ema, "latest", ema=True)
        assert float(ema["layer"]["kernel"][0, 0]) == -5.0
        step, shapes = checkpoints.abstract_params()
        assert step == 2 and shapes["layer"]["bias"].shape == (5,)


def data_files(directory: Path) -> list[str]:
    return sorted(
        p.relative_to(directory / "5").as_posix()
        for p in (directory / "5").rglob("*")
        if p.is_file()
    )


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes()) or bytearray(b"\0")
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGE = {
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "flipped": flip_bit,
    "removed": lambda p: p.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_damaged_file_is_detected_and_the_previous_step_used(
    copy: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in data_files(copy):
        victim = copy / "5" / name
        before = victim.read_bytes()
        if not before and damage == "truncated":
            continue
        DAMAGE[damage](victim)
        state, _ = check_seal(copy / "5")
        # Without its seal a step is not known to be complete; it is tried, and may load.
        removed_seal = name == "seal.json" and damage == "removed"
        assert state is (SealState.UNSEALED if removed_seal else SealState.DAMAGED), name
        victim.write_bytes(before)
    largest = max((copy / "5").rglob("*"), key=lambda p: p.stat().st_size * p.is_file())
    DAMAGE[damage](largest)
    with caplog.at_level(logging.WARNING), Checkpoints(copy) as checkpoints:
        used, state = checkpoints.restore(abstract(), "latest")
        assert used == 4 and same(state, make_state(4))
        assert "step 5 is damaged" in caplog.text
        with pytest.raises(UserError, match="step 5 is damaged"):
            checkpoints.restore(abstract(), 5)


def test_an_unexpected_file_is_damage(copy: Path) -> None:
    (copy / "5" / "params" / "strange").write_text("")
    assert check_seal(copy / "5") == (SealState.DAMAGED, ["params/strange"])


@pytest.mark.parametrize("content", ["{", "[]", "\udcff"])
def test_damaged_metrics_do_not_prevent_opening(copy: Path, content: str) -> None:
    path = copy / "4" / "metrics" / "metrics"
    path.write_text(content, errors="surrogateescape")
    with Checkpoints(copy) as opened:
        assert 4 not in opened.metrics()
        assert opened.restore(abstract(), "latest")[0] == 5
        assert opened.seal_state(4)[0] is SealState.DAMAGED
    assert path.exists()
    opens = True
    try:
        with Checkpoints(copy, 3, writable=True) as opened:
            opened.save(6, make_state(6), {"loss": 0.5})
            opened.wait()
            assert opened.restore(abstract(), "best")[0] == 6
            assert opened.seal_state(4)[0] is SealState.DAMAGED
    except ValueError:
        opens = False
    assert opens


def test_an_unsealed_step_is_used_if_complete_and_skipped_otherwise(copy: Path) -> None:
    (copy / "5" / "seal.json").unlink()
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.restore(abstract(), "latest")[0] == 5
    for manifest in (copy / "5").rglob("manifest.ocdbt"):
        manifest.unlink()
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.restore(abstract(), "latest")[0] == 4


def test_all_damaged_is_refused_in_one_line(copy: Path) -> None:
    for seal in copy.rglob("seal.json"):
        seal.write_text(json.dumps({"params/x": "0"}))
    with Checkpoints(copy) as checkpoints, pytest.raises(UserError) as error:
        checkpoints.restore(abstract(), "latest")
    message = str(error.value)
    assert "\n" not in message
    assert all(f"step {s} is damaged" in message for s in (2, 4, 5))


def test_a_full_disk_is_reported_in_one_line(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(directory: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints, "write_seal", full)
    with Checkpoints(copy, writable=True) as opened:
        opened.save(6, make_state(6), None)
        assert opened._sealing is not None
        wait([opened._sealing])
        with pytest.raises(RunFailure) as error:
            opened.check()  # before the next save
        opened.check()
        assert opened.restore(abstract(), "latest")[0] == 6  # committed, not sealed
    assert str(error.value) == (
        f"the checkpoint of step 6 could not be saved in {copy}: No space left on device; the "
        "same command resumes from step 6, which is kept"
    )


def test_missing_checkpoints_and_steps_are_reported(tmp_path: Path, saved: Path) -> None:
    with Checkpoints(tmp_path / "nothing") as checkpoints:
        assert checkpoints.steps() == []
        with pytest.raises(UserError, match="no checkpoint in"):
            checkpoints.restore(abstract())
    assert not (tmp_path / "nothing").exists()
    with Checkpoints(saved) as checkpoints, pytest.raises(UserError, match="steps: 2, 4, 5"):
        checkpoints.restore(abstract(), 3)


def test_a_shape_mismatch_names_the_parameter(saved: Path) -> None:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    other = {
        "layer": {
            "kernel": jax.ShapeDtypeStruct((4, 5), jnp.float32, sharding=device),
            "bias": jax.ShapeDtypeStruct((5,), jnp.float32, sharding=device),
        }
    }
    with Checkpoints(saved) as checkpoints, pytest.raises(UserError, match="params/layer/kernel"):
        checkpoints.restore_params(other)


def test_resuming_deletes_later_steps(copy: Path) -> None:
    with Checkpoints(copy, writable=True) as checkpoints:
        checkpoints.delete_after(4)
        assert checkpoints.steps() == [2, 4]
        checkpoints.save(5, make_state(5), {"loss": 0.5})
        checkpoints.wait()
        assert checkpoints.restore(abstract(), "best")[0] == 5


def test_a_reader_leaves_an_unfinished_save_alone(copy: Path) -> None:
    unfinished = copy / "6.orbax-checkpoint-tmp"
    unfinished.mkdir()
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.steps() == [2, 4, 5]
    assert unfinished.exists()
