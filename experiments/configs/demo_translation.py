"""Written dates to ISO 8601 ("3 Mar 1999", "1999-03-03"), by a Transformer and a recurrent seq2seq.

    python launch.py train --config=demo_translation --workdir=runs/demo_translation
    python launch.py evaluate --workdir=runs/demo_translation --split=test

Measured on two cores of a shared Intel Xeon, busy with other work, jax 0.10.2, 2026-11-21, seed 0;
test split, 1,000 pairs, whose dates are in no other split; one run each. Loss in nats per target
token. All figures are under teacher forcing, so "sequences", the share of targets without a wrong
token, is not the share of correct translations.

    variant                     loss     accuracy    sequences    wall time
    unigram of the targets      2.273    0.182       -            -
    transformer (2 + 2 x 64)    0.0010   0.9999      0.999        177 s
    seq2seq (GRU, Bahdanau)     0.0007   1.0000      1.000        181 s
"""

from __future__ import annotations

from experiments.configs._characters import make_config
from experiments.configs._examples import pairs
from seqmodels.config.experiment import ExperimentConfig

VARIANTS = ("transformer", "seq2seq")


def get_config(variant: str) -> ExperimentConfig:
    return make_config(variant, pairs("dates", batch_size=64, max_shapes=2))
