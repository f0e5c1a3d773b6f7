"""Start from another run's parameters, frozen parts, and learning rates by part."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.data import Batching
from seqmodels.config.errors import UserError
from seqmodels.config.features import TokenizerKind, TokensConfig
from seqmodels.config.training import OptimizerConfig, OptimizerName, Schedule
from seqmodels.data.features.tokens import CLASS_TOKEN, Tokens
from seqmodels.data.words import WordTokenizer
from seqmodels.evaluation.evaluate import Evaluator, evaluate_run
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.inspect import describe
from seqmodels.runs.paths import flat
from seqmodels.runs.run import load_run
from seqmodels.training import loop
from seqmodels.training.initialize_from import _notes, compare, find_starting_point
from seqmodels.training.loop import train
from seqmodels.training.optimizers import make_optimizer
from tests.opening import load, set_up
from tests.tolerances import TOLERANCE
from tests.training.finetuning import LSTM, MODELS, begin, last_state, make_config, write_texts
from tests.training.runs import rows_without_clock

BYTES: dict[str, Any] = {"data__tokenizer": TokenizerKind.BYTE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, and a trained run of each model on characters and on bytes."""
    folder = write_texts(tmp_path_factory.mktemp("finetuning"))
    train(make_config(folder, "first"), folder / "lstm")
    train(make_config(folder, "first", **BYTES, training__ema_decay=0.5), folder / "lstm-bytes")
    return folder


@pytest.fixture(scope="module")
def gpt_bytes(folder: Path) -> Path:
    """A trained run of a GPT on bytes, for the tests of the grid."""
    train(make_config(folder, "first", MODELS["gpt"], **BYTES), folder / "gpt-bytes")
    return folder / "gpt-bytes"


@pytest.fixture
def with_source(folder: Path, name: str, request: pytest.FixtureRequest) -> Path:
    """The folder of texts with the run over bytes of the named model."""
    if name != "lstm":
        request.getfixturevalue(f"{name}_bytes")
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "lstm" else pytest.mark.grid) for n in MODELS]
)
def test_with_the_same_vocabulary_the_run_starts_at_the_source_s_loss(
    with_source: Path, name: str
) -> None:
    """Exactly; takes the moving average if there is one, and nothing but parameters."""
    folder = with_source
    init_from = f"{folder / f'{name}-bytes'}@4"
    config = make_config(
        folder,
        "first",
        MODELS[name],
        **BYTES,
        training__init_from=init_from,
        training__ema_decay=0.5,
    )
    setup, data, state, lines = begin(config)
    run = load_run(folder / f"{name}-bytes", 4)
    for tree in (state.params, state.ema):
        for path, x in flat(run.params).items():
            assert np.asarray(flat(tree)[path]).tobytes() == np.asarray(x).tobytes(), path
    evaluator = Evaluator(setup.model, data, config.evaluation, setup.task, 0)
    found = evaluator(state.ema, "validation")
    assert found["loss"] == evaluate_run(run, data, "validation")["loss"]
    assert int(state.step) == 0
    assert not any(np.asarray(x).any() for x in jax.tree.leaves(state.opt_state))
    average = ", their moving average" if name == "lstm" else ""
    total = len(flat(run.params))
    where = folder / f"{name}-bytes"
    assert lines == [f"init_from: {total} of {total} parameters from {where}, step 4{average}"]


def test_with_another_vocabulary_fresh_parameters_are_named(folder: Path, tmp_path: Path) -> None:
    config = make_config(folder, "second", training__init_from=str(folder / "lstm"))
    _, _, state, lines = begin(config)
    before, after = load(make_config(folder, "first")), load(config)
    v, w = before.tokenizer.vocab_size, after.tokenizer.vocab_size
    assert v != w
    assert lines[0].startswith("init_from: 3 of 6 parameters from ")
    (fresh,) = lines[1:]
    for part in (
        "3 newly initialised: ",
        f"embedding/table (here {w} x 6, source {v} x 6)",
        f"head/Dense_0/kernel (here 8 x {w}, source 8 x {v})",
        f"head/Dense_0/bias (here {w}, source {v})",
    ):
        assert part in fresh
    plain = make_config(folder, "second")
    unaided = set_up(plain, after.spec, carries_state=False).create_state(0)
    source = flat(load_run(folder / "lstm").params)
    for path, x in flat(state.params).items():
        expected = source[path] if path.startswith("layers") else flat(unaided.params)[path]
        np.testing.assert_array_equal(x, expected, err_msg=path)
    assert train(config, tmp_path / "run") == 0
    assert load_run(tmp_path / "run").step in (2, 4)


