"""GPT-1, GPT-2 and Llama 2 7B in their published sizes (Radford et al., 2018 and 2019; Touvron et
al., 2023, arXiv:2307.09288).

    python launch.py train --config=gpt:gpt2_124m --workdir=runs/gpt2 \
        --config.data.name=text_file --config.data.path='corpus/*.txt'

Parameters with the released vocabularies of 50,257 (GPT-1: 40,478, Llama 32,000) tokens, as
tests/models/test_presets.py counts them: gpt2_124m 124,439,808, gpt2_355m 354,823,168, gpt2_774m
774,030,080, gpt2_1558m 1,557,611,200, gpt1 116,534,784, llama2_7b 6,738,415,616. With the built-in
characters, the default here, the embedding table is smaller.

Of GPT-2's training only the batch and context sizes are published; the rest follows GPT-3's
description for the same sizes (Brown et al., 2020). gpt1 has its own recipe: Adam at 2.5e-4, 2000
warm-up steps, cosine decay to 0, batches of 64 x 512. llama2_7b too: AdamW at 3e-4, cosine decay to
a tenth, batches of 1,024 x 4,096, 2 trillion tokens. Not run at these sizes; `launch.py import`
loads the published weights.
"""

from __future__ import annotations

import dataclasses

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import Activation
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import Dtype, EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import GPTConfig, Norm, NormPlacement, Position

VARIANTS = ("gpt2_124m", "gpt2_355m", "gpt2_774m", "gpt2_1558m", "gpt1", "llama2_7b")

# Layers, width, heads and peak learning rate.
SIZES = {
    "gpt2_124m": (12, 768, 12, 6e-4),
    "gpt2_355m": (24, 1024, 16, 3e-4),
    "gpt2_774m": (36, 1280, 20, 2.5e-4),
    "gpt2_1558m": (48, 1600, 25, 2e-4),
    "gpt1": (12, 768, 12, 2.5e-4),
    "llama2_7b": (32, 4096, 32, 3e-4),
}
LENGTHS = {"gpt1": 512, "llama2_7b": 4096}


def get_config(variant: str) -> ExperimentConfig:
    num_layers, model_dim, num_heads, peak_lr = SIZES[variant]
    length = LENGTHS.get(variant, 1024)
    model = GPTConfig(
        num_layers=num_layers,
        model_dim=model_dim,
        num_heads=num_heads,
        mlp_dim=4 * model_dim,
        max_length=length,
        dropout_rate=0.1,
        use_bias=True,
        remat=num_layers > 12,
    )
    config = ExperimentConfig(
        model=model,
        data=TextDataConfig(sequence_length=length, batch_size=512),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=peak_lr,
            final_lr=peak_lr / 10,
            warmup_steps=2000,
            beta2=0.95,
            weight_decay=0.1,
        ),
        training=TrainingConfig(
            num_steps=600_000,
            evaluate_every=2000,
            checkpoint_every=2000,
            accumulation_steps=16,
            dtype=Dtype.BFLOAT16,
        ),
        evaluation=EvaluationConfig(sequence_length=length, batch_size=8),
    )
    if variant == "gpt1":
        model.norm_placement = NormPlacement.POST
        config.data.batch_size = 64
        config.optimizer = OptimizerConfig(peak_lr=peak_lr, warmup_steps=2000, weight_decay=0.01)
        config.training.num_steps = 100_000
    if variant == "llama2_7b":
        llama = {"mlp_dim": 11008, "norm": Norm.RMS, "position": Position.ROTARY}
        llama |= {"activation": Activation.SWIGLU, "use_bias": False, "tie_embeddings": False}
        config.model = dataclasses.replace(model, dropout_rate=0.0, **llama)
        config.data.batch_size = 1024
        config.optimizer.epsilon = 1e-5
        config.training.num_steps = 480_000
        config.training.accumulation_steps = 1
    return config
