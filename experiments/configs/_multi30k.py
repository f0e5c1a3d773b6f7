"""Setup of the models on Multi30k: data, words, optimizer, steps.

The protocol is that of the tutorials that published figures for these models: German to English,
29,000 pairs for training, lower-case words that occur at least twice, one vocabulary per side,
batches of 128 pairs of similar length, Adam, ten epochs (of some 230 batches), the parameters of
the best validation loss, greedy decoding, and BLEU over words as they are tokenised. It differs in
this: words are split by a rule, not by spaCy; the learning rate warms up and then decays by a
cosine, where theirs is constant; and each step of the decoder reads the previous word of the
target, where their recurrent models read their own output in half of the steps.

`make_bpe_config` is for figures that others published from English to German with byte pairs:
10,000 of them for both sides, texts as they are written, a beam of 5, and BLEU with WMT's
tokenisation.

For other directions set --config.data.source.column and --config.data.targets.column, each to en,
de or fr.
"""

from __future__ import annotations

import dataclasses

from experiments.configs._examples import pairs
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TextForm, TokenizerKind, TokensConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.training import (
    BleuTokenizer,
    EvaluationConfig,
    OptimizerConfig,
    TrainingConfig,
)


def make_config(
    model: ModelConfig, *, peak_lr: float = 1e-3, warmup_steps: int = 100
) -> ExperimentConfig:
    """Returns the experiment of a model."""
    return ExperimentConfig(
        model=model,
        data=pairs(
            "multi30k",
            "de",
            "en",
            TokensConfig(form=TextForm.LOWER_WORDS, tokenizer=TokenizerKind.WORD, min_count=2),
            shared=False,
            batch_size=128,
            max_shapes=4,
        ),
        task=TranslationConfig(),
        optimizer=OptimizerConfig(peak_lr=peak_lr, warmup_steps=warmup_steps),
        training=TrainingConfig(
            num_steps=2300, log_every=50, evaluate_every=230, checkpoint_every=230
        ),
        evaluation=EvaluationConfig(batch_size=128, beam_size=1, bleu_tokenizer=BleuTokenizer.NONE),
    )


def make_bpe_config(model: ModelConfig, *, label_smoothing: float = 0.0) -> ExperimentConfig:
    """Returns the experiment of a model on byte pairs, English to German, for 30 epochs."""
    config = make_config(model, warmup_steps=400)
    return dataclasses.replace(
        config,
        data=pairs(
            "multi30k",
            "en",
            "de",
            TokensConfig(tokenizer=TokenizerKind.BPE, vocab_size=10_000),
            batch_size=128,
            max_shapes=4,
        ),
        task=TranslationConfig(label_smoothing=label_smoothing),
        training=dataclasses.replace(config.training, num_steps=6900, ema_decay=0.999),
        evaluation=EvaluationConfig(batch_size=128, beam_size=5),
    )
