"""Conversion of state dicts of `torch.nn.Transformer` into our `transformer`.

The module may be alone, or come with embeddings and a generator.

A state dict does not hold the number of heads, the activation, the placement of the norms and the
positions: torch's defaults are assumed unless the config says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.models import Activation
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.transformers import (
    EmbeddingTying,
    NormPlacement,
    Position,
    TransformerConfig,
)
from seqmodels.interop.attention import joint_bias, joint_kernel
from seqmodels.interop.tables import Conversion, Rule, Shape, constant, dense, norm, same, zeros

_FIRST = "encoder.layers.0.self_attn.in_proj_weight"
_LAYER = re.compile(r"(encoder|decoder)\.layers\.(\d+)\..*")
_HARMLESS = (r".*(positional_encoding|pos_encoder|pos_embedding).*",)
_MAX_LENGTH = 512


def is_transformer(shapes: Mapping[str, Shape]) -> bool:
    """Whether a state dict holds an `nn.Transformer`."""
    return any(name.endswith(_FIRST) for name in shapes)


def convert(shapes: Mapping[str, Shape], source: str) -> Conversion:
    """Conversion of a state dict.

    Raises:
      UserError: there is more around the layers than two embeddings and a generator, or there is no
        decoder.
    """
    first = next(name for name in shapes if name.endswith(_FIRST))
    prefix = first.removesuffix(_FIRST)
    found = [_LAYER.fullmatch(name.removeprefix(prefix)) for name in shapes]
    number = {
        part: max((1 + int(m[2]) for m in found if m and m[1] == part), default=0)
        for part in ("encoder", "decoder")
    }
    if not number["decoder"]:
        raise UserError(f"{source}: an encoder without a decoder is not an nn.Transformer")
    width = shapes[first][-1]
    wide = shapes.get(f"{prefix}encoder.layers.0.linear1.weight", (0,))[0]
    heads = next(n for n in range(8, 0, -1) if width % n == 0)
    around = _around(shapes, prefix, width, source)
    model = TransformerConfig(
        num_encoder_layers=number["encoder"],
        num_decoder_layers=number["decoder"],
        model_dim=width,
        num_heads=heads,
        mlp_dim=wide,
        max_length=_MAX_LENGTH,
        norm_placement=NormPlacement.POST,
        final_norm=f"{prefix}encoder.norm.weight" in shapes,
        position=Position.NONE,
        activation=Activation.RELU,
        tie_embeddings=EmbeddingTying.NONE,
    )
    spec = _spec(around, shapes, width)
    notes = (
        f"not in a state dict, so assumed: model.num_heads={heads}, activation=relu, "
        f"norm_placement=post, position=none, max_length={_MAX_LENGTH}, "
        f"dropout_rate={model.dropout_rate}",
    )
    return Conversion(
        "torch.nn.Transformer",
        model,
        TranslationConfig(),
        spec,
        lambda model: rules(model, spec, prefix, around),
        _HARMLESS,
        notes,
    )


def _around(shapes: Mapping[str, Shape], prefix: str, width: int, source: str) -> dict[str, str]:
    """Names of the weights of the embeddings and of the generator that the file has."""
    outside = {
        name: shape
        for name, shape in shapes.items()
        if len(shape) == 2 and shape[1] == width and name.endswith("weight")
        and not _LAYER.fullmatch(name.removeprefix(prefix))
    }  # fmt: skip
    found: dict[str, str] = {}
    for name in outside:
        low = name.lower()
        if low.removesuffix("weight") + "bias" in map(str.lower, shapes):
            part = "generator"
        elif any(word in low for word in ("src", "source", "encoder")):
            part = "source"
        elif any(word in low for word in ("tgt", "target", "trg", "decoder")):
            part = "target"
        else:
            part = "generator"
        if part in found:
            raise UserError(
                f"{source}: {found[part]} and {name}: an nn.Transformer may come with one "
                "embedding of the source (src), one of the target (tgt) and a linear generator"
            )
        found[part] = name
    if ("source" in found) != ("target" in found):
        raise UserError(f"{source}: has only one of the source and target embeddings: {found}")
    return found


def _spec(around: dict[str, str], shapes: Mapping[str, Shape], width: int) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": "values", "num_features": width}
    tokens = lambda part: {"kind": "tokens", "vocab_size": shapes[around[part]][0]}
    embedded = "target" in around
    rows = shapes[around["generator"]][0] if "generator" in around else None
    outputs: dict[str, Any] = {"kind": "classes", "num_classes": rows or 2, "per_step": True}
    if embedded and rows in (None, shapes[around["target"]][0]):
        outputs = {"kind": "vocab", "vocab_size": shapes[around["target"]][0]}
    return {
        "inputs": tokens("target") if embedded else values,
        "outputs": outputs,
        "source": tokens("source") if embedded else values,
    }


def rules(
    model: TransformerConfig, spec: dict[str, Any], prefix: str, around: dict[str, str]
) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model."""
    d, table = model.model_dim, list[Rule]()
    for part, path in (("target", "embedding"), ("source", "source_embedding")):
        if part in around:
            size = spec["inputs" if part == "target" else "source"]["vocab_size"]
            table.append(same(f"{path}/table", around[part], size, d))
        else:
            # Values enter the layers unchanged.
            identity = lambda: np.eye(d, dtype=np.float32)
            table.append(constant(f"{path}/Dense_0/kernel", identity))
            table.append(zeros(f"{path}/Dense_0/bias", d))
    table += _stack(model, "encoder", f"{prefix}encoder", model.num_encoder_layers)
    table += _stack(model, "decoder", f"{prefix}decoder", model.num_decoder_layers)
    table += _cross(model, f"{prefix}decoder.layers.{{}}")
    if "generator" in around:
        name = around["generator"].removesuffix(".weight")
        outputs = spec["outputs"]
        size = outputs.get("vocab_size") or outputs["num_classes"]
        table += dense("head/Dense_0", name, d, size)
    return tuple(table)


