"""ViT of Hugging Face (`ViTForImageClassification`, `ViTModel`) and our `vit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.config.models import Activation
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.transformers import ViTConfig
from seqmodels.interop.attention import separate_bias, separate_kernel
from seqmodels.interop.settings import ACTIVATIONS, Settings
from seqmodels.interop.tables import Conversion, Rule, Shape, dense, norm, same

# Tanh of the class token, a part of `ViTModel` that no classifier uses.
_HARMLESS = (r"(vit\.)?pooler\.dense\.(weight|bias)", r"(vit\.)?embeddings\.mask_token")


def convert(settings: Settings, shapes: Mapping[str, Shape], architecture: str) -> Conversion:
    """The conversion of a folder.

    Raises:
      UserError: a field asks for what `vit` does not compute.
    """
    settings.require(qkv_bias=True)
    exact = {theirs: x for theirs, x in ACTIVATIONS.items() if x is Activation.GELU_EXACT}
    settings.choice("hidden_act", exact, "gelu")
    model = ViTConfig(
        patch_size=settings.integer("patch_size", 16),
        num_layers=settings.integer("num_hidden_layers", 12),
        model_dim=settings.integer("hidden_size", 768),
        num_heads=settings.integer("num_attention_heads", 12),
        mlp_dim=settings.integer("intermediate_size", 3072),
        dropout_rate=settings.number("hidden_dropout_prob", 0.0),
        norm_epsilon=settings.number("layer_norm_eps", 1e-12),
    )
    size, channels = settings.integer("image_size", 224), settings.integer("num_channels", 3)
    labels = settings.values.get("id2label")
    head = shapes.get("classifier.weight")
    classes = head[0] if head else len(labels) if isinstance(labels, dict) and labels else 2
    spec: dict[str, Any] = {
        "inputs": {"kind": "image", "height": size, "width": size, "channels": channels},
        "outputs": {"kind": "classes", "num_classes": classes, "per_step": False},
        "source": None,
    }
    prefix = "vit." if any(name.startswith("vit.") for name in shapes) else ""
    table = lambda model: rules(model, spec, prefix)
    # No data set of images is here yet, so no task: the run is for `seqmodels.load_run`.
    return Conversion(architecture, model, LanguageModelConfig(), spec, table, _HARMLESS)


def rules(model: ViTConfig, spec: dict[str, Any], prefix: str = "vit.") -> tuple[Rule, ...]:
    """Names there, and names here."""
    d, f, h, p = model.model_dim, model.mlp_dim, model.num_heads, model.patch_size
    image, classes = spec["inputs"], spec["outputs"]["num_classes"]
    channels = image["channels"]
    length = 1 + image["height"] // p * (image["width"] // p)
    embeddings, there = f"{prefix}embeddings", f"{prefix}encoder.layer.{{}}"
    projection = f"{embeddings}.patch_embeddings.projection"
    layers: dict[str, Any] = {"layers": model.num_layers}
    sizes, block, attention = (d, h, h, d // h), "stack/blocks", f"{there}.attention.attention"
    weights = tuple(f"{attention}.{name}.weight" for name in ("query", "key", "value"))
    biases = tuple(f"{attention}.{name}.bias" for name in ("query", "key", "value"))
    return (
        Rule("class_token", {f"{embeddings}.cls_token": (1, 1, d)}, lambda x: x[0]),
        Rule(
            *("position_table/table", {f"{embeddings}.position_embeddings": (1, length, d)}),
            lambda x: x[0],
        ),
        # A convolution there: [D, C, p, p] becomes the map of a patch, [p p C, D].
        Rule(
            *("patches/project/kernel", {f"{projection}.weight": (d, channels, p, p)}),
            lambda x: np.transpose(x, (2, 3, 1, 0)).reshape(-1, d),
        ),
        same("patches/project/bias", f"{projection}.bias", d),
        *norm(f"{block}/attention_norm", f"{there}.layernorm_before", d, **layers),
        separate_kernel(f"{block}/attention/qkv/kernel", weights, sizes, **layers),
        separate_bias(f"{block}/attention/qkv/bias", biases, sizes, **layers),
        *dense(f"{block}/attention/out", f"{there}.attention.output.dense", d, d, **layers),
        *norm(f"{block}/feedforward_norm", f"{there}.layernorm_after", d, **layers),
        *dense(f"{block}/feedforward/wide", f"{there}.intermediate.dense", d, f, **layers),
        *dense(f"{block}/feedforward/out", f"{there}.output.dense", f, d, **layers),
        *norm("stack/final_norm", f"{prefix}layernorm", d),
        *dense("head/Dense_0", "classifier", d, classes, optional=True),
    )
