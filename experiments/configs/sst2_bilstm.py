"""SST-2, sentence polarity: a BiLSTM with attention pooling, trained on phrases or sentences.

    python launch.py train --config=sst2_bilstm --config.data.tfds_data_dir=DIR \
        --workdir=runs/sst2_bilstm
    python launch.py evaluate --workdir=runs/sst2_bilstm
    python launch.py prepare --config=sst2_bilstm:sentences
    python launch.py train --config=sst2_bilstm:sentences --workdir=runs/sst2_sentences

`phrases` is GLUE's form (67,349 phrases and sentences; its test split has no classes). TFDS
prepares it where TensorFlow is installed, and `data.tfds_data_dir` names the folder. `sentences`
has the 6,920 whole sentences of `stsa.binary.train`. The 872 sentences of the validation split are
the same in both, up to tokenisation. Goal: 83 % of them. Published: 85.2 % (Flax's BiLSTM with
attention, trained on phrases). The recipe was chosen on that split, so this is not a test accuracy.

    multinomial naive Bayes of bigrams, validation: 80.16 % of phrases, 79.47 % of sentences
    bilstm, phrases, validation: 83.39 %, standard deviation 0.56 (seeds 0 to 4, docs/results.md)

One epoch. Ten recipes were compared by their mean over seeds 0 to 2; those that did poorly with
seed 0 were dropped after it. The best has learning rate 3e-3 and weight decay 0.3: 83.52; seeds 3
and 4, which had no part in the choice, have 83.20. Others: 2e-3, 0.3, embeddings of 256: 83.29;
2e-3, 0.1: 82.99; 2e-3, 0.5: 82.72; 1e-3 without decay: 82.72, and over three epochs 82.91 (seed 0),
where it overfits.

With `sentences`, naive Bayes has 82.48 % of the 1,821 test sentences. As published, two of those
are also in the training split, and no validation sentence is.
"""

from __future__ import annotations

from experiments.configs._examples import classified_texts
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind, TokensConfig
from seqmodels.config.models import Pooling
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

VARIANTS = ("phrases", "sentences")

# Data set, column of the texts, and test split of a catalog.
DATA = {
    "phrases": ("tfds:glue/sst2", "sentence", None),
    "sentences": ("sst2", "text", "test"),
}
# Steps of training, and steps between two evaluations.
STEPS = {"phrases": (1050, 210), "sentences": (540, 108)}


def get_config(variant: str) -> ExperimentConfig:
    num_steps, every = STEPS[variant]
    name, column, test_split = DATA[variant]
    inputs = TokensConfig(column=column, tokenizer=TokenizerKind.WORD, max_length=64)
    return ExperimentConfig(
        model=RecurrentEncoderConfig(
            model_dim=128, hidden_dim=64, dropout_rate=0.5, pooling=Pooling.ATTENTION
        ),
        data=classified_texts(name, inputs, test_split=test_split, batch_size=64, max_shapes=4),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=50, weight_decay=0.3),
        training=TrainingConfig(
            num_steps=num_steps, log_every=50, evaluate_every=every, checkpoint_every=every
        ),
        evaluation=EvaluationConfig(batch_size=128),
    )
