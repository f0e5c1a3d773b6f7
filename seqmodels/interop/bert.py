"""Conversion between Hugging Face's BERT (`BertForMaskedLM`, ...) and our `bert`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.tasks import ClassificationConfig, MaskedLanguageModelConfig
from seqmodels.config.transformers import BERTConfig
from seqmodels.interop.attention import separate_bias, separate_kernel
from seqmodels.interop.settings import ACTIVATIONS, Settings, class_names
from seqmodels.interop.tables import Conversion, Rule, Shape, dense, norm, same, text_spec

_NORM, _OLD_NORM = ("weight", "bias"), ("gamma", "beta")
"""Names of the parts of a layer norm, the second in files that came from TensorFlow, such as
bert-base-uncased."""

_HARMLESS = (
    r"(bert\.)?embeddings\.position_ids",
    r"(bert\.)?embeddings\.token_type_ids",
    # Aliases of the embedding table and the output bias.
    r"cls\.predictions\.decoder\.(weight|bias)",
)


def convert(settings: Settings, shapes: Mapping[str, Shape], architecture: str) -> Conversion:
    """Conversion of a folder.

    Raises:
      UserError: a field asks for something that `bert` does not compute.
    """
    settings.require(
        position_embedding_type="absolute",
        is_decoder=False,
        add_cross_attention=False,
        tie_word_embeddings=True,
    )
    classifies = architecture == "BertForSequenceClassification"
    if classifies and settings.values.get("problem_type") is not None:
        settings.require(problem_type="single_label_classification")
    others = ["attention_probs_dropout_prob"]
    if classifies and settings.values.get("classifier_dropout") is not None:
        others.append("classifier_dropout")
    rate, notes = settings.dropout("hidden_dropout_prob", *others, default=0.1)
    model = BERTConfig(
        num_layers=settings.integer("num_hidden_layers", 12),
        model_dim=settings.integer("hidden_size", 768),
        num_heads=settings.integer("num_attention_heads", 12),
        mlp_dim=settings.integer("intermediate_size", 3072),
        max_length=settings.integer("max_position_embeddings", 512),
        num_token_types=settings.integer("type_vocab_size", 2),
        next_sentence=architecture == "BertForPreTraining",
        dropout_rate=rate,
        norm_epsilon=settings.number("layer_norm_eps", 1e-12),
        activation=settings.choice("hidden_act", ACTIVATIONS, "gelu"),
    )
    vocab_size = settings.integer("vocab_size", 30522)
    spec = text_spec(vocab_size)
    if classifies:
        labels = settings.values.get("id2label")
        known = len(labels) if isinstance(labels, dict) and labels else None
        head = shapes.get("classifier.weight")
        size = known or settings.integer("num_labels", head[0] if head else 2)
        if size < 2:
            raise UserError(f"{settings.path}: id2label has one class; 2 or more are supported")
        spec["outputs"] = {"kind": "classes", "num_classes": size, "per_step": False}
    prefix = "bert." if any(name.startswith("bert.") for name in shapes) else ""
    parts = _NORM
    if any(name.endswith("LayerNorm.gamma") for name in shapes):
        parts = _OLD_NORM
    return Conversion(
        architecture,
        model,
        ClassificationConfig() if classifies else MaskedLanguageModelConfig(),
        spec,
        lambda model: rules(model, spec, prefix, parts),
        (*_HARMLESS, *_unused_pooler(model, spec, prefix)),
        notes,
        labels=class_names(settings, spec["outputs"]["num_classes"]) if classifies else (),
    )


def _unused_pooler(model: BERTConfig, spec: dict[str, Any], prefix: str) -> tuple[str, ...]:
    """Patterns of pooler weights, which `BertModel` has even without a head that uses them."""
    uses = model.next_sentence or spec["outputs"]["kind"] == "classes"
    return () if uses else (rf"{prefix}pooler\.dense\.(weight|bias)",)


def rules(
    model: BERTConfig,
    spec: dict[str, Any],
    prefix: str = "bert.",
    parts: tuple[str, str] = _NORM,
) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model; `parts` are those of its norms."""
    d, vocab_size = model.model_dim, spec["inputs"]["vocab_size"]
    there = f"{prefix}embeddings"
    return (
        same("embedding/table", f"{there}.word_embeddings.weight", vocab_size, d),
        same("position_table/table", f"{there}.position_embeddings.weight", model.max_length, d),
        same(
            "token_type_embedding/table",
            f"{there}.token_type_embeddings.weight",
            *(model.num_token_types, d),
        ),
        *norm("embedding_norm", f"{there}.LayerNorm", d, parts),
        *_blocks(model, prefix, parts),
        *_heads(model, spec, prefix, parts),
    )


