"""Captions of drawn scenes ("a small blue circle left of a large red square"), in words.

    python launch.py train --config=captions --workdir=runs/captions    # or captions:transformer
    python launch.py evaluate --workdir=runs/captions --split=test
    python launch.py train --config=captions:coco --workdir=runs/coco       # tfds:coco_captions

Goal: 95 % of the 1,000 captions of the test split exactly right. The colours and shapes of its two
objects are together in no training scene. The stem of both models is convolutional. `seq2seq` reads
its 64 vectors with a bidirectional LSTM and attends to the states; `transformer` reads them with
two blocks.

Measured 2026-11-29 on one of two cores of a shared Intel Xeon that other programs kept busy, jax
0.10.2, seed 0 alone. Captions of the test split exactly right, of validation in brackets:

    seq2seq, dropout 0.2, 3,000 steps      92.0 % (98.4 %), BLEU 97.9
    seq2seq, no dropout, 2,000 steps       90.7 % (94.8 %)
    transformer, no dropout, 2,000 steps   86.8 % (95.6 %), BLEU 96.8

Again on 2026-11-30 through `reproduce`, on a core of its own, seed 0: 91.4 %, BLEU 97.8.
The goal is missed. All mistakes are shapes; colours, sizes and relations are right in every test
caption. Perhaps the decoder avoids what training never names together. With a linear stem the
transformer had 53 % of validation right after 3,000 steps. Dropout was chosen on validation, after
the test scores of the lower two rows were seen. `coco` was run on a stand-in of a few images alone.
"""

from __future__ import annotations

import dataclasses

from experiments.configs._examples import captioned_images
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TextForm, TokenizerKind, TokensConfig
from seqmodels.config.models import ImageStem, ModelConfig
from seqmodels.config.recurrent import Context, Seq2SeqConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import EmbeddingTying, NormPlacement, TransformerConfig

VARIANTS = ("seq2seq", "transformer", "coco")
MODELS: dict[str, ModelConfig] = {
    "transformer": TransformerConfig(
        num_encoder_layers=2,
        num_decoder_layers=2,
        model_dim=64,
        num_heads=4,
        mlp_dim=128,
        dropout_rate=0.0,
        norm_placement=NormPlacement.PRE,
        final_norm=True,
        tie_embeddings=EmbeddingTying.TARGET,
        stem=ImageStem.CONVOLUTIONAL,
    ),
    "seq2seq": Seq2SeqConfig(
        cell="lstm",
        context=Context.BAHDANAU,
        model_dim=64,
        hidden_dim=96,
        bidirectional=True,
        dropout_rate=0.2,
        stem=ImageStem.CONVOLUTIONAL,
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    scenes = variant != "coco"
    # Of photographs: the ten thousand most frequent words, in lower case.
    words = TokensConfig(
        tokenizer=TokenizerKind.WORD, form=TextForm.LOWER_WORDS, vocab_size=10_000, max_length=32
    )
    splits = {"train_split": "train", "validation_split": "val", "test_split": None}
    data = (
        captioned_images("scenes", batch_size=64)
        if scenes
        else captioned_images(
            "tfds:coco_captions", caption="captions/text", size=64, words=words, **splits
        )
    )
    return ExperimentConfig(
        model=dataclasses.replace(MODELS[variant if scenes else "transformer"]),
        data=data,
        task=TranslationConfig(),
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=100),
        training=TrainingConfig(
            num_steps=3000 if variant == "seq2seq" else 2000,
            log_every=50,
            evaluate_every=500,
            checkpoint_every=500,
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
