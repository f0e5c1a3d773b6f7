"""IMDB film reviews (TFDS catalog): a BiLSTM with attention pooling.

    python launch.py prepare --config=imdb_bilstm
    python launch.py train --config=imdb_bilstm --workdir=runs/imdb
    python launch.py evaluate --workdir=runs/imdb --split=test

25,000 reviews for training, of which the last tenth is the validation split, and 25,000 for testing
(Maas et al., 2011); each class has half of them. `prepare` has TFDS download 80 MB. Published,
test: multinomial naive Bayes of bigrams 86.59, NBSVM of bigrams 91.22 (Wang and Manning, 2012),
word vectors learned with the unlabelled reviews 88.89 (Maas et al., 2011).

Not run: the data have to be downloaded. `evaluate` compares the result with the majority class and
naive Bayes.

Differs from those: reviews are cut after 400 words; words are separated by white space, and only
the 30,000 most frequent of the training split are known.
"""

from __future__ import annotations

from experiments.configs._examples import classified_texts
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind, TokensConfig
from seqmodels.config.models import Pooling
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentEncoderConfig(
            model_dim=128, hidden_dim=64, dropout_rate=0.5, pooling=Pooling.ATTENTION
        ),
        data=classified_texts(
            "tfds:imdb_reviews/plain_text",
            TokensConfig(
                tokenizer=TokenizerKind.WORD, vocab_size=30_000, max_length=400, cut_long=True
            ),
            train_split="train[:90%]",
            validation_split="train[90%:]",
            batch_size=64,
            max_shapes=4,
        ),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=50),
        training=TrainingConfig(
            num_steps=1755, log_every=50, evaluate_every=351, checkpoint_every=351
        ),
        evaluation=EvaluationConfig(batch_size=128),
    )
