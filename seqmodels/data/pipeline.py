"""From a data config to batches: each batch is a function of its step (law 2)."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from seqmodels import registry
from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data import store
from seqmodels.data.datasets.source import TextDataset
from seqmodels.data.sources import BatchSource, make_source
from seqmodels.data.store import TokenSplit
from seqmodels.data.tokenizers import Tokenizer
from seqmodels.types import DataSpec, TokenInput, VocabOutput

__all__ = ["BatchSource", "TextData", "TokenSplit", "load_data", "prepare"]
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
        return make_source(self.splits[split], text_config(config), config.training.seed, split)


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
    source = _dataset(settings.name).source(settings, cache)
    entry = store.open_entry(source, settings, tokenizer, cache)
    for note in entry.notes:
        _log.warning("%s: %s", settings.name, note)
    size = entry.tokenizer.vocab_size
    spec = DataSpec(TokenInput(size), VocabOutput(size))
    return TextData(
        spec, entry.tokenizer, entry.fingerprint, entry.splits, entry.where, entry.notes
    )


def prepare(config: ExperimentConfig) -> dict[str, Any]:
    """Downloads (where the data set can) and tokenises.

    Returns:
      dataset, where, fingerprint, tokenizer, vocab_size, notes and, a split, its documents,
      characters and tokens.
    """
    settings = text_config(config)
    _dataset(settings.name).prepare(settings)
    data = load_data(config)
    splits = {
        name: {
            "documents": split.num_documents,
            "characters": split.num_characters,
            "tokens": len(split.tokens),
        }
        for name, split in data.splits.items()
    }
    return {
        "dataset": settings.name,
        "where": str(data.where),
        "fingerprint": data.fingerprint,
        "tokenizer": data.tokenizer.kind,
        "vocab_size": data.tokenizer.vocab_size,
        "splits": splits,
        "notes": data.notes,
    }


def _dataset(name: str) -> type[TextDataset]:
    kind = name.partition(":")[0]
    if kind not in registry.DATASETS:
        raise UserError(f"data.name={name!r} is not known{suggest(kind, registry.DATASETS)}")
    return registry.resolve(registry.DATASETS[kind].implementation)
