"""WikiText-2, words: the small LSTM of Zaremba et al., 2014 (arXiv:1409.2329), 2 x 200.

    python launch.py prepare --config=wikitext2_lstm
    python launch.py train --config=wikitext2_lstm --workdir=runs/wikitext2_lstm
    python launch.py evaluate --workdir=runs/wikitext2_lstm --split=test

The protocol is theirs: the text is one stream, cut into 20 contiguous ones whose state is carried
over; 20 steps of truncated back-propagation; an <eos> at the end of each line, which counts; no
dropout; weights uniform in +-0.1; SGD for 13 epochs, the first 4 at the full learning rate, which
then halves with each epoch. Their loss is summed over the 20 steps and ours is the mean over all
targets, so their learning rate 1 and clipping norm 5 are 20 and 0.25 here. 13,986,078 parameters,
13.3 million of them in the embedding and the head of 33,278 words.

Perplexity is per word over the whole split, without its first word, with the state carried through
it. The variants differ in the number of epochs and in how many of them have the full learning rate.

`default` (13, 4 at full rate): 67,886 steps. Not run yet.
`short` (3, 1 at full rate): 15,666 steps, one run, seed 0, 2026-11-21: 152.93 validation, 141.90
test. After its epochs it has 227.07, 171.54 and 152.93 validation, still falling. It took 91
minutes while other programs were running, and was stopped and resumed once.
A step takes 0.27 s of CPU time, at best 0.15 s on two cores of an Intel Xeon (AVX-512), jax 0.10.2:
at least 40 minutes for `short` and three hours for `default`. Kneser-Ney of order 6, which takes 5
s to count: 232.10 validation, 217.34 test.

Published: nothing for these sizes on this text. Zaremba et al., the same network on the Penn
Treebank (10,000 words): 120.7 validation, 114.5 test. Merity et al., 2016 (arXiv:1609.07843), on
this text, a variational LSTM of 20 million parameters: 101.7 and 96.3.
"""

from __future__ import annotations

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import (
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    OptimizerName,
    Schedule,
    TrainingConfig,
)

VARIANTS = ("default", "short")

# Epochs, and those of them at the full learning rate.
EPOCHS = {"default": (13, 4), "short": (3, 1)}
NUM_TOKENS, BATCH_SIZE, LENGTH = 2_088_628, 20, 20
STEPS_PER_CALL = 14  # divides an epoch; the large temporaries are not allocated for each step


def get_config(variant: str) -> ExperimentConfig:
    epochs, at_full_rate = EPOCHS[variant]
    epoch = -(-NUM_TOKENS // (BATCH_SIZE * LENGTH))
    return ExperimentConfig(
        model=RecurrentConfig(num_layers=2, model_dim=200, hidden_dim=200, uniform_init=0.1),
        data=TextDataConfig(
            name="wikitext2",
            tokenizer=TokenizerKind.WORD,
            batching=Batching.STREAMS,
            sequence_length=LENGTH,
            batch_size=BATCH_SIZE,
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            name=OptimizerName.SGD,
            momentum=0.0,
            peak_lr=1.0 * LENGTH,
            schedule=Schedule.STEP,
            decay_start=(at_full_rate - 1) * epoch,
            decay_every=epoch,
            decay_factor=0.5,
            warmup_steps=0,
            clip_norm=5.0 / LENGTH,
        ),
        training=TrainingConfig(
            num_steps=epochs * epoch,
            log_every=10 * STEPS_PER_CALL,
            evaluate_every=epoch,
            checkpoint_every=epoch,
            steps_per_call=STEPS_PER_CALL,
        ),
        # 80 rows of logits at once; the memory of many more would be mapped again for each batch.
        evaluation=EvaluationConfig(
            context=EvaluationContext.CARRY, num_streams=20, batch_size=20, sequence_length=4
        ),
    )
