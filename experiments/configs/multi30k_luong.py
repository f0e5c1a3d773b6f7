"""Multi30k, German to English: a GRU encoder-decoder with multiplicative attention.

    python launch.py prepare --config=multi30k_luong
    python launch.py train --config=multi30k_luong --workdir=runs/multi30k_luong
    python launch.py evaluate --workdir=runs/multi30k_luong --split=test

Bidirectional encoder of 512, decoder of 512 with input feeding, "general" scores, dropout 0.5
(Luong et al., 2015). We know of no published figure for this model in this protocol; compare it
with `multi30k_bahdanau`. The shared setup is in `_multi30k.py`.

Measured 2026-11-22 on one core of a shared Intel Xeon (AVX-512), jax 0.10.2, seed 0 (one run), at
half the width for five of the ten epochs, with --config.model.hidden_dim=256
--config.model.dropout_rate=0.3 --config.optimizer.peak_lr=2e-3 --config.training.num_steps=1150:
BLEU 26.69 and test perplexity 9.94 in 26 minutes. `multi30k_bahdanau` has 34.38, and the baseline,
a dictionary of words, 27.12.
"""

from __future__ import annotations

from experiments.configs._multi30k import make_config
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import AlignmentScore, Context, Seq2SeqConfig

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    model = Seq2SeqConfig(
        cell="gru",
        context=Context.LUONG,
        score=AlignmentScore.GENERAL,
        model_dim=256,
        hidden_dim=512,
        bidirectional=True,
        dropout_rate=0.5,
    )
    return make_config(model)
