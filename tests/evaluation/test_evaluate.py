"""The evaluator: sums, bytes, contexts, compilations, meshes, the written result."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.config.transformers import GPTConfig
from seqmodels.evaluation.evaluate import Evaluator, write_result
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.language_model import LanguageModel
from tests.evaluation.corpus import make_data
from tests.opening import evaluate_split
from tests.tasks.stand_in import StandIn
from tests.tolerances import TOLERANCE

TASK = LanguageModel(LanguageModelConfig())
DATA = make_data()
V = DATA.spec.outputs.vocab_size
CONFIGS: dict[str, ModelConfig] = {
    "gpt": GPTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=16),
    "recurrent": RecurrentConfig(num_layers=1, model_dim=6, hidden_dim=7),
    "ngram": NgramConfig(order=3),
}


@functools.cache
def built(kind: str) -> tuple[Any, Any]:
    model = build_model(CONFIGS[kind], DATA.spec)
    if kind == "ngram":
        return model, jax.tree.map(jnp.asarray, model.fit(DATA.splits["train"]))
    params = nn.meta.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    return model, jax.tree.map(lambda x: 3 * x, params)


def settings(context: str, length: int = 16, rows: int = 4, crops: int = 10) -> EvaluationConfig:
    return EvaluationConfig(EvaluationContext(context), length, rows, crops)


def losses_of(kind: str, rows: np.ndarray) -> np.ndarray:
    """Nats of tokens 1.. of each row [R, T], behind all that stands before them in it."""
    model, params = built(kind)

    @jax.jit
    def run(tokens: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": params}, tokens, train=False)
        return model.apply({"params": params}, features, method="readout")

    logits = np.asarray(run(rows[:, :-1]), np.float64)
    log_norm = np.log(np.exp(logits).sum(axis=-1))
    return log_norm - np.take_along_axis(logits, rows[:, 1:, None], axis=-1)[..., 0]


def validation_tokens(size: int | None = None) -> np.ndarray:
    return np.asarray(DATA.splits["validation"].tokens[:size], np.int32)


@pytest.mark.parametrize("kind, streams", [("ngram", 1), ("ngram", 4), ("recurrent", 1)])
def test_carry_equals_one_pass_over_the_text(kind: str, streams: int) -> None:
    model, params = built(kind)
    config = dataclasses.replace(settings("carry", 100), num_streams=streams)
    result = evaluate_split(model, params, DATA, "validation", config, TASK, 0)
    expected = losses_of(kind, validation_tokens()[None])[0]
    assert result["num_targets"] == len(expected) == 1499
    assert result["num_streams"] == streams
    np.testing.assert_allclose(result["loss"], expected.mean(), **TOLERANCE["chunking"])


def test_streams_of_a_recurrence_are_warm() -> None:
    model, params = built("recurrent")
    one, four = (
        evaluate_split(model, params, DATA, "validation", config, TASK, 0)
        for streams in (1, 4)
        for config in [dataclasses.replace(settings("carry", 100), num_streams=streams)]
    )
    np.testing.assert_allclose(one["loss"], four["loss"], **TOLERANCE["decoding"])


@pytest.mark.parametrize("context", ["window", "sliding"])
@pytest.mark.parametrize("rows", [3, 32])
def test_windows_equal_a_plain_loop(context: str, rows: int) -> None:
    model, params = built("gpt")
    tokens, length = validation_tokens(), 16
    stride = length if context == "window" else length // 2
    starts = np.arange(0, len(tokens) - 1 - (length - stride), stride)
    full = starts[starts + length < len(tokens)]
    inside = losses_of("gpt", tokens[full[:, None] + np.arange(length + 1)])
    last = losses_of("gpt", tokens[None, full[-1] + stride :])[0]
    parts = [inside[0, : length - stride], inside[:, length - stride :].ravel()]
    expected = np.concatenate([*parts, last[length - stride :]])
    result = evaluate_split(
        model, params, DATA, "validation", settings(context, length, rows), TASK, 0
    )
    assert result["num_targets"] == len(expected) == 1499
    np.testing.assert_allclose(result["loss"], expected.mean(), **TOLERANCE["chunking"])
    assert result["context"] == context
    assert result["perplexity"] == math.exp(result["loss"])


def test_crops_have_a_seed_and_their_own_number_of_targets() -> None:
    model, params = built("gpt")
    make = lambda seed: evaluate_split(
        model, params, DATA, "validation", settings("crops"), TASK, seed
    )
    assert make(1) == make(1)
    assert make(1)["loss"] != make(2)["loss"]
    assert make(1)["num_targets"] == 10 * 16


def test_bits_per_byte_counts_the_bytes_of_the_targets() -> None:
    model, params = built("ngram")
    result = evaluate_split(model, params, DATA, "test", settings("window"), TASK, 0)
    text = DATA.tokenizer.decode(DATA.splits["test"].tokens[1:])
    nats = result["loss"] * result["num_targets"]
    expected = nats / math.log(2) / len(text.encode())
    np.testing.assert_allclose(result["bits_per_byte"], expected, **TOLERANCE["rounding"])


def test_no_bits_where_the_tokenizer_loses_something() -> None:
    model, params = built("ngram")
    lossy = make_data("validation")
    make = lambda split: evaluate_split(model, params, lossy, split, settings("carry"), TASK, 0)
    assert "bits_per_byte" not in make("validation")
    assert "bits_per_byte" in make("test")


@pytest.mark.parametrize("kind, context", [("gpt", "window"), ("recurrent", "carry")])
def test_one_compilation_and_none_at_the_next_call(
    kind: str, context: str, compilations: list[str]
) -> None:
    model, params = built(kind)
    compilations.clear()  # those of the parameters
    evaluator = Evaluator(model, DATA, settings(context, 16, 3), TASK, 0)
    calls: list[tuple[int, int]] = []
    evaluator(params, "validation", lambda done, total: calls.append((done, total)))
    assert len(compilations) <= (2 if context == "carry" else 1)
    assert [done for done, _ in calls] == list(range(1, calls[0][1] + 1))
    compilations.clear()
    evaluator(jax.tree.map(lambda x: x + 1, params), "validation")
    # The sums of other parameters, one per leaf shape, are not the evaluator's.
    compilations.clear()
    evaluator(params, "validation")
    assert compilations == []


def test_padding_may_hold_anything() -> None:
    """A model that is NaN wherever there is padding: none of it may reach the sums."""

    class Fragile(StandIn):
        config = RecurrentConfig()

        def apply(self, variables: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("method") == "readout":
                return inputs
            bad = jnp.where(kwargs["segment_ids"] == 0, jnp.nan, 0.0)
            return jnp.zeros((*inputs.shape, V)) + bad[..., None], None

    result = evaluate_split(Fragile(), {}, DATA, "test", settings("window"), TASK, 0)
    np.testing.assert_allclose(result["loss"], math.log(V), **TOLERANCE["rounding"])


def test_what_cannot_be_evaluated_is_refused() -> None:
    model, params = built("gpt")
    with pytest.raises(UserError, match=r"context=carry: the cache of a gpt is bounded"):
        Evaluator(model, DATA, settings("carry"), TASK, 0)
    with pytest.raises(UserError, match=r"sequence_length=17: the model has max_length = 16"):
        Evaluator(model, DATA, settings("window", 17), TASK, 0)
    evaluator = Evaluator(model, DATA, settings("window"), TASK, 0)
    with pytest.raises(UserError, match=r"--split=dev.* one of: train, validation, test"):
        evaluator(params, "dev")
    short = make_data()
    short.splits["test"].tokens.resize(1, refcheck=False)
    with pytest.raises(UserError, match="1 token: nothing to predict"):
        Evaluator(model, short, settings("window"), TASK, 0)(params, "test")


def test_the_result_is_written_whole(tmp_path: Path) -> None:
    result = {"step": 7, "split": "test", "loss": 1.5, "context": "carry"}
    path = write_result(tmp_path, result)
    assert path == tmp_path / "evaluations" / "test-7.json"
    assert json.loads(path.read_text()) == result
    assert [p.name for p in path.parent.iterdir()] == ["test-7.json"]


def test_results_under_overrides_go_elsewhere(tmp_path: Path) -> None:
    result = {"step": 7, "split": "test", "loss": 1.5}
    overrides: list[dict[str, str | None]] = [{}, {"data.path": "a"}, {"data.path": None}]
    paths = [write_result(tmp_path, result, chosen) for chosen in overrides]
    assert len(set(paths)) == 3
    assert json.loads(paths[0].read_text()) == result
    assert json.loads(paths[2].read_text()) == {**result, "overrides": {"data.path": None}}
    assert write_result(tmp_path, result, {"data.path": "a"}) == paths[1]


def mesh_losses() -> None:
    """Runs in a process with 8 devices: losses on one, and on a mesh of data x fsdp."""
    from seqmodels.config.training import TrainingConfig
    from seqmodels.distributed.mesh import make_mesh, mesh_context, shardings_of

    for kind, context in [("gpt", "window"), ("recurrent", "carry")]:
        model, params = built(kind)
        evaluator = Evaluator(model, DATA, settings(context, 16, 3), TASK, 0)
        mesh = make_mesh(TrainingConfig(mesh_fsdp=2), 8)
        shapes = jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))  # noqa: B023
        sharded = jax.device_put(params, shardings_of(shapes, mesh))
        assert any(not x.sharding.is_fully_replicated for x in jax.tree.leaves(sharded))
        with mesh_context(mesh):
            inside = evaluator(sharded, "test")["loss"]
        losses = [evaluator(p, "test")["loss"] for p in (params, sharded)]
        print(json.dumps([*losses, inside]))


@pytest.mark.grid
def test_parameters_may_be_sharded_over_a_mesh() -> None:
    program = "from tests.evaluation.test_evaluate import mesh_losses; mesh_losses()"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2
    for one_device, inside, outside in lines:
        np.testing.assert_allclose(inside, one_device, **TOLERANCE["mesh"])
        np.testing.assert_allclose(outside, one_device, **TOLERANCE["mesh"])