def test_names_are_listed_up_to_five() -> None:
    model = {"a": (2, 3), "b": (), **{f"c{n}": (n,) for n in range(5)}}
    match = compare({"a": (2, 3), "b": (1,), "d": (4, 5)}, model)
    assert match.taken == ("a",)
    assert match.lines() == [
        "6 newly initialised: b (here scalar, source 1), c0 (here 0, source none), "
        "c1 (here 1, source none), c2 (here 2, source none), c3 (here 3, source none) and 1 more",
        "1 of the source not used: d (4 x 5)",
    ]


def test_a_vocabulary_of_the_same_size_with_other_symbols_is_reported(folder: Path) -> None:
    config = make_config(folder, "equal", training__init_from=str(folder / "lstm"))
    lines = begin(config)[3]
    assert "6 of 6 parameters" in lines[0]
    assert "but different ones" in lines[1]


def test_other_symbols_are_reported_for_texts_with_classes_too(tmp_path: Path) -> None:
    WordTokenizer(["a", "b"]).save(tmp_path / "tokenizer.json")
    for word, count in (("c", 1), ("b", 0)):
        tokens = Tokens(TokensConfig(), WordTokenizer(["a", word]), (CLASS_TOKEN,), starts=True)
        found = _notes(tmp_path, {"inputs": tokens})
        assert len(found) == count and all("but different ones" in line for line in found)


def test_another_text_with_the_run_s_tokenizer_takes_all_parameters(folder: Path) -> None:
    config = make_config(
        folder,
        "second",
        training__init_from=str(folder / "lstm"),
        data__tokenizer=TokenizerKind.RUN,
        data__tokenizer_path=str(folder / "lstm"),
    )
    _, data, state, lines = begin(config)
    assert lines == [f"init_from: 6 of 6 parameters from {folder / 'lstm'}, step 4"]
    assert data.tokenizer.to_json() == load_run(folder / "lstm").tokenizer.to_json()
    for path, x in flat(load_run(folder / "lstm", 4).params).items():
        np.testing.assert_array_equal(flat(state.params)[path], x, err_msg=path)


