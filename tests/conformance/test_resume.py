"""Law 3, over every model and way of training: resumed equals uninterrupted, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from experiments.configs._examples import classified_images, pairs
from seqmodels.config.data import Batching, DataConfig, ExamplesDataConfig, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.forecasting import (
    ForecastingConfig,
    PatchTransformerConfig,
    SegmentRNNConfig,
    WindowLinearConfig,
    WindowsConfig,
)
from seqmodels.config.models import (
    ConvolutionalConfig,
    MLPConfig,
    ModelConfig,
    NgramConfig,
    PerceptronConfig,
)
from seqmodels.config.recurrent import (
    RecurrentConfig,
    RecurrentEncoderConfig,
    Seq2SeqConfig,
)
from seqmodels.config.tasks import (
    ClassificationConfig,
    LanguageModelConfig,
    MaskedLanguageModelConfig,
    TaskConfig,
    TranslationConfig,
)
from seqmodels.config.training import (
    Dtype,
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    OptimizerName,
    TrainingConfig,
)
from seqmodels.config.transformers import (
    AarenConfig,
    BERTConfig,
    GPTConfig,
    TransformerConfig,
    ViTConfig,
)
from seqmodels.config.validate import validate
from seqmodels.data.datasets import ball, dates, shapes
from seqmodels.data.pipeline import load_data
from seqmodels.registry import MODELS
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.run import load_run
from seqmodels.tasks.build import build_task
from seqmodels.training import loop
from seqmodels.training.loop import train
from seqmodels.types import TrainState
from tests.opening import load, set_up
from tests.training.runs import make_setting, rows_without_clock

STOP, STEPS = 6, 12  # between two rows, so that the row's sums go on over the resume
LSTM = RecurrentConfig(model_dim=8, hidden_dim=12, dropout_rate=0.2)
GPT = GPTConfig(
    num_layers=1, model_dim=12, num_heads=3, mlp_dim=20, max_length=16, dropout_rate=0.2
)
BERT = BERTConfig(
    num_layers=1, model_dim=12, num_heads=3, mlp_dim=20, max_length=16, dropout_rate=0.2
)

CASES: dict[str, tuple[ModelConfig, dict[str, Any]]] = {
    "recurrent, streams": (LSTM, {"data.batching": Batching.STREAMS}),
    "recurrent, windows, sgd": (
        LSTM,
        {"data.batching": Batching.WINDOWS, "optimizer.name": OptimizerName.SGD},
    ),
    "recurrent, buckets": (LSTM, {"data.batching": Batching.BUCKETS}),
    "recurrent, all at once": (
        LSTM,
        {
            "data.batching": Batching.STREAMS,
            "training.accumulation_steps": 2,
            "training.steps_per_call": 2,
            "training.dtype": Dtype.BFLOAT16,
            "training.ema_decay": 0.9,
        },
    ),
    "gpt, crops": (GPT, {"data.batching": Batching.CROPS}),
    "gpt, packed, muon": (
        GPT,
        {"data.batching": Batching.PACKED, "optimizer.name": OptimizerName.MUON},
    ),
    "aaren, streams": (
        AarenConfig(1, 12, 3, 20, dropout_rate=0.2),
        {"data.batching": Batching.STREAMS},
    ),
    "convolutional, packed": (
        ConvolutionalConfig(num_layers=1, model_dim=8, hidden_dim=8, dropout_rate=0.2),
        {"data.batching": Batching.PACKED},
    ),
    "mlp, crops": (MLPConfig(model_dim=8, hidden_dim=8, dropout_rate=0.2), {}),
    "perceptron, crops": (PerceptronConfig(), {}),
    "recurrent_encoder, masked, crops": (
        RecurrentEncoderConfig(cell="gru", model_dim=8, hidden_dim=6, dropout_rate=0.2),
        {},
    ),
    "seq2seq, pairs": (
        Seq2SeqConfig(model_dim=8, hidden_dim=8, attention_dim=6, dropout_rate=0.2),
        {"data.max_shapes": 1, "evaluation.batch_size": 20},
    ),
    "bert, masked, windows": (BERT, {"data.batching": Batching.WINDOWS}),
    "vit, images": (
        ViTConfig(4, 1, 12, 3, 20, dropout_rate=0.2),
        {"training.steps_per_call": 2, "evaluation.batch_size": 20},
    ),
    "window_linear, windows of series": (
        WindowLinearConfig(dropout_rate=0.2),
        {"evaluation.batch_size": 20},
    ),
    "segment_rnn, windows of series": (
        SegmentRNNConfig(segment_length=4, model_dim=8, hidden_dim=8, dropout_rate=0.2),
        {"evaluation.batch_size": 20},
    ),
    "patch_transformer, windows of series": (
        PatchTransformerConfig(4, 2, 1, 12, 3, 20, dropout_rate=0.2),
        {"evaluation.batch_size": 20},
    ),
    "transformer, pairs": (
        TransformerConfig(1, 1, 12, 3, 20, max_length=64, dropout_rate=0.2),
        {"data.max_shapes": 1, "evaluation.batch_size": 20},
    ),
}


@pytest.fixture(scope="module", autouse=True)
def few_examples() -> Iterator[None]:
    """Small built-in sets: the law does not depend on how many examples there are."""
    with pytest.MonkeyPatch.context() as patch:
        splits = {"train": (0, 40), "validation": (40, 60), "test": (60, 83)}
        patch.setattr(shapes, "SPLITS", splits)
        patch.setattr(ball, "SPLITS", splits)
        patch.setattr(dates, "NUM_PAIRS", {"train": 60, "validation": 20, "test": 20})
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of a few words, a file each."""
    folder = make_setting(tmp_path_factory.mktemp("text")).folder
    words = (folder / "text.txt").read_text().split()
    for split, part in (("train", words[:600]), ("validation", words[600:800])):
        (folder / split).mkdir()
        for n in range(0, len(part), 9):
            (folder / split / f"{n:04}.txt").write_text(" ".join(part[n : n + 3 + n % 4]))
    return folder


