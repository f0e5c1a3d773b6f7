"""From a data config to batches: each batch is a function of its step (law 2)."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from seqmodels import registry
from seqmodels.config.data import Batching, TextDataConfig, TokenizerKind
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data import store
from seqmodels.data.datasets.source import TextDataset
from seqmodels.data.packing import Buckets, Packed
from seqmodels.data.sources import BatchSource, Crops, Streams, Windows
from seqmodels.data.store import TokenSplit
from seqmodels.data.tokenizers import Tokenizer
from seqmodels.types import DataSpec

__all__ = ["BatchSource", "TextData", "TokenSplit", "load_data", "prepare"]
_SOURCES = {
    Batching.CROPS: Crops,
    Batching.WINDOWS: Windows,
    Batching.STREAMS: Streams,
    Batching.PACKED: Packed,
    Batching.BUCKETS: Buckets,
}
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TextData:
    """Tokenised text of one data set.

    Attributes:
      spec: what the data decide about a model.
      tokenizer: made from the training split, or the run's.
      fingerprint: sha256 over tokens and offsets of all splits and the tokenizer.
      splits: `train`, and `validation` and `test` where the data set has them.
      where: directory of the token store's entry.
      notes: lines for the user about the data, such as symbols that became <unk>.
    """

    spec: DataSpec
    tokenizer: Tokenizer
    fingerprint: str
    splits: dict[str, TokenSplit]
    where: Path
    notes: list[str]

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split as `config.data` cuts them, ordered by the run's seed.

        Raises:
          UserError: the split is too short for sequence_length or batch_size.
        """
        if split not in self.splits:
            raise UserError(f"the data have no {split!r} split{suggest(split, self.splits)}")
        settings, training = text_config(config), config.training
        source = _SOURCES[settings.batching](
            self.splits[split], settings.batch_size, settings.sequence_length, training.seed, split
        )
        if len(source.shapes) > 1 and training.steps_per_call > 1:
            raise UserError(
                f"training.steps_per_call={training.steps_per_call}: with data.batching=buckets a "
                "call takes one step, for batches differ in shape; set it to 1"
            )
        return make_task(config).make_source(source, self.tokenizer, training.seed)

    def description(self) -> dict[str, Any]:
        """The fingerprint and the sizes: what a run keeps of the data it was trained on."""
        splits = {
            name: {
                "documents": split.num_documents,
                "characters": split.num_characters,
                "tokens": len(split.tokens),
            }
            for name, split in self.splits.items()
        }
        return {
            "fingerprint": self.fingerprint,
            "tokenizer": self.tokenizer.kind,
            "vocab_size": self.tokenizer.vocab_size,
            "splits": splits,
        }


def make_task(config: ExperimentConfig) -> Any:
    """Returns the task of a config."""
    return registry.resolve(registry.TASKS[config.task.kind].implementation)(config.task)


def text_config(config: ExperimentConfig) -> TextDataConfig:
    """Returns config.data, which must be of kind text."""
    if not isinstance(config.data, TextDataConfig):
        raise UserError(f"data.kind={config.data.kind}: this needs data of kind text")
    return config.data


def cache_directory(config: TextDataConfig) -> Path:
    """Returns data.cache_dir, else $SEQMODELS_CACHE_DIR, else ~/.cache/seqmodels."""
    named = config.cache_dir or os.environ.get("SEQMODELS_CACHE_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "seqmodels"


def load_data(config: ExperimentConfig, tokenizer: Tokenizer | None = None) -> TextData:
    """Opens the data of an experiment, tokenising them first where the cache lacks them.

    Args:
      config: of the experiment; its data section is read.
      tokenizer: of a run, to be used instead of one made from the training split.

    Raises:
      UserError: names the field, file or symbol at fault.
    """
    settings = text_config(config)
    cache = cache_directory(settings)
    dataset = _dataset(settings.name)
    if settings.name != "text_file":
        _refuse_paths(settings)
    source = dataset.source(settings, cache)
    tokenizer = tokenizer or _read_tokenizer(settings)
    entry = store.open_entry(source, settings, tokenizer, cache)
    for note in entry.notes:
        _log.warning("%s: %s", settings.name, note)
    spec = make_task(config).make_spec(entry.tokenizer)
    return TextData(
        spec, entry.tokenizer, entry.fingerprint, entry.splits, entry.where, entry.notes
    )


def prepare(config: ExperimentConfig) -> dict[str, Any]:
    """Downloads (where the data set can) and tokenises.

    Returns:
      dataset, where, notes and `TextData.description`.
    """
    settings = text_config(config)
    _dataset(settings.name).prepare(settings)
    data = load_data(config)
    return {
        "dataset": settings.name,
        "where": str(data.where),
        **data.description(),
        "notes": data.notes,
    }


def _read_tokenizer(config: TextDataConfig) -> Tokenizer | None:
    """The tokenizer that the config names; None where the training split makes it."""
    if config.tokenizer is not TokenizerKind.HUGGINGFACE:
        return None
    from seqmodels.data.huggingface import open_tokenizer

    assert config.tokenizer_path is not None
    return open_tokenizer(Path(config.tokenizer_path).expanduser(), config.vocab_size)


def _refuse_paths(config: TextDataConfig) -> None:
    for field, path in config.paths().items():
        if path is not None:
            raise UserError(f"data.{field}={path}: needs data.name=text_file, not {config.name}")


def _dataset(name: str) -> type[TextDataset]:
    kind = "tfds" if name.startswith("tfds:") else name
    if kind not in registry.DATASETS:
        raise UserError(f"data.name={name!r} is not known{suggest(kind, registry.DATASETS)}")
    return registry.resolve(registry.DATASETS[kind].implementation)
