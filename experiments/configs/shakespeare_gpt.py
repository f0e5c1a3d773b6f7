"""Tiny Shakespeare, characters: nanoGPT's two models (github.com/karpathy/nanoGPT).

    python launch.py train --config=shakespeare_gpt --workdir=runs/shakespeare_gpt
    python launch.py train --config=shakespeare_gpt:muon --workdir=runs/shakespeare_gpt_muon
    python launch.py train --config=shakespeare_gpt:gpu --workdir=runs/shakespeare_gpt_gpu

Published (nanoGPT's README): 1.88 nats per character for variant `cpu`, and 1.4697 at best for
variant `gpu`, both estimated over random crops, where a position sees 1..context characters. Here
the evaluation is over windows, in which every character counts once and sees as much on average.
Variant `gpu` is nanoGPT's recipe. Variant `cpu` keeps its size, batches and number of steps, and
changes two things: rotary positions instead of learned ones, and a peak learning rate of 4e-3
instead of 1e-3. Goal: <= 1.88 after 2000 steps (stretch goal 1.75).
Measured 2026-11-29 on two busy cores, jax 0.10.2, Python 3.11: with seeds 0 to 4 variant `cpu` has
1.7479, 1.7415, 1.7437, 1.7357 and 1.7377 (mean 1.741, standard deviation 0.005), as in
docs/results.md. On 2026-11-21 seeds 0, 1 and 2 had 1.7395, 1.7220 and 1.7315, from other first
weights: since commit a8064fc the kernel of queries, keys and values is stored as [D, H, 3, K],
before as [D, 3, H, K], so that a seed draws the same numbers for other places (first loss 4.1803,
then 4.1643). With the old weights in their new places the logits are equal to the bit. On that day
seed 0 had 1.9060 without the two changes, which misses 1.88; that is with
--config.model.position=learned --config.optimizer.peak_lr=1e-3. Kneser-Ney of order 6 has 1.5226.
The recipe was chosen on the validation split. Variant `gpu` has not been run.
Variant `muon` is `cpu` with another optimizer, for the same number of steps. Its learning rates
were chosen at 2 layers of width 64 and 300 steps; at this size no other was tried. Measured
2026-11-30 on one busy core: with seeds 0 to 2 1.6131, 1.5939 and 1.6152 (mean 1.607).
The validation split is nanoGPT's: TFDS validation and test joined, 111,540 characters.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import (
    EvaluationConfig,
    OptimizerConfig,
    OptimizerName,
    TrainingConfig,
)
from seqmodels.config.transformers import GPTConfig, Position

VARIANTS = ("cpu", "gpu", "muon")


def get_config(variant: str) -> ExperimentConfig:
    data = TextDataConfig(
        name="tfds:tiny_shakespeare",
        validation_split="validation+test",
        test_split=None,
        unknown_symbols=False,
        sequence_length=64,
        batch_size=12,
    )
    config = ExperimentConfig(
        model=GPTConfig(
            num_layers=4,
            num_heads=4,
            model_dim=128,
            mlp_dim=512,
            max_length=64,
            position=Position.ROTARY,
        ),
        data=data,
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=4e-3,
            final_lr=1e-4,
            warmup_steps=100,
            beta2=0.99,
            weight_decay=0.1,
            clip_norm=1.0,
        ),
        training=TrainingConfig(num_steps=2000),
        evaluation=EvaluationConfig(sequence_length=64, batch_size=64),
    )
    if variant == "muon":
        config.optimizer.name = OptimizerName.MUON
        config.optimizer.peak_lr = 2e-2
        config.optimizer.momentum = 0.95
        config.optimizer.lr_scales = "embedding=0.2"
    if variant == "gpu":
        config.model = GPTConfig(
            num_layers=6,
            num_heads=6,
            model_dim=384,
            mlp_dim=1536,
            max_length=256,
            dropout_rate=0.2,
        )
        data.sequence_length, data.batch_size = 256, 64
        config.optimizer.peak_lr = 1e-3
        config.training.num_steps = 5000
        config.evaluation.sequence_length = 256
    return config
