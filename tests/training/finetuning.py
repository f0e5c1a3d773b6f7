"""Small runs for fine-tuning over two texts, of which the second has symbols of its own."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.config.validate import validate
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.paths import flat
from seqmodels.training.initialize_from import find_starting_point
from tests.opening import load, set_up

LSTM = RecurrentConfig(model_dim=6, hidden_dim=8)
GPT = GPTConfig(num_layers=2, model_dim=8, num_heads=2, mlp_dim=12, max_length=12)
MODELS = {"lstm": LSTM, "gpt": GPT}
SYMBOLS = {"first": "aeioulmnrst", "second": "aeioubcd", "equal": "aeioulmnrsv"}


def write_texts(folder: Path) -> Path:
    """Writes `first.txt`, `second.txt` (fewer symbols) and `equal.txt` (as many, one different)."""
    for name, symbols in SYMBOLS.items():
        rng = random.Random(name)
        words = ["".join(rng.choices(symbols, k=rng.randint(2, 7))) for _ in range(30)]
        (folder / f"{name}.txt").write_text(" ".join(rng.choices(words, k=300)) + f" {symbols}\n")
    return folder


def make_config(
    folder: Path, text: str, model: ModelConfig = LSTM, **fields: Any
) -> ExperimentConfig:
    """Config of four steps; `section__field` changes a field."""
    config = ExperimentConfig(
        model=dataclasses.replace(model),
        data=TextDataConfig(
            name="text_file",
            path=str(folder / f"{text}.txt"),
            cache_dir=str(folder / "cache"),
            validation_fraction=0.2,
            test_fraction=0.0,
            tokenizer=TokenizerKind.CHARACTER,
            sequence_length=12,
            batch_size=4,
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(warmup_steps=0, peak_lr=0.02, weight_decay=0.3),
        training=TrainingConfig(
            num_steps=4, log_every=2, evaluate_every=2, checkpoint_every=2, mesh_data=1
        ),
        evaluation=EvaluationConfig(sequence_length=12, batch_size=8),
    )
    for name, value in fields.items():
        section, _, field = name.partition("__")
        setattr(getattr(config, section), field, value)
    validate(config)
    return config


def last_state(workdir: Path, config: ExperimentConfig) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of the last checkpoint: part -> path -> array."""
    streams = config.data.batching is Batching.STREAMS  # type: ignore[attr-defined]
    setup = set_up(config, load(config).spec, carries_state=streams)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        _, state = checkpoints.restore(setup.abstract, "latest")
    parts = {name: getattr(state, name) for name in ("params", "ema", "opt_state", "log", "carry")}
    return {
        name: {path: np.asarray(x) for path, x in flat(tree).items()}
        for name, tree in parts.items()
        if jax.tree.leaves(tree)
    }


def begin(config: Any, workdir: Path | None = None) -> tuple[Any, Any, Any, list[str]]:
    """Set-up, data, first state and messages of a new run."""
    data = load(config)
    setup = set_up(config, data.spec, carries_state=False)
    source = find_starting_point(config, workdir, setup.abstract.params, data.features)
    assert source is not None
    taken = source.load(setup.abstract.params)
    return setup, data, setup.create_state(config.training.seed, taken), source.lines()