def _blocks(model: BERTConfig, prefix: str, parts: tuple[str, str]) -> tuple[Rule, ...]:
    d, f, h = model.model_dim, model.mlp_dim, model.num_heads
    layers: dict[str, Any] = {"layers": model.num_layers}
    block, there = "stack/blocks", f"{prefix}encoder.layer.{{}}"
    q, k, v = (f"{there}.attention.self.{name}" for name in ("query", "key", "value"))
    sizes = (d, h, h, d // h)
    qkv = f"{block}/attention/qkv"
    return (
        separate_kernel(
            f"{qkv}/kernel", (f"{q}.weight", f"{k}.weight", f"{v}.weight"), sizes, **layers
        ),
        separate_bias(f"{qkv}/bias", (f"{q}.bias", f"{k}.bias", f"{v}.bias"), sizes, **layers),
        *dense(f"{block}/attention/out", f"{there}.attention.output.dense", d, d, **layers),
        *norm(f"{block}/attention_norm", f"{there}.attention.output.LayerNorm", d, parts, **layers),
        *dense(f"{block}/feedforward/wide", f"{there}.intermediate.dense", d, f, **layers),
        *dense(f"{block}/feedforward/out", f"{there}.output.dense", f, d, **layers),
        *norm(f"{block}/feedforward_norm", f"{there}.output.LayerNorm", d, parts, **layers),
    )


def _heads(
    model: BERTConfig, spec: dict[str, Any], prefix: str, parts: tuple[str, str]
) -> tuple[Rule, ...]:
    """The heads of `BertForX`; `BertModel` has none of them, and may lack the pooler."""
    d, outputs = model.model_dim, spec["outputs"]
    classifies = outputs["kind"] == "classes"
    pools = classifies and not outputs["per_step"]
    may_lack = {"optional": True}
    heads: tuple[Rule, ...] = ()
    if pools or model.next_sentence:
        heads += dense("pooler", f"{prefix}pooler.dense", d, d, **may_lack)
    if model.next_sentence:
        heads += dense("next_sentence_head", "cls.seq_relationship", d, 2, **may_lack)
    if classifies:
        size = outputs["num_classes"]
        return heads + dense("head/Dense_0", "classifier", d, size, **may_lack)
    there = "cls.predictions"
    return (
        *heads,
        *dense("head_dense", f"{there}.transform.dense", d, d, **may_lack),
        *norm("head_norm", f"{there}.transform.LayerNorm", d, parts, **may_lack),
        same("head_bias", f"{there}.bias", outputs["vocab_size"], **may_lack),
    )


def architecture_of(model: BERTConfig, spec: dict[str, Any]) -> str:
    """Name of the architecture that an exported model gets."""
    if spec["outputs"]["kind"] == "classes":
        part = "Token" if spec["outputs"]["per_step"] else "Sequence"
        return f"BertFor{part}Classification"
    return "BertForPreTraining" if model.next_sentence else "BertForMaskedLM"


def needs(model: BERTConfig) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Field of the model -> its value and the values that the format can express."""
    return {"activation": (model.activation, tuple(_NAMES))}


_NAMES = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}


def describe(model: BERTConfig, spec: dict[str, Any]) -> dict[str, Any]:
    """The `config.json` of an exported model."""
    return {
        "architectures": [architecture_of(model, spec)],
        "model_type": "bert",
        "vocab_size": spec["inputs"]["vocab_size"],
        "hidden_size": model.model_dim,
        "num_hidden_layers": model.num_layers,
        "num_attention_heads": model.num_heads,
        "intermediate_size": model.mlp_dim,
        "hidden_act": _NAMES[model.activation],
        "hidden_dropout_prob": model.dropout_rate,
        "attention_probs_dropout_prob": model.dropout_rate,
        "max_position_embeddings": model.max_length,
        "type_vocab_size": model.num_token_types,
        "layer_norm_eps": model.norm_epsilon,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
