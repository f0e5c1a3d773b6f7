"""Conversion of Hugging Face's Llama and its relatives (`LlamaForCausalLM`, ...) into our `gpt`.

Mistral has windows; Qwen2 has biases for queries, keys and values; Gemma scales its embeddings,
gates with GELU, and stores the scales of its norms minus 1. All pair feature i with i + K/2 in
rotary embeddings, so weights are only transposed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.models import Activation
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.transformers import GPTConfig, Norm, Position
from seqmodels.interop.attention import separate_bias, separate_kernel
from seqmodels.interop.settings import Settings
from seqmodels.interop.tables import Conversion, Rule, Shape, same, text_spec, transposed, zeros

_HARMLESS = (r"(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq",)
_ROTARY = ("default", "linear", "dynamic", "llama3")


@dataclasses.dataclass(frozen=True)
class _Family:
    """The defaults of one architecture, and what it computes that no field says.

    Attributes:
      tied: default of `tie_word_embeddings`.
      activations: ours by their names.
      biases: parts that always have them: "qkv".
      may_have: fields that add biases.
      norm_offset: added to the scales in the file.
    """

    vocab_size: int = 32000
    hidden_size: int = 4096
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    intermediate_size: int = 11008
    max_position_embeddings: int = 2048
    tied: bool = False
    activations: tuple[tuple[str, Activation], ...] = (("silu", Activation.SWIGLU),)
    biases: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()
    norm_offset: float = 0.0


_FAMILIES = {
    "Llama": _Family(may_have=("attention_bias", "mlp_bias")),
    "Mistral": _Family(
        num_key_value_heads=8, intermediate_size=14336, max_position_embeddings=131072
    ),
    "Qwen2": _Family(
        vocab_size=151936,
        num_key_value_heads=32,
        intermediate_size=22016,
        max_position_embeddings=32768,
        biases=("qkv",),
    ),
    "Gemma": _Family(
        vocab_size=256000,
        hidden_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=16,
        head_dim=256,
        intermediate_size=24576,
        max_position_embeddings=8192,
        tied=True,
        # Its first files say gelu and mean the tanh form.
        activations=(("gelu_pytorch_tanh", Activation.GEGLU), ("gelu", Activation.GEGLU)),
        may_have=("attention_bias",),
        norm_offset=1.0,
    ),
}


def convert(settings: Settings, shapes: Mapping[str, Shape], architecture: str) -> Conversion:
    """Conversion of a folder.

    Raises:
      UserError: a field asks for something that `gpt` does not compute.
    """
    name = architecture.removesuffix("ForCausalLM").removesuffix("Model")
    family = _FAMILIES[name]
    biases = _biases(settings, family)
    rate = settings.number("attention_dropout", 0.0)
    rotary, notes = _rotary(settings, family)
    model = dataclasses.replace(
        _model(settings, family),
        window=_window(settings, name),
        dropout_rate=rate,
        use_bias=bool(biases),
        scale_embeddings=name == "Gemma",
        **rotary,
    )
    if rate:
        notes += (
            f"attention_dropout={rate}: dropout_rate={rate} acts on embeddings and the output of "
            "each part too",
        )
    if biases:
        notes += (
            f"use_bias=true: the file has biases of {' and '.join(biases)} only; the others are 0, "
            "and training changes them too",
        )
    vocab_size = settings.integer("vocab_size", family.vocab_size)
    prefix = "model." if any(name.startswith("model.") for name in shapes) else ""
    tied = (r"lm_head\.weight",) if model.tie_embeddings else ()
    bare = architecture.endswith("Model")
    layout = _Layout(vocab_size, prefix, biases, family.norm_offset, head_is_optional=bare)
    return Conversion(
        architecture,
        model,
        LanguageModelConfig(),
        text_spec(vocab_size),
        lambda model: rules(model, layout),
        _HARMLESS + tied,
        notes,
    )


def _model(settings: Settings, family: _Family) -> GPTConfig:
    """The sizes, the norms and the activation."""
    heads = settings.integer("num_attention_heads", family.num_attention_heads)
    width = settings.integer("hidden_size", family.hidden_size)
    activations = dict(family.activations)
    return GPTConfig(
        num_layers=settings.integer("num_hidden_layers", family.num_hidden_layers),
        model_dim=width,
        num_heads=heads,
        num_kv_heads=settings.integer("num_key_value_heads", family.num_key_value_heads or heads),
        head_dim=settings.integer("head_dim", family.head_dim or width // heads),
        mlp_dim=settings.integer("intermediate_size", family.intermediate_size),
        max_length=settings.integer("max_position_embeddings", family.max_position_embeddings),
        norm=Norm.RMS,
        norm_epsilon=settings.number("rms_norm_eps", 1e-6),
        position=Position.ROTARY,
        activation=settings.choice("hidden_act", activations, next(iter(activations))),
        tie_embeddings=settings.boolean("tie_word_embeddings", family.tied),
    )


def _biases(settings: Settings, family: _Family) -> tuple[str, ...]:
    """The parts that have biases: qkv, attention (qkv and the output), mlp."""
    fields = {"attention_bias", "mlp_bias"} - set(family.may_have)
    settings.require(pretraining_tp=1, **dict.fromkeys(sorted(fields), False))
    added = (field for field in family.may_have if settings.boolean(field, False))
    return (*family.biases, *(field.removesuffix("_bias") for field in added))


def _window(settings: Settings, name: str) -> int | None:
    """The attention window of Mistral: 4096 if the field is missing, none if it is null."""
    if name == "Mistral":
        if settings.values.get("sliding_window", 4096) is None:
            return None
        return settings.integer("sliding_window", 4096)
    settings.require(use_sliding_window=False)
    if settings.values.get("use_bidirectional_attention") is not None:
        settings.require(use_bidirectional_attention=False)
    kinds = settings.values.get("layer_types")
    if isinstance(kinds, list):
        settings.require(layer_types=["full_attention"] * len(kinds))
    return None


def _rotary(settings: Settings, family: _Family) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fields of the rotary angles, from their old or new names, and notes."""
    field = "rope_parameters" if settings.values.get("rope_parameters") else "rope_scaling"
    values = settings.values.get(field) or {}
    kind = values.get("rope_type", values.get("type", "default")) if isinstance(values, dict) else 0
    if kind not in _ROTARY:
        raise UserError(
            f"{settings.path}: {field}={values!s:.80} is not supported; allowed: rope_type "
            + ", ".join(_ROTARY)
        )
    named = Settings(settings.path, {**settings.values, **values})
    named.require(partial_rotary_factor=1.0)
    fields: dict[str, Any] = {"rotary_base": named.number("rope_theta", 10000.0)}
    length = settings.integer("max_position_embeddings", family.max_position_embeddings)
    if kind == "dynamic":
        # It makes all angles depend on the length of the whole sequence, so that cutting a
        # sequence would change it; and only beyond the positions that the model has.
        note = f"rope_type=dynamic acts only past max_position_embeddings={length}, where it ends"
        return fields, (note,)
    if kind != "default":
        fields["rotary_factor"] = named.number("factor", 1.0)
    if kind == "llama3" and fields["rotary_factor"] != 1:
        # A field next to those of the angles takes precedence over one among them.
        outer = Settings(settings.path, {**named.values, **settings.values})
        fields |= {
            "rotary_original_length": outer.integer("original_max_position_embeddings", length),
            "rotary_low_frequency": named.number("low_freq_factor", 1.0),
            "rotary_high_frequency": named.number("high_freq_factor", 4.0),
        }
    return fields, ()


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Names and parts in one file; `biases` as `_biases` returns them."""

    vocab_size: int
    prefix: str
    biases: tuple[str, ...]
    norm_offset: float
    head_is_optional: bool


def rules(model: GPTConfig, layout: _Layout) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model."""
    d, f = model.model_dim, model.mlp_dim
    layers: dict[str, Any] = {"layers": model.num_layers}
    assert model.head_dim is not None
    assert model.num_kv_heads is not None
    sizes = (d, model.num_heads, model.num_kv_heads, model.head_dim)
    wide = model.num_heads * model.head_dim
    block, there = "stack/blocks", f"{layout.prefix}layers.{{}}"
    gate = lambda gate, up: np.stack([gate.T, up.T], axis=1)  # [D, 2, F]
    q, k, v = (f"{there}.self_attn.{x}_proj.weight" for x in "qkv")

    def scale(path: str, name: str, **more: Any) -> Rule:
        offset = np.float32(layout.norm_offset)
        return Rule(f"{path}/scale", {f"{name}.weight": (d,)}, lambda x: x + offset, **more)

    table = (
        same("embedding/table", f"{layout.prefix}embed_tokens.weight", layout.vocab_size, d),
        scale(f"{block}/attention_norm", f"{there}.input_layernorm", **layers),
        separate_kernel(f"{block}/attention/qkv/kernel", (q, k, v), sizes, **layers),
        transposed(
            *(f"{block}/attention/out/kernel", f"{there}.self_attn.o_proj.weight", d, wide),
            **layers,
        ),
        scale(f"{block}/feedforward_norm", f"{there}.post_attention_layernorm", **layers),
        Rule(
            f"{block}/feedforward/wide/kernel",
            {f"{there}.mlp.gate_proj.weight": (f, d), f"{there}.mlp.up_proj.weight": (f, d)},
            gate,
            **layers,
        ),
        transposed(
            f"{block}/feedforward/out/kernel", f"{there}.mlp.down_proj.weight", d, f, **layers
        ),
        scale("stack/final_norm", f"{layout.prefix}norm"),
        *(_bias_rules(model, layout, there, sizes) if model.use_bias else ()),
    )
    if model.tie_embeddings:
        return table
    size, optional = layout.vocab_size, layout.head_is_optional
    head = transposed("head/Dense_0/kernel", "lm_head.weight", size, d, optional=optional)
    return (*table, head, *([zeros("head/Dense_0/bias", size)] if model.use_bias else []))


