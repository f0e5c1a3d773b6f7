"""What the tests of the data room share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.data.token_store import TokenSplit

CHINESE = (
    "今天早上下了一场小雨，街上的人不多。老师说：“学而时习之，不亦说乎？”\r\n"
    "我们在图书馆读了三个小时的书，然后去吃面条。😀👩‍👩‍👧 e\u0301 n\u0303\n"
)


def experiment(**data: Any) -> ExperimentConfig:
    """Returns an experiment over text with these data settings."""
    return ExperimentConfig(RecurrentConfig(), TextDataConfig(**data), LanguageModelConfig())


def numbered_split(lengths: list[int]) -> TokenSplit:
    """Returns documents of these lengths in which token i of the split is the number i."""
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    return TokenSplit(np.arange(offsets[-1], dtype=np.int32), offsets)


def data_root() -> Path:
    """Returns $SEQMODELS_DATA_DIR, or skips the test."""
    if "SEQMODELS_DATA_DIR" not in os.environ:
        pytest.skip("SEQMODELS_DATA_DIR is not set: no prepared data sets here")
    return Path(os.environ["SEQMODELS_DATA_DIR"])


def load_fingerprint(config: ExperimentConfig) -> str:
    """The fingerprint of data, for a process of its own, which imports only what that takes."""
    from seqmodels.data.pipeline import load_data
    from seqmodels.tasks.build import build_task

    return load_data(config, build_task(config)).fingerprint
