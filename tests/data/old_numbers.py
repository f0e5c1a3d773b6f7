"""Numbers in words: spelt, read back by a second reader, dealt out to splits."""

from __future__ import annotations

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.files import load_config
from seqmodels.data.datasets.numbers import write


def test_the_longest_fits_the_config() -> None:
    config = load_config("numbers").data
    assert isinstance(config, PairsDataConfig)
    longest = 1 + max(len(write(n)) for n in range(1000)) + len(" thousand")
    longest += max(len(write(n)) for n in range(1000))
    assert longest <= config.max_source_length and config.max_target_length > 6
