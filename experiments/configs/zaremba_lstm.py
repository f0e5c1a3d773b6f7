"""The regularized LSTMs of Zaremba et al., 2014 (arXiv:1409.2329): small, medium, large.

    python launch.py train --config=zaremba_lstm:small --workdir=runs/zaremba \
        --config.data.name=text_file --config.data.train_path=train.txt \
        --config.data.validation_path=valid.txt --config.data.test_path=test.txt

Two layers of 200, 650 or 1500 units; with the Penn Treebank's 10,000 words they have 4,651,600,
19,775,200 and 66,022,000 parameters (PyTorch, which has every bias twice, has 1,600, 5,200 and
12,000 more). Contiguous streams with carried state, 20 or 35 steps of truncated back-propagation,
SGD; the learning rate falls with each epoch (of 929,589 words) after 4, 6 or 14 of them. Their loss
is summed over the steps of back-propagation and ours is the mean over all targets, so our learning
rates are that many times larger and our clipping norms that many times smaller.

Not run: their text is not free. `wikitext2_lstm` is the small model on a text that is. Published
for the Penn Treebank, validation and test: 120.7 and 114.5, 86.2 and 82.7, 82.2 and 78.4.
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

VARIANTS = ("small", "medium", "large")

# Units, dropout, steps of back-propagation, epochs, those of them at the full learning rate, decay
# in each epoch after them, clipping norm, largest initial weight.
SIZES = {
    "small": (200, 0.0, 20, 13, 4, 0.5, 5.0, 0.1),
    "medium": (650, 0.5, 35, 39, 6, 1 / 1.2, 5.0, 0.05),
    "large": (1500, 0.65, 35, 55, 14, 1 / 1.15, 10.0, 0.04),
}
NUM_WORDS, BATCH_SIZE = 929_589, 20


def get_config(variant: str) -> ExperimentConfig:
    units, dropout_rate, length, epochs, at_full_rate, factor, norm, bound = SIZES[variant]
    epoch = -(-(NUM_WORDS - 1) // (BATCH_SIZE * length))  # the first word is not a target
    return ExperimentConfig(
        model=RecurrentConfig(
            num_layers=2,
            model_dim=units,
            hidden_dim=units,
            dropout_rate=dropout_rate,
            uniform_init=bound,
        ),
        data=TextDataConfig(
            tokenizer=TokenizerKind.WORD,
            batching=Batching.STREAMS,
            sequence_length=length,
            batch_size=BATCH_SIZE,
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            name=OptimizerName.SGD,
            momentum=0.0,
            peak_lr=1.0 * length,
            schedule=Schedule.STEP,
            decay_start=(at_full_rate - 1) * epoch,
            decay_every=epoch,
            decay_factor=factor,
            warmup_steps=0,
            clip_norm=norm / length,
        ),
        training=TrainingConfig(
            num_steps=epochs * epoch, evaluate_every=epoch, checkpoint_every=epoch
        ),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY, num_streams=32),
    )
