"""Fixtures: folders with weights and tokenizers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.conftest import FrontDoor, door, logging_as_it_was
from tests.golden.test_interop import DECODERS
from tests.interop.loading import golden, write_folder

__all__ = ["FrontDoor", "door", "logging_as_it_was"]

TEXT = "the cat sat on the mat and the dog sat on the cat. " * 60
V, D, L = 288, 12, 2
GPT2: dict[str, Any] = {
    **DECODERS["hf_gpt2.npz"],
    "vocab_size": V,
    "n_positions": 32,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}


def gpt2_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """The golden model's tensors with a larger vocabulary and more positions."""
    rng = np.random.default_rng(seed)
    arrays = dict(golden("hf_gpt2.npz")[0])
    arrays["transformer.wte.weight"] = rng.normal(size=(V, D)).astype(np.float32)
    arrays["transformer.wpe.weight"] = rng.normal(size=(32, D)).astype(np.float32)
    return arrays


def byte_level(folder: Path) -> None:
    """Writes a byte-level BPE tokenizer with a few tokens less than V."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=V - 8,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def data_words(folder: Path) -> list[str]:
    """Overrides that select a small text file."""
    (folder / "text.txt").write_text(TEXT)
    fields = {
        "data.name": "text_file",
        "data.path": folder / "text.txt",
        "data.cache_dir": folder / "cache",
        "data.batch_size": 8,
        "data.sequence_length": 16,
        "evaluation.batch_size": 4,
        "evaluation.sequence_length": 16,
        "evaluation.baseline_order": 2,
        "optimizer.warmup_steps": 2,
        "optimizer.peak_lr": 0.01,
        "training.num_steps": 4,
        "training.log_every": 2,
        "training.evaluate_every": 2,
        "training.checkpoint_every": 2,
    }
    return [f"--config.{name}={value}" for name, value in fields.items()]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face GPT-2 with its tokenizer."""
    path = write_folder(tmp_path_factory.mktemp("gpt2") / "folder", GPT2, gpt2_arrays())
    byte_level(path)
    return path


@pytest.fixture
def copy_of_folder(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "copy")


def change_config(folder: Path, **values: Any) -> None:
    """Sets fields of a folder's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
