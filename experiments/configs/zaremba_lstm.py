"""The regularized LSTMs of Zaremba et al., 2014 (arXiv:1409.2329): small, medium, large.

    python launch.py train --config=zaremba_lstm:small --workdir=runs/zaremba \
        --config.data.name=text_file --config.data.train_path=train.txt \
        --config.data.validation_path=valid.txt

Two layers of 200, 650 or 1500 units; with the Penn Treebank's 10,000 words 4,651,600, 19,775,200
and 66,022,000 parameters (PyTorch, with every bias twice, has 1,600, 5,200 and 12,000 more).
Contiguous streams with carried state, 20 or 35 steps of truncated back-propagation, SGD.

Differs from the paper: the learning rate falls from the first epoch on, by the same factor an
epoch (of 929,589 words) as theirs falls by after 4, 6 or 14 epochs, and weights start with the
initializers of the layers, not uniform in +-0.1, 0.05 or 0.04. Not run: their text is not free, and
words come with a later tokenizer.
"""

from __future__ import annotations

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
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

VARIANTS = ("small", "medium", "large")

# Units, dropout, steps of back-propagation, epochs, decay an epoch, clipped norm.
SIZES = {
    "small": (200, 0.0, 20, 13, 0.5, 5.0),
    "medium": (650, 0.5, 35, 39, 1 / 1.2, 5.0),
    "large": (1500, 0.65, 35, 55, 1 / 1.15, 10.0),
}
NUM_WORDS, BATCH_SIZE = 929_589, 20


def get_config(variant: str) -> ExperimentConfig:
    units, dropout_rate, length, epochs, factor, clip_norm = SIZES[variant]
    epoch = NUM_WORDS // (BATCH_SIZE * length)
    return ExperimentConfig(
        model=RecurrentConfig(
            num_layers=2,
            model_dim=units,
            hidden_dim=units,
            dropout_rate=dropout_rate,
            forget_bias=0.0,
        ),
        data=TextDataConfig(
            batching=Batching.STREAMS, sequence_length=length, batch_size=BATCH_SIZE
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            name=OptimizerName.SGD,
            momentum=0.0,
            peak_lr=1.0,
            schedule=Schedule.STEP,
            decay_every=epoch,
            decay_factor=factor,
            warmup_steps=0,
            clip_norm=clip_norm,
        ),
        training=TrainingConfig(
            num_steps=epochs * epoch, evaluate_every=epoch, checkpoint_every=epoch
        ),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY),
    )