def make_data(folder: Path, model: ModelConfig) -> tuple[DataConfig, TaskConfig]:
    """Data that the model reads, and the task that goes with them."""
    shared: dict[str, Any] = {"cache_dir": str(folder / "cache"), "batch_size": 4}
    if model.inputs == ("image",):
        return classified_images("shapes:8", **shared), ClassificationConfig(label_smoothing=0.1)
    if model.inputs == ("values",):
        windows = WindowsConfig(input_length=12, horizon=4)
        return ExamplesDataConfig(name="ball", inputs=windows, **shared), ForecastingConfig()
    if model.source:
        return pairs("dates", **shared), TranslationConfig(label_smoothing=0.1)
    train, validation = (str(folder / name / "*.txt") for name in ("train", "validation"))
    files = {"name": "text_file", "train_path": train, "validation_path": validation}
    task = LanguageModelConfig() if model.causal else MaskedLanguageModelConfig()
    return TextDataConfig(sequence_length=16, **files, **shared), task


def make_config(
    folder: Path, model: ModelConfig, changes: dict[str, Any] | None = None
) -> ExperimentConfig:
    data, task = make_data(folder, model)
    config = ExperimentConfig(
        model=dataclasses.replace(model),
        data=data,
        task=task,
        optimizer=OptimizerConfig(warmup_steps=4, peak_lr=0.01, weight_decay=0.1),
        training=TrainingConfig(
            num_steps=STEPS, log_every=4, evaluate_every=8, checkpoint_every=100
        ),
        evaluation=EvaluationConfig(sequence_length=16, batch_size=16),
    )
    for name, value in (changes or {}).items():
        section, _, field = name.partition(".")
        setattr(getattr(config, section), field, value)
    validate(config)
    return config


