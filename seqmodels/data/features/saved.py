"""The features that a run keeps, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.features import FeatureConfig
from seqmodels.data.tokenizers import TOKENIZER_FILE, load_tokenizer, tokenizer_from_json
from seqmodels.files import replacing
from seqmodels.protocols import Features
from seqmodels.types import Tokenizer

FEATURES_FILE = "features.json"
"""Of runs over examples; those over a stream of text have a `TOKENIZER_FILE`."""


def save_features(features: Features, path: Path) -> None:
    """Writes `path`, whole or not at all."""
    values = {role: feature.to_json() for role, feature in features.items()}
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_features(path: Path, configs: Mapping[str, FeatureConfig]) -> dict[str, Any]:
    """Reads what `save_features` wrote.

    Args:
      configs: settings of the features by role.

    Raises:
      UserError: the file is missing or damaged, or has other roles or kinds.
    """
    values = _read(path)
    try:
        if set(values) != set(configs):
            raise ValueError("other roles")
        features = {}
        for role, config in configs.items():
            if values[role]["kind"] != config.kind:
                raise ValueError("another kind")
            feature = registry.resolve(registry.FEATURES[config.kind].implementation)
            features[role] = feature.from_json(values[role], config)
        return features
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: does not hold the features of this run") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read the features ({error.strerror})") from None
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise UserError(f"{path}: is not a file of features")
    return values


def find_tokenizer(workdir: Path) -> Tokenizer | None:
    """The tokenizer of a run: that of its text, or of its inputs; None where it has none.

    Raises:
      UserError: the file that should hold it is damaged.
    """
    if (workdir / TOKENIZER_FILE).is_file():
        return load_tokenizer(workdir / TOKENIZER_FILE)
    path = workdir / FEATURES_FILE
    if not path.is_file():
        return None
    tokenizer = _read(path).get("inputs", {}).get("tokenizer")
    try:
        return None if tokenizer is None else tokenizer_from_json(tokenizer)
    except ValueError:
        raise UserError(f"{path}: the tokenizer of its inputs is damaged") from None


def read_any_tokenizer(workdir: Path, field: str) -> Tokenizer:
    """The tokenizer of a run; raises UserError, which names the field, where it has none."""
    found = find_tokenizer(workdir) if workdir.is_dir() else None
    if found is None:
        raise UserError(f"{field}: is not the work directory of a run over text")
    return found
