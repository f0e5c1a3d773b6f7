"""From a data config to batches: each batch is a function of its step (law 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.common import Data, Encoding, cache_directory, make_task
from seqmodels.data.sources import BatchSource
from seqmodels.data.store import TokenSplit
from seqmodels.data.text import TextData, text_config

__all__ = [
    "BatchSource",
    "Data",
    "Encoding",
    "TextData",
    "TokenSplit",
    "cache_directory",
    "load_data",
    "make_task",
    "prepare",
    "read_encoding",
    "text_config",
]
_KINDS = {
    "text": "seqmodels.data.text:TextData",
    "images": "seqmodels.data.images:ImageData",
    "pairs": "seqmodels.data.pairs:PairData",
    "labelled": "seqmodels.data.labelled:LabelledData",
}


def _kind(config: ExperimentConfig) -> Any:
    return registry.resolve(_KINDS[config.data.kind])


def load_data(config: ExperimentConfig, encoding: Any = None) -> Data:
    """Opens the data of an experiment, making of them first what the cache lacks.

    Args:
      config: of the experiment; its data section is read.
      encoding: of a run, to be used instead of one made from the training split.

    Returns:
      `TextData`, `ImageData`, `PairData` or `LabelledData`, by the config's kind.

    Raises:
      UserError: names the field, file or symbol at fault.
    """
    return _kind(config).load(config, encoding)


def read_encoding(config: ExperimentConfig, workdir: Path) -> Any:
    """Reads the `Encoding` that a run keeps.

    Raises:
      UserError: there is none, or it is damaged.
    """
    kind = _kind(config)
    path = workdir / kind.encoding_file
    if not path.is_file():
        raise UserError(f"--workdir={workdir} has no {kind.encoding_file}: train first")
    return kind.read_encoding(path)


def prepare(config: ExperimentConfig) -> dict[str, Any]:
    """Downloads (where the data set can) and tokenises or decodes.

    Returns:
      dataset, where, encoding (in words), notes and `Data.description`.
    """
    _kind(config).prepare(config.data)
    data = load_data(config)
    return {
        "dataset": config.data.name,
        "where": str(data.where),
        "encoding": data.summary(),
        **data.description(),
        "notes": data.notes,
    }
