"""Written dates to ISO 8601 ("3 Mar 1999", "1999-03-03"), characters; sixteen ways to write one.

    python launch.py train --config=dates --workdir=runs/dates              # or dates:transformer
    python launch.py evaluate --workdir=runs/dates --split=test

Goal: 99 % of the test split's 1,000 dates exactly right; they are in no other split. The recipe is
that of `demo_translation`, which has the figures under teacher forcing. Decoded greedily, the
default gets all 1,000 exactly right; copying the source or translating word by word gets none (seed
0, one run, docs/results.md).
"""

from __future__ import annotations

from experiments.configs._characters import make_config
from experiments.configs._examples import pairs
from seqmodels.config.experiment import ExperimentConfig

VARIANTS = ("seq2seq", "transformer")


def get_config(variant: str) -> ExperimentConfig:
    return make_config(variant, pairs("dates", batch_size=64, max_shapes=2))
