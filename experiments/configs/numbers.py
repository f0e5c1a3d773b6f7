"""Numbers in words to digits ("forty-two thousand and seven", "42007"), characters.

    python launch.py train --config=numbers --workdir=runs/numbers          # or numbers:transformer
    python launch.py evaluate --workdir=runs/numbers --split=test

0 to 999,999; the numbers of the test split are in no other split. Goal: 99 % of them exactly right.
The default gets all 1,000 (greedy, seed 0, one run, docs/results.md); copying the source or
translating word by word gets none. The setup shared with `dates` is in `_characters.py`.
"""

from __future__ import annotations

from experiments.configs._characters import make_config
from experiments.configs._examples import pairs
from seqmodels.config.experiment import ExperimentConfig

VARIANTS = ("seq2seq", "transformer")


def get_config(variant: str) -> ExperimentConfig:
    return make_config(
        variant,
        pairs("numbers", source_length=80, target_length=8, batch_size=64, max_shapes=3),
    )
