"""Multi30k, German to English: a GRU encoder-decoder that sees the source at every step.

    python launch.py prepare --config=multi30k_gru
    python launch.py train --config=multi30k_gru --workdir=runs/multi30k_gru
    python launch.py evaluate --workdir=runs/multi30k_gru --split=test

One layer of 512, dropout 0.5; the encoder's last output is an input of every decoder step and of
the output layer (Cho et al., 2014). Goal: BLEU 20.6 on the 1,000 pairs of test 2016, greedy, on
lower-case words: what a public tutorial series reports for this model, and less than
`multi30k_bahdanau`. The shared setup is in `_multi30k.py`.

Measured 2026-11-22 on one core of a shared Intel Xeon (AVX-512), jax 0.10.2, seed 0 (one run), at
half the width for five of the ten epochs, with --config.model.hidden_dim=256
--config.model.dropout_rate=0.3 --config.optimizer.peak_lr=2e-3 --config.training.num_steps=1150:
BLEU 15.84 and test perplexity 12.12 in 18 minutes, which misses the goal of 20.6. The baseline, a
dictionary of words, has 27.12.
"""

from __future__ import annotations

from experiments.configs._multi30k import make_config
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import Context, Seq2SeqConfig

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    model = Seq2SeqConfig(
        cell="gru", context=Context.EVERY_STEP, model_dim=256, hidden_dim=512, dropout_rate=0.5
    )
    return make_config(model)