@pytest.mark.grid
def test_a_learned_initial_carry_is_taken_from_the_source(folder: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(LSTM, learned_initial_state=True)
    fields = {**BYTES, "data__batching": Batching.STREAMS}
    config = make_config(folder, "first", model, **fields, optimizer__peak_lr=0.3)
    train(config, tmp_path / "source")
    config.training.init_from = str(tmp_path / "source@4")
    data = load(config)
    setup = set_up(config, data.spec, carries_state=True)
    source = find_starting_point(config, None, setup.abstract.params, data.features)
    assert source is not None
    state = setup.create_state(0, source.load(setup.abstract.params))
    run = load_run(tmp_path / "source", 4)
    want: Any = run.model.apply({"params": run.params}, 4, 1, method="initial_carry")
    assert any(np.asarray(x).any() for x in jax.tree.leaves(want["layers"]))
    for x, y in zip(jax.tree.leaves(state.carry), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_start_is_kept_and_the_source_no_longer_needed(folder: Path, tmp_path: Path) -> None:
    source, workdir = tmp_path / "source", tmp_path / "run"
    shutil.copytree(folder / "lstm", source)
    config = make_config(folder, "first", training__init_from=str(source))
    config.training.num_steps = 2
    assert train(config, workdir) == 0
    kept = json.loads((workdir / "init_from.json").read_text())
    assert kept["init_from"] == f"{source}@best"
    assert json.loads((workdir / "config.json").read_text())["training"]["init_from"] == (
        f"{source}@best"
    )
    with Checkpoints(source / "checkpoints") as checkpoints:
        assert (kept["step"], kept["digest"]) == checkpoints.find("best", "params")[::2]
    shutil.rmtree(source)
    before = (workdir / "metrics.jsonl").read_bytes()
    assert train(config, workdir) == 0
    assert (workdir / "metrics.jsonl").read_bytes() == before
    config.training.init_from = f"{source}@2"
    with pytest.raises(UserError, match=r"training.init_from: .*source@best -> .*source@2"):
        train(config, workdir)


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_same_parameters(
    folder: Path, tmp_path: Path
) -> None:
    """Even if another checkpoint of the source has become the best; a deleted one is refused."""
    source, workdir = tmp_path / "source", tmp_path / "run"
    shutil.copytree(folder / "lstm", source)
    config = make_config(folder, "first", training__init_from=str(source))
    data = load(config)
    params = set_up(config, data.spec, carries_state=False).abstract.params
    find = lambda: find_starting_point(config, workdir, params, data.features)
    workdir.mkdir()
    with Checkpoints(source / "checkpoints") as checkpoints:
        steps, first = checkpoints.steps(), find()
        assert first is not None
    (other,) = set(steps) - {first.step}
    first.record(workdir)
    config.training.init_from = f"{source}@{other}"
    assert (found := find()) is not None and found.step == other
    config.training.init_from = f"{source}@best"
    gone = source / "checkpoints" / str(first.step)
    os.rename(gone, tmp_path / "gone")
    line = f"no checkpoint of step {first.step} .*from its step {first.step}: delete .*init_from"
    with pytest.raises(UserError, match=line):
        find()
    shutil.copytree(source / "checkpoints" / str(other), gone)
    with pytest.raises(UserError, match=f"step {first.step} has changed; the run started"):
        find()
    (workdir / "init_from.json").unlink()
    assert find() is not None


def test_a_recorded_start_is_used_again(folder: Path, tmp_path: Path) -> None:
    """Pretends that the other of two checkpoints was the best at the first start."""
    config = make_config(folder, "first", **BYTES, training__init_from=str(folder / "lstm-bytes"))
    data = load(config)
    params = set_up(config, data.spec, carries_state=False).abstract.params
    best = find_starting_point(config, tmp_path, params, data.features)
    assert best is not None
    config.training.init_from = f"{folder / 'lstm-bytes'}@{6 - best.step}"
    other = find_starting_point(config, tmp_path, params, data.features)
    assert other is not None
    dataclasses.replace(other, init_from=best.init_from).record(tmp_path)
    config.training.init_from = str(folder / "lstm-bytes")
    found = find_starting_point(config, tmp_path, params, data.features)
    assert found is not None
    assert (found.step, found.digest) == (other.step, other.digest) != (best.step, best.digest)


FROZEN: dict[str, Any] = {
    "optimizer__frozen": "embedding,*/bias",
    "optimizer__lr_scales": "head=3,*kernel=0.5",
}


class Stopping(loop.Feed):
    """Requests a stop while step 3 is prepared."""

    def __call__(self, step: int) -> Any:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().__call__(step)


@pytest.mark.parametrize("accumulation_steps", [pytest.param(1, marks=pytest.mark.grid), 2])
def test_frozen_parts_keep_their_bits_in_a_resumed_run_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulation_steps: int
) -> None:
    config = make_config(
        folder,
        "first",
        **FROZEN,
        training__ema_decay=0.9,
        training__init_from=str(folder / "lstm"),
        training__accumulation_steps=accumulation_steps,
        data__batching=Batching.STREAMS,
    )
    assert train(config, tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Feed", Stopping)
        assert train(config, tmp_path / "parts") == 143
    assert train(config, tmp_path / "parts") == 0
    whole, parts = (last_state(tmp_path / name, config) for name in ("whole", "parts"))
    for name, arrays in whole.items():
        for path, x in arrays.items():
            assert x.tobytes() == parts[name][path].tobytes(), (name, path)
    rows = [json.dumps(rows_without_clock(tmp_path / name)) for name in ("whole", "parts")]
    assert rows[0] == rows[1]

    before = flat(load_run(folder / "lstm").params)
    frozen = {path for path in before if path.startswith("embedding") or path.endswith("bias")}
    assert 0 < len(frozen) < len(before)
    for path, x in before.items():
        kept = [np.asarray(x).tobytes() == whole[n][path].tobytes() for n in ("params", "ema")]
        assert kept == [path in frozen] * 2, path
    trained = sum(np.asarray(x).size for path, x in before.items() if path not in frozen)
    moments = [x for x in whole["opt_state"].values() if x.ndim]
    assert sum(x.size for x in moments) == 2 * trained
    assert describe(tmp_path / "whole")["num_trained"] == trained


def test_a_step_keeps_frozen_bits_in_the_moving_average_too(folder: Path) -> None:
    """0.1 x + 0.9 x equals x only up to rounding."""
    config = make_config(folder, "first", optimizer__frozen="embedding", training__ema_decay=0.9)
    data = load(config)
    setup = set_up(config, data.spec, carries_state=False)
    state = setup.create_state(0)
    before = np.asarray(state.params["embedding"]["table"]).copy()
    after, _ = setup.call(state, data.batches(config).batch(1))
    for tree in (after.params, after.ema):
        assert np.asarray(tree["embedding"]["table"]).tobytes() == before.tobytes()


PARAMS = {"a": {"kernel": [3.0, -2.0]}, "b": {"kernel": [1.0, 0.5], "bias": [0.25, 4.0]}}
GRADS = {"a": {"kernel": [6.0, 8.0]}, "b": {"kernel": [3.0, 0.0], "bias": [0.0, 4.0]}}


@pytest.mark.parametrize("frozen", [None, "a", "b/bias"])
def test_scales_and_frozen_parts_follow_the_formula_for_a_step_of_sgd(frozen: str | None) -> None:
    """p - lr scale (clip g + decay p), clip = min(1, 2 / |g of what is trained|)."""
    config = OptimizerConfig(
        name=OptimizerName.SGD,
        momentum=0.0,
        peak_lr=0.1,
        schedule=Schedule.CONSTANT,
        warmup_steps=0,
        weight_decay=0.3,
        clip_norm=2.0,
        frozen=frozen,
        lr_scales="b=0.5,b/bias=10",
    )
    array = lambda tree: jax.tree.map(jnp.asarray, tree, is_leaf=lambda x: isinstance(x, list))
    params, grads = array(PARAMS), array(GRADS)
    optimizer = make_optimizer(config, 1)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    scales = {"a/kernel": 1.0, "b/kernel": 0.5, "b/bias": 10.0}
    moves = {path: frozen is None or not path.startswith(frozen) for path in scales}
    before, gradients, got = flat(params), flat(grads), flat(updates)
    norm = np.sqrt(sum(float((gradients[p] ** 2).sum()) for p in scales if moves[p]))
    for path, scale in scales.items():
        decay = 0.3 * np.asarray(before[path]) * path.endswith("kernel")
        want = -0.1 * scale * (np.asarray(gradients[path]) * 2.0 / norm + decay) * moves[path]
        np.testing.assert_allclose(got[path], want, **TOLERANCE["rounding"], err_msg=path)


def test_the_gradient_norm_covers_trained_parameters_only(folder: Path) -> None:
    norms = []
    for frozen in (None, "embedding,layers,head/Dense_0/kernel"):
        config = make_config(folder, "first", optimizer__frozen=frozen)
        data = load(config)
        setup = set_up(config, data.spec, carries_state=False)
        _, outputs = setup.call(setup.create_state(0), data.batches(config).batch(1))
        norms.append(float(outputs["log"]["gradient_norm"][0]))
    assert 0 < norms[1] < norms[0]


def test_unknown_names_of_parts_are_one_line_and_create_no_directory(
    folder: Path, tmp_path: Path
) -> None:
    config = make_config(folder, "first", optimizer__frozen="embeding")
    with pytest.raises(UserError, match="no parameter is called 'embeding'; did you mean"):
        train(config, tmp_path / "run")
    model = dataclasses.replace(LSTM, model_dim=7, hidden_dim=9)
    config = make_config(folder, "second", model, training__init_from=str(folder / "lstm"))
    with pytest.raises(
        UserError, match=r"--init_from=.*lstm: no parameter of step \d fits: 6 newly"
    ):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.grid
@pytest.mark.usefixtures("gpt_bytes")
def test_another_mesh_reads_into_its_own_shardings(folder: Path) -> None:
    """Source on one device, this run on four; moments are sharded like their parameters."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.finetuning_program", str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("equal") > 0
    assert found == {"alike": True, "sharded": True, "frozen": True, "moved": True}
