"""Conversion of Hugging Face's ViT (`ViTForImageClassification`, `ViTModel`) into our `vit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.config.models import Activation
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.transformers import ViTConfig
from seqmodels.interop.attention import separate_bias, separate_kernel
from seqmodels.interop.settings import ACTIVATIONS, Settings, class_names
from seqmodels.interop.tables import Conversion, Rule, Shape, dense, norm, same

# The pooler of `ViTModel`, a tanh layer over the class token that no classifier uses.
_HARMLESS = (r"(vit\.)?pooler\.dense\.(weight|bias)", r"(vit\.)?embeddings\.mask_token")


def convert(settings: Settings, shapes: Mapping[str, Shape], architecture: str) -> Conversion:
    """Conversion of a folder.

    Raises:
      UserError: a field asks for something that `vit` does not compute.
    """
    settings.require(qkv_bias=True)
    exact = {theirs: x for theirs, x in ACTIVATIONS.items() if x is Activation.GELU_EXACT}
    settings.choice("hidden_act", exact, "gelu")
    rate, notes = settings.dropout(
        "hidden_dropout_prob", "attention_probs_dropout_prob", default=0.0
    )
    model = ViTConfig(
        patch_size=settings.integer("patch_size", 16),
        num_layers=settings.integer("num_hidden_layers", 12),
        model_dim=settings.integer("hidden_size", 768),
        num_heads=settings.integer("num_attention_heads", 12),
        mlp_dim=settings.integer("intermediate_size", 3072),
        dropout_rate=rate,
        norm_epsilon=settings.number("layer_norm_eps", 1e-12),
    )
    height, width = settings.pair("image_size", 224)
    channels = settings.integer("num_channels", 3)
    labels = settings.values.get("id2label")
    head = shapes.get("classifier.weight")
    classes = head[0] if head else len(labels) if isinstance(labels, dict) and labels else 2
    spec: dict[str, Any] = {
        "inputs": {"kind": "image", "height": height, "width": width, "channels": channels},
        "outputs": {"kind": "classes", "num_classes": classes, "per_step": False},
        "source": None,
    }
    prefix = "vit." if any(name.startswith("vit.") for name in shapes) else ""
    layer = "layers.{}" if f"{prefix}layers.0.mlp.fc1.weight" in shapes else "encoder.layer.{}"
    table = lambda model: rules(model, spec, prefix, layer)
    names, task = class_names(settings, classes), ClassificationConfig()
    return Conversion(architecture, model, task, spec, table, _HARMLESS, notes, labels=names)


# Names of the parts of a layer: in files, and in memory since transformers 5.
_PARTS: dict[str, dict[str, Any]] = {
    "encoder.layer.{}": {
        "qkv": (
            "attention.attention.query",
            "attention.attention.key",
            "attention.attention.value",
        ),
        "out": "attention.output.dense",
        "wide": "intermediate.dense",
        "narrow": "output.dense",
    },
    "layers.{}": {
        "qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        "out": "attention.o_proj",
        "wide": "mlp.fc1",
        "narrow": "mlp.fc2",
    },
}


def rules(model: ViTConfig, spec: dict[str, Any], prefix: str, layer: str) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model; `layer` is a key of `_PARTS`."""
    d, f, h, p = model.model_dim, model.mlp_dim, model.num_heads, model.patch_size
    image, classes = spec["inputs"], spec["outputs"]["num_classes"]
    length = 1 + image["height"] // p * (image["width"] // p)
    embeddings, there, parts = f"{prefix}embeddings", f"{prefix}{layer}", _PARTS[layer]
    projection = f"{embeddings}.patch_embeddings.projection"
    layers: dict[str, Any] = {"layers": model.num_layers}
    sizes, block = (d, h, h, d // h), "stack/blocks"
    weights, biases = (
        tuple(f"{there}.{name}.{kind}" for name in parts["qkv"]) for kind in ("weight", "bias")
    )
    return (
        Rule("class_token", {f"{embeddings}.cls_token": (1, 1, d)}, lambda x: x[0]),
        Rule(
            *("position_table/table", {f"{embeddings}.position_embeddings": (1, length, d)}),
            lambda x: x[0],
        ),
        # The convolution [D, C, p, p] becomes a linear map of a patch, [p p C, D].
        Rule(
            *("patches/project/kernel", {f"{projection}.weight": (d, image["channels"], p, p)}),
            lambda x: np.transpose(x, (2, 3, 1, 0)).reshape(-1, d),
        ),
        same("patches/project/bias", f"{projection}.bias", d),
        *norm(f"{block}/attention_norm", f"{there}.layernorm_before", d, **layers),
        separate_kernel(f"{block}/attention/qkv/kernel", weights, sizes, **layers),
        separate_bias(f"{block}/attention/qkv/bias", biases, sizes, **layers),
        *dense(f"{block}/attention/out", f"{there}.{parts['out']}", d, d, **layers),
        *norm(f"{block}/feedforward_norm", f"{there}.layernorm_after", d, **layers),
        *dense(f"{block}/feedforward/wide", f"{there}.{parts['wide']}", d, f, **layers),
        *dense(f"{block}/feedforward/out", f"{there}.{parts['narrow']}", f, d, **layers),
        *norm("stack/final_norm", f"{prefix}layernorm", d),
        *dense("head/Dense_0", "classifier", d, classes, optional=True),
    )
