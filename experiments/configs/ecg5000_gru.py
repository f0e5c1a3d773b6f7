"""ECG5000, heartbeats of five classes, by a GRU over 140 values; `ecg200` has two classes.

    python launch.py prepare --config=ecg5000_gru
    python launch.py train --config=ecg5000_gru --workdir=runs/ecg5000       # or :ecg200
    python launch.py evaluate --workdir=runs/ecg5000 --split=test

ECG5000, seed 0, one run: 91.93 % of the 4,500 test series, F1 0.388 (the checkpoint is the one of
the lowest validation loss, step 180 of 600). Missed: the goal is 93 %. The nearest neighbour of the
same 402 training series has 92.36 and 0.564, the largest class 58.38. Published: LSTM-FCN 94.3
(Karim et al., 2018), trained on all 500. 44 s of computing on one core that was shared with other
work, 136 s in all.

A fifth of each class is held out, so that classes 3 to 5 have 8, 16 and 2 training series. Chosen
on those 98: mean pooling 91.8 %, attention 95.9 at the best of ten evaluations of a run of 900
steps. Neither a longer training with a moving average of the parameters nor another dropout rate
was tried. `ecg200` was not run.
"""

from __future__ import annotations

from experiments.configs._examples import classified_series
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import Pooling
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

VARIANTS = ("ecg5000", "ecg200")

LENGTHS = {"ecg5000": 140, "ecg200": 96}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentEncoderConfig(
            cell="gru", model_dim=32, hidden_dim=32, dropout_rate=0.2, pooling=Pooling.ATTENTION
        ),
        data=classified_series(variant, LENGTHS[variant], batch_size=40),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=20, weight_decay=0.05),
        training=TrainingConfig(
            num_steps=600, log_every=20, evaluate_every=60, checkpoint_every=60
        ),
        evaluation=EvaluationConfig(batch_size=500),
    )
