"""Conversion of Hugging Face's Llama and Mistral (`LlamaForCausalLM`, ...) into our `gpt`.

Both pair feature i with i + K/2 in rotary embeddings, so weights are only transposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.models import Activation
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.transformers import GPTConfig, Norm, Position
from seqmodels.interop.attention import separate_kernel
from seqmodels.interop.settings import Settings
from seqmodels.interop.tables import Conversion, Rule, Shape, same, text_spec, transposed

_HARMLESS = (r"(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq",)


def convert(settings: Settings, shapes: Mapping[str, Shape], architecture: str) -> Conversion:
    """Conversion of a folder.

    Raises:
      UserError: a field asks for something that `gpt` does not compute.
    """
    settings.require(attention_bias=False, mlp_bias=False, pretraining_tp=1)
    heads = settings.integer("num_attention_heads", 32)
    width = settings.integer("hidden_size", 4096)
    mistral = architecture.startswith("Mistral")
    model = GPTConfig(
        num_layers=settings.integer("num_hidden_layers", 32),
        model_dim=width,
        num_heads=heads,
        num_kv_heads=settings.integer("num_key_value_heads", 8 if mistral else heads),
        head_dim=settings.integer("head_dim", width // heads),
        mlp_dim=settings.integer("intermediate_size", 14336 if mistral else 11008),
        max_length=settings.integer("max_position_embeddings", 131072 if mistral else 2048),
        window=_window(settings) if mistral else None,
        dropout_rate=settings.number("attention_dropout", 0.0),
        norm=Norm.RMS,
        norm_epsilon=settings.number("rms_norm_eps", 1e-6),
        position=Position.ROTARY,
        rotary_base=_rotary_base(settings),
        activation=settings.choice("hidden_act", {"silu": Activation.SWIGLU}, "silu"),
        use_bias=False,
        tie_embeddings=settings.boolean("tie_word_embeddings", False),
    )
    vocab_size = settings.integer("vocab_size", 32000)
    prefix = "model." if any(name.startswith("model.") for name in shapes) else ""
    tied = (r"lm_head\.weight",) if model.tie_embeddings else ()
    return Conversion(
        architecture,
        model,
        LanguageModelConfig(),
        text_spec(vocab_size),
        lambda model: rules(
            model, vocab_size, prefix, head_is_optional=architecture.endswith("Model")
        ),
        _HARMLESS + tied,
    )


def _window(settings: Settings) -> int | None:
    """The attention window of Mistral: 4096 if the field is missing, none if it is null."""
    if settings.values.get("sliding_window", 4096) is None:
        return None
    return settings.integer("sliding_window", 4096)


def _rotary_base(settings: Settings) -> float:
    """The base of the rotary angles, under its old or new name; refuses scaled angles."""
    scaling = settings.values.get("rope_scaling")
    if scaling is not None:
        name = scaling.get("rope_type", scaling.get("type")) if isinstance(scaling, dict) else None
        if name != "default":
            raise UserError(
                f"{settings.path}: rope_scaling={scaling} is not supported; allowed: null"
            )
    values = settings.values.get("rope_parameters") or {}
    if not isinstance(values, dict) or values.get("rope_type", "default") != "default":
        raise UserError(
            f"{settings.path}: rope_parameters={values} is not supported; "
            "allowed: rope_type default"
        )
    named = Settings(settings.path, {**settings.values, **values})
    named.require(partial_rotary_factor=1.0)
    return named.number("rope_theta", 10000.0)


def rules(
    model: GPTConfig, vocab_size: int, prefix: str = "model.", *, head_is_optional: bool = False
) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model."""
    d, f = model.model_dim, model.mlp_dim
    layers: dict[str, Any] = {"layers": model.num_layers}
    assert model.head_dim is not None
    assert model.num_kv_heads is not None
    sizes = (d, model.num_heads, model.num_kv_heads, model.head_dim)
    wide = model.num_heads * model.head_dim
    block, there = "stack/blocks", f"{prefix}layers.{{}}"
    gate = lambda gate, up: np.stack([gate.T, up.T], axis=1)  # [D, 2, F]
    q, k, v = (f"{there}.self_attn.{x}_proj.weight" for x in "qkv")
    table = (
        same("embedding/table", f"{prefix}embed_tokens.weight", vocab_size, d),
        same(f"{block}/attention_norm/scale", f"{there}.input_layernorm.weight", d, **layers),
        separate_kernel(f"{block}/attention/qkv/kernel", (q, k, v), sizes, **layers),
        transposed(
            *(f"{block}/attention/out/kernel", f"{there}.self_attn.o_proj.weight", d, wide),
            **layers,
        ),
        same(
            *(f"{block}/feedforward_norm/scale", f"{there}.post_attention_layernorm.weight", d),
            **layers,
        ),
        Rule(
            f"{block}/feedforward/wide/kernel",
            {f"{there}.mlp.gate_proj.weight": (f, d), f"{there}.mlp.up_proj.weight": (f, d)},
            gate,
            **layers,
        ),
        transposed(
            f"{block}/feedforward/out/kernel", f"{there}.mlp.down_proj.weight", d, f, **layers
        ),
        same("stack/final_norm/scale", f"{prefix}norm.weight", d),
    )
    if model.tie_embeddings:
        return table
    head = transposed(
        "head/Dense_0/kernel", "lm_head.weight", vocab_size, d, optional=head_is_optional
    )
    return (*table, head)
