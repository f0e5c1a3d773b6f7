"""Evaluation of whole examples: exact whatever the batches, on a mesh too, beside a baseline."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from experiments.configs._examples import classified_images, pairs
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import PerceptronConfig
from seqmodels.config.tasks import ClassificationConfig, TranslationConfig
from seqmodels.config.training import EvaluationConfig, TrainingConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.data.datasets import dates, shapes
from seqmodels.distributed.mesh import make_mesh, mesh_context, shardings_of
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.build import build_task
from seqmodels.tasks.class_baselines import labels_of
from tests.opening import baseline, load
from tests.tolerances import TOLERANCE

NUMBER = 23
IMAGES = ExperimentConfig(PerceptronConfig(), classified_images("shapes:8"), ClassificationConfig())
PAIRS = ExperimentConfig(
    TransformerConfig(1, 1, 12, 3, 10, max_length=64, dropout_rate=0.0),
    pairs("dates", max_shapes=1),
    TranslationConfig(),
)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(shapes, "SPLITS", {"train": (0, 80), "test": (80, 80 + NUMBER)})
    monkeypatch.setattr(dates, "NUM_PAIRS", {"train": 80, "test": NUMBER})


def build(config: ExperimentConfig) -> tuple[Any, Any, Any]:
    data = load(config)
    model = build_model(config.model, data.spec)
    params = nn.meta.unbox(jax.jit(functools.partial(init_params, model))(jax.random.key(0)))
    return data, model, jax.tree.map(lambda x: 3 * x, params)


def evaluate(config: ExperimentConfig, batch_size: int, parts: Any) -> dict[str, Any]:
    data, model, params = parts
    settings = EvaluationConfig(batch_size=batch_size)
    return Evaluator(model, data, settings, build_task(config), 0)(params, "test")


@pytest.mark.parametrize("config", [IMAGES, PAIRS], ids=["images", "pairs"])
def test_the_size_of_the_batches_changes_nothing(config: ExperimentConfig) -> None:
    parts = build(config)
    whole, ragged = evaluate(config, NUMBER, parts), evaluate(config, 9, parts)
    assert "context" not in whole
    count = NUMBER if config is IMAGES else 11 * NUMBER  # a date in ISO 8601, and <eos>
    assert whole["num_targets"] == ragged["num_targets"] == count
    assert whole.keys() == ragged.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(ragged[name], value, **TOLERANCE["chunking"])
    data, model, params = parts
    evaluator = Evaluator(model, data, config.evaluation, build_task(config), 0)
    with pytest.raises(UserError, match=r"--split=validation.* one of: train, test"):
        evaluator(params, "validation")


def test_the_loss_is_that_of_each_image_by_itself() -> None:
    data, _, params = parts = build(IMAGES)
    split = data.splits["test"]
    pixels = shapes.draw_shapes(80 + np.arange(NUMBER), 8) / 255.0 * 2 - 1
    labels = labels_of(split)
    kernel, bias = jax.tree.leaves(params)[::-1]
    logits = pixels.reshape(NUMBER, -1) @ np.asarray(kernel, np.float64) + np.asarray(bias)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = evaluate(IMAGES, 9, parts)
    expected = -log_p[np.arange(NUMBER), labels].mean()
    np.testing.assert_allclose(found["loss"], expected, **TOLERANCE["chunking"])
    assert found["accuracy"] == (log_p.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("config", [IMAGES, PAIRS], ids=["images", "pairs"])
def test_baselines_need_no_run(config: ExperimentConfig) -> None:
    found = baseline(load(config), "test", config)
    assert found["model"] == ("logistic regression" if config is IMAGES else "unigram")
    if config is IMAGES:
        (found,) = found["beside"]
        assert found["model"] == "majority class"
    assert 0 < found["accuracy"] < 1 and found["loss"] > 0
    with pytest.raises(UserError, match="--split=validation"):
        baseline(load(config), "validation", config)


def mesh_losses() -> None:
    """Runs in a process with 4 devices: losses on one, and on a mesh of data x fsdp."""
    shapes.SPLITS = {"train": (0, 80), "test": (80, 80 + NUMBER)}
    data, model, params = build(IMAGES)
    mesh = make_mesh(TrainingConfig(mesh_fsdp=2), 4)
    abstract = jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))
    sharded = jax.device_put(params, shardings_of(abstract, mesh))
    with mesh_context(mesh):
        inside = evaluate(IMAGES, 9, (data, model, sharded))
    print(json.dumps([evaluate(IMAGES, 9, (data, model, params)), inside]))


def test_parameters_may_be_sharded_over_a_mesh() -> None:
    program = "from tests.evaluation.test_examples import mesh_losses; mesh_losses()"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
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
    one, many = json.loads(done.stdout)
    assert one.keys() == many.keys() and one["num_targets"] == NUMBER
    for name, value in one.items():
        np.testing.assert_allclose(many[name], value, **TOLERANCE["mesh"])
