"""Conversion of a checkpoint of nanoGPT (github.com/karpathy/nanoGPT) into our `gpt`.

The model is GPT-2 with the exact GELU and, with `bias` false, without any bias. Its file `ckpt.pt`
holds the hyper-parameters as `model_args`, but no tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqmodels.config.models import Activation
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.interop import gpt2
from seqmodels.interop.settings import Settings
from seqmodels.interop.tables import Conversion, Rule, Shape, text_spec

_VOCAB_SIZE = 50304
"""That of GPT-2, filled up to a multiple of 64; nanoGPT's default."""


def convert(settings: Settings, shapes: Mapping[str, Shape]) -> Conversion:
    """Conversion of a checkpoint.

    Raises:
      UserError: a hyper-parameter is not what nanoGPT writes.
    """
    width = settings.integer("n_embd", 768)
    model = GPTConfig(
        num_layers=settings.integer("n_layer", 12),
        model_dim=width,
        num_heads=settings.integer("n_head", 12),
        mlp_dim=4 * width,
        max_length=settings.integer("block_size", 1024),
        dropout_rate=settings.number("dropout", 0.0),
        activation=Activation.GELU_EXACT,
        use_bias=settings.boolean("bias", True),
    )
    size = settings.integer("vocab_size", _VOCAB_SIZE)

    def rules(model: GPTConfig) -> tuple[Rule, ...]:
        table = gpt2.rules(model, size, outputs_first=True)
        return tuple(x for x in table if model.use_bias or not x.path.endswith("bias"))

    return Conversion(
        "nanoGPT", model, LanguageModelConfig(), text_spec(size), rules, gpt2.HARMLESS
    )