def _bias_rules(
    model: GPTConfig, layout: _Layout, there: str, sizes: tuple[int, int, int, int]
) -> tuple[Rule, ...]:
    """Rules of the biases in the blocks; those that the file lacks are 0."""
    (d, h, g, k), f = sizes, model.mlp_dim
    layers: dict[str, Any] = {"layers": model.num_layers}
    attention, feedforward = "stack/blocks/attention", "stack/blocks/feedforward"
    qkv = zeros(f"{attention}/qkv/bias", g, h // g + 2, k, **layers)
    out = zeros(f"{attention}/out/bias", d, **layers)
    wide = zeros(f"{feedforward}/wide/bias", 2, f, **layers)
    narrow = zeros(f"{feedforward}/out/bias", d, **layers)
    if {"qkv", "attention"} & set(layout.biases):
        names = tuple(f"{there}.self_attn.{x}_proj.bias" for x in "qkv")
        qkv = separate_bias(qkv.path, names, sizes, **layers)
    if "attention" in layout.biases:
        out = same(out.path, f"{there}.self_attn.o_proj.bias", d, **layers)
    if "mlp" in layout.biases:
        pair = {f"{there}.mlp.{name}_proj.bias": (f,) for name in ("gate", "up")}
        wide = Rule(wide.path, pair, lambda gate, up: np.stack([gate, up]), **layers)
        narrow = same(narrow.path, f"{there}.mlp.down_proj.bias", d, **layers)
    return qkv, out, wide, narrow
