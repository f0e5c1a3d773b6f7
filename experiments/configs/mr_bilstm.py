"""Rotten Tomatoes (MR), sentence polarity: a BiLSTM with attention pooling, or Kim's TextCNN.

    python launch.py prepare --config=mr_bilstm
    python launch.py train --config=mr_bilstm --workdir=runs/mr_bilstm
    python launch.py evaluate --workdir=runs/mr_bilstm --split=test

One of ten folds (data.fold=0): 8,440 sentences for training, 1,151 for validation, 1,071 for
testing. Goal: 75 % on the test split. Published, over ten folds and without pretrained vectors:
CNN-rand 76.1 (Kim, 2014), multinomial naive Bayes of bigrams 79.0, NBSVM 79.4 (Wang and Manning,
2012).

    multinomial naive Bayes of bigrams, test: 75.35 % on fold 0, 77.04 % on fold 3
    bilstm, test: 77.03 % on fold 0 (seed 0, one run, docs/results.md); majority class 51.45 %
    cnn: not run yet

Differs from Kim: only the words of the training fold are known, no vectors are pretrained, the
optimizer is AdamW, and the norm of the head is not bounded.
"""

from __future__ import annotations

from experiments.configs._examples import classified_texts
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind, TokensConfig
from seqmodels.config.models import ConvolutionalConfig, ConvolutionForm, ModelConfig, Pooling
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

VARIANTS = ("bilstm", "cnn")

MODELS: dict[str, ModelConfig] = {
    "bilstm": RecurrentEncoderConfig(
        model_dim=128, hidden_dim=64, dropout_rate=0.5, pooling=Pooling.ATTENTION
    ),
    "cnn": ConvolutionalConfig(
        form=ConvolutionForm.TEXT_CNN, num_layers=1, model_dim=128, hidden_dim=100, dropout_rate=0.5
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=classified_texts(
            "rotten_tomatoes",
            TokensConfig(tokenizer=TokenizerKind.WORD, max_length=64),
            batch_size=50,
            max_shapes=4,
        ),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=50),
        training=TrainingConfig(
            num_steps=850, log_every=50, evaluate_every=170, checkpoint_every=170
        ),
        evaluation=EvaluationConfig(batch_size=128),
    )
