"""Multi30k, German to English: a GRU encoder-decoder with additive attention.

    python launch.py prepare --config=multi30k_bahdanau
    python launch.py train --config=multi30k_bahdanau --workdir=runs/multi30k_bahdanau
    python launch.py evaluate --workdir=runs/multi30k_bahdanau --split=test

Encoder of 512 in both directions, decoder of 512, dropout 0.5 (Bahdanau et al., 2015). Goal: BLEU
28.3 on the 1,000 pairs of test 2016, greedy, on words in lower case: what a public tutorial series
has for this model, and less than `multi30k_transformer`. Not run yet. Shared: `_multi30k.py`.

Variant `bpe`: the same model from English to German, byte pairs. Goal: BLEU 39.0, which was
published of a GRU with attention. Not run yet.
"""

from __future__ import annotations

from experiments.configs._multi30k import make_bpe_config, make_config
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import Cell, Context, Seq2SeqConfig

VARIANTS = ("default", "bpe")


def get_config(variant: str) -> ExperimentConfig:
    model = Seq2SeqConfig(
        cell=Cell.GRU,
        context=Context.BAHDANAU,
        model_dim=256,
        hidden_dim=512,
        bidirectional=True,
        attention_dim=512,
        dropout_rate=0.5,
    )
    return make_bpe_config(model) if variant == "bpe" else make_config(model)