def _stack(model: TransformerConfig, part: str, name: str, number: int) -> list[Rule]:
    d, f, sizes = model.model_dim, model.mlp_dim, (model.model_dim, model.num_heads)
    layers: dict[str, Any] = {"layers": number}
    block, there = f"{part}/blocks", f"{name}.layers.{{}}"
    attend = f"{there}.self_attn"
    last = "norm2" if part == "encoder" else "norm3"
    table = [
        joint_kernel(
            *(f"{block}/attention/qkv/kernel", f"{attend}.in_proj_weight", sizes),
            outputs_first=True,
            **layers,
        ),
        joint_bias(f"{block}/attention/qkv/bias", f"{attend}.in_proj_bias", sizes, **layers),
        *dense(f"{block}/attention/out", f"{attend}.out_proj", d, d, **layers),
        *norm(f"{block}/attention_norm", f"{there}.norm1", d, **layers),
        *dense(f"{block}/feedforward/wide", f"{there}.linear1", d, f, **layers),
        *dense(f"{block}/feedforward/out", f"{there}.linear2", f, d, **layers),
        *norm(f"{block}/feedforward_norm", f"{there}.{last}", d, **layers),
    ]
    if model.final_norm:
        table += norm(f"{part}/final_norm", f"{name}.norm", d)
    return table


def _cross(model: TransformerConfig, there: str) -> list[Rule]:
    """Cross-attention: a query kernel per layer, one kernel for keys and values of all layers."""
    d, h = model.model_dim, model.num_heads
    k = d // h
    layers: dict[str, Any] = {"layers": model.num_decoder_layers}
    block, attend = "decoder/blocks", f"{there}.multihead_attn"
    weight, bias = {f"{attend}.in_proj_weight": (3 * d, d)}, {f"{attend}.in_proj_bias": (3 * d,)}
    pairs = lambda x: x[d:].reshape(2, h, k, *x.shape[1:])  # key and value, [2, H, K, ..]
    return [
        Rule(
            *(f"{block}/cross_attention/query/kernel", weight),
            lambda x: x[:d].T.reshape(d, h, k),
            **layers,
        ),
        Rule(
            *(f"{block}/cross_attention/query/bias", bias),
            lambda x: x[:d].reshape(h, k),
            **layers,
        ),
        Rule(
            *("memory_key_value/kernel", weight),
            lambda x: np.transpose(pairs(x), (3, 1, 0, 2)),  # [D, H, 2, K]
            axis=1,
            **layers,
        ),
        Rule("memory_key_value/bias", bias, lambda x: pairs(x).swapaxes(0, 1), **layers),
        *dense(f"{block}/cross_attention/out", f"{attend}.out_proj", d, d, **layers),
        *norm(f"{block}/cross_attention_norm", f"{there}.norm2", d, **layers),
    ]