def last_state(workdir: Path, config: ExperimentConfig) -> tuple[int, dict[str, np.ndarray]]:
    """Step of the last checkpoint and each of its arrays, by path."""
    data = load(config)
    setup = set_up(config, data.spec, carries_state=data.batches(config).carries_state)
    return restore(workdir, setup.abstract)


def restore(workdir: Path, abstract: TrainState) -> tuple[int, dict[str, np.ndarray]]:
    """The same for a state of known shapes."""
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        step, state = checkpoints.restore(abstract, "latest")
    arrays = {}
    for path, x in jax.tree_util.tree_flatten_with_path(state)[0]:
        is_key = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        name = jax.tree_util.keystr(path)
        arrays[name] = np.asarray(jax.random.key_data(x) if is_key else x)
    return step, arrays


class Stopping(loop.Feed):
    """Asks the run to stop while it makes step STOP."""

    def __call__(self, step: int) -> Any:
        if step <= STOP < step + self._steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().__call__(step)


QUICK = (
    "recurrent, streams",
    "recurrent, all at once",
    "recurrent, buckets",
    "gpt, packed, muon",
    "transformer, pairs",
    "vit, images",
)
"""The cases that differ in kind: a carry, several steps per call with sums over micro-batches,
several shapes, packed documents, an encoder, whole examples. `make test-all` has
the others too."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.grid) for n in CASES]
)
def test_stopped_and_resumed_ends_with_the_same_bits(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(folder, *CASES[name])
    task = build_task(config)
    data = load_data(config, task)
    # One compiled program for the three: tests/training/test_resume resumes in new processes.
    prepared = loop.prepare(config, tmp_path, task, data)

    def run(name: str) -> int:
        return train(config, tmp_path / name, task, data, prepared)

    assert run("whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Feed", Stopping)
        assert run("parts") == 143
    abstract = prepared[0].abstract
    stopped_at, halfway = restore(tmp_path / "parts", abstract)
    assert stopped_at == STOP
    assert run("parts") == 0

    (steps, whole), (steps_too, parts) = (
        restore(tmp_path / run, abstract) for run in ("whole", "parts")
    )
    assert steps == steps_too == STEPS
    expected = {"params", "opt_state", "key", "log"}
    if config.data.carries_state:
        expected |= {"carry"}
    expected |= {"ema"} if config.training.ema_decay else set()
    assert all(any(path.startswith(f".{part}") for path in whole) for part in expected)
    assert whole.keys() == parts.keys()
    for path, array in whole.items():
        assert array.tobytes() == parts[path].tobytes(), path
    assert any(array.tobytes() != halfway[path].tobytes() for path, array in whole.items())
    rows = [json.dumps(rows_without_clock(tmp_path / run)) for run in ("whole", "parts")]
    assert rows[0] == rows[1]


FITTED = {"ngram": NgramConfig(order=3)}


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_model_stays_and_is_a_function_of_its_config(
    name: str, folder: Path, tmp_path: Path
) -> None:
    changes = {"evaluation.context": EvaluationContext.CARRY}
    config = make_config(folder, FITTED[name], changes)
    files = []
    for run in ("once", "twice", "twice"):
        assert train(config, tmp_path / run) == 0
        saved = sorted(p for p in (tmp_path / run).rglob("*") if p.is_file())
        files.append([(p, p.read_bytes()) for p in saved])
    assert files[1] == files[2]
    once, twice = (jax.tree.leaves(load_run(tmp_path / run).params) for run in ("once", "twice"))
    for x, y in zip(once, twice, strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    assert rows_without_clock(tmp_path / "once") == rows_without_clock(tmp_path / "twice")


def test_every_registered_model_is_resumed_here() -> None:
    assert {model.kind for model, _ in CASES.values()} | FITTED.keys() == MODELS.keys()
