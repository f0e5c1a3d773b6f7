"""Text for language modelling, in batches."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

from seqmodels.config.data import Batching, TextDataConfig, TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data import store
from seqmodels.data.common import (
    cache_directory,
    check_shapes,
    dataset_class,
    get_split,
    make_task,
    refuse_paths,
)
from seqmodels.data.packing import Buckets, Packed
from seqmodels.data.sources import BatchSource, Crops, Streams, Windows
from seqmodels.data.store import TokenSplit
from seqmodels.data.text_labels import read_any_tokenizer
from seqmodels.data.tokenizers import load_tokenizer
from seqmodels.types import DataSpec, Tokenizer

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
    """Tokenised text of one data set; see `common.Data`.

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

    encoding_file = "tokenizer.json"

    @property
    def encoding(self) -> Tokenizer:
        """The tokenizer."""
        return self.tokenizer

    @classmethod
    def load(cls, config: ExperimentConfig, encoding: Tokenizer | None) -> TextData:
        """Opens the data of an experiment, tokenising them first where the cache lacks them.

        Args:
          config: of the experiment; its data section is read.
          encoding: of a run, to be used instead of one made from the training split.

        Raises:
          UserError: names the field, file or symbol at fault.
        """
        settings = text_config(config)
        cache, dataset = cache_directory(settings), dataset_class(settings)
        refuse_paths(settings)
        source = dataset.source(settings, cache)
        tokenizer = encoding or read_tokenizer(settings)
        entry = store.open_entry(source, settings, tokenizer, cache)
        for note in entry.notes:
            _log.warning("%s: %s", settings.name, note)
        spec = make_task(config).make_spec(entry.tokenizer)
        return cls(spec, entry.tokenizer, entry.fingerprint, entry.splits, entry.where, entry.notes)

    @classmethod
    def read_encoding(cls, path: Path) -> Tokenizer:
        """Reads what a run kept."""
        return load_tokenizer(path)

    @classmethod
    def prepare(cls, data: TextDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        dataset_class(data).prepare(data)

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split as `config.data` cuts them, ordered by the run's seed.

        Raises:
          UserError: the split is too short for sequence_length or batch_size.
        """
        settings, seed = text_config(config), config.training.seed
        found = get_split(self.splits, split)
        source = _SOURCES[settings.batching](
            found, settings.batch_size, settings.sequence_length, seed, split
        )
        check_shapes(source, config, "data.batching=buckets")
        return make_task(config).make_source(source, self.tokenizer, seed)

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

    def summary(self) -> str:
        """The encoding in a few words."""
        return f"{self.tokenizer.kind} tokenizer, {self.tokenizer.vocab_size} symbols"


def text_config(config: ExperimentConfig) -> TextDataConfig:
    """Returns config.data, which must be of kind text."""
    if not isinstance(config.data, TextDataConfig):
        raise UserError(f"data.kind={config.data.kind}: this needs data of kind text")
    return config.data


def read_tokenizer(config: TextDataConfig | LabelledTextDataConfig) -> Tokenizer | None:
    """The tokenizer that the config names; None where the training split makes it.

    Raises:
      UserError: there is none at data.tokenizer_path.
    """
    match config.tokenizer, config.tokenizer_path:
        case TokenizerKind.HUGGINGFACE, str(path):
            from seqmodels.data.huggingface import open_tokenizer

            return open_tokenizer(Path(path).expanduser(), config.vocab_size)
        case TokenizerKind.RUN, str(path):
            file = Path(path).expanduser() / TextData.encoding_file
            if not file.is_file():
                raise UserError(
                    f"data.tokenizer_path={path}: no work directory of a run over text: it has no "
                    f"{file.name}"
                )
            return read_any_tokenizer(file)
    return None
