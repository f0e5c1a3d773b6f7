"""Conversion of parameters of BERT, ViT and `torch.nn.Transformer` into our layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Arrays = dict[str, np.ndarray]
Named = Callable[[str], np.ndarray]


def below(p: Arrays, prefix: str) -> Named:
    return lambda name: p[f"{prefix}.{name}"]


def norm(w: Named, name: str) -> dict[str, Any]:
    return {"scale": w(f"{name}.weight"), "bias": w(f"{name}.bias")}


def dense(w: Named, name: str) -> dict[str, Any]:
    return {"kernel": w(f"{name}.weight").T, "bias": w(f"{name}.bias")}


def qkv(parts: list[list[np.ndarray]], heads: int) -> dict[str, Any]:
    """Weights [D, D] and biases of q, k and v, to kernel [D, H, 3, K], bias [H, 3, K]."""
    weights, biases = parts
    split = lambda x: x.reshape(heads, -1, *x.shape[1:])
    kernel = np.stack([split(x) for x in weights], axis=1)  # [H, 3, K, D]
    return {
        "kernel": np.moveaxis(kernel, -1, 0),
        "bias": np.stack([split(x) for x in biases], axis=1),
    }


def stacked(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return jax.tree.map(lambda *x: np.stack(x), *blocks)


def bert_params(p: Arrays, layers: int, heads: int) -> dict[str, Any]:
    """Parameters of `BertForPreTraining`."""

    def block(n: int) -> dict[str, Any]:
        w = below(p, f"bert.encoder.layer.{n}")
        names = [f"attention.self.{x}" for x in ("query", "key", "value")]
        parts = [[w(f"{x}.{kind}") for x in names] for kind in ("weight", "bias")]
        return {
            "attention": {"qkv": qkv(parts, heads), "out": dense(w, "attention.output.dense")},
            "attention_norm": norm(w, "attention.output.LayerNorm"),
            "feedforward": {
                "wide": dense(w, "intermediate.dense"),
                "out": dense(w, "output.dense"),
            },
            "feedforward_norm": norm(w, "output.LayerNorm"),
        }

    table, head = below(p, "bert.embeddings"), below(p, "cls.predictions")
    return {
        "embedding": {"table": table("word_embeddings.weight")},
        "position_table": {"table": table("position_embeddings.weight")},
        "token_type_embedding": {"table": table("token_type_embeddings.weight")},
        "embedding_norm": norm(table, "LayerNorm"),
        "stack": {"blocks": stacked([block(n) for n in range(layers)])},
        "pooler": dense(below(p, "bert.pooler"), "dense"),
        "next_sentence_head": dense(below(p, "cls"), "seq_relationship"),
        "head_dense": dense(head, "transform.dense"),
        "head_norm": norm(head, "transform.LayerNorm"),
        "head_bias": head("bias"),
    }


def vit_params(p: Arrays, layers: int, heads: int) -> dict[str, Any]:
    """Parameters of `ViTForImageClassification`."""

    def block(n: int) -> dict[str, Any]:
        w = below(p, f"vit.layers.{n}")
        names = [f"attention.{x}_proj" for x in "qkv"]
        parts = [[w(f"{x}.{kind}") for x in names] for kind in ("weight", "bias")]
        return {
            "attention": {"qkv": qkv(parts, heads), "out": dense(w, "attention.o_proj")},
            "attention_norm": norm(w, "layernorm_before"),
            "feedforward": {"wide": dense(w, "mlp.fc1"), "out": dense(w, "mlp.fc2")},
            "feedforward_norm": norm(w, "layernorm_after"),
        }

    table = below(p, "vit.embeddings")
    projection = table("patch_embeddings.projection.weight")  # [D, C, p, p]
    kernel = np.transpose(projection, (2, 3, 1, 0)).reshape(-1, projection.shape[0])
    bias = table("patch_embeddings.projection.bias")
    return {
        "patches": {"project": {"kernel": kernel, "bias": bias}},
        "class_token": table("cls_token")[0],
        "position_table": {"table": table("position_embeddings")[0]},
        "stack": {
            "blocks": stacked([block(n) for n in range(layers)]),
            "final_norm": norm(below(p, "vit"), "layernorm"),
        },
        "head": {"Dense_0": dense(lambda name: p[name], "classifier")},
    }


def torch_block(w: Named, heads: int, cross: bool = False) -> dict[str, Any]:
    """Parameters of a PyTorch encoder or (`cross`) decoder layer, except memory keys and values."""
    joined = [w(f"self_attn.in_proj_{kind}") for kind in ("weight", "bias")]
    block = {
        "attention": {
            "qkv": qkv([np.split(x, 3) for x in joined], heads),
            "out": dense(w, "self_attn.out_proj"),
        },
        "attention_norm": norm(w, "norm1"),
        "feedforward": {"wide": dense(w, "linear1"), "out": dense(w, "linear2")},
        "feedforward_norm": norm(w, "norm3" if cross else "norm2"),
    }
    if not cross:
        return block
    kernel, bias = (
        np.split(w(f"multihead_attn.in_proj_{kind}"), 3)[0] for kind in ("weight", "bias")
    )
    query = {"kernel": kernel.T.reshape(len(bias), heads, -1), "bias": bias.reshape(heads, -1)}
    out = dense(w, "multihead_attn.out_proj")
    return {**block, "cross_attention": {"query": query, "out": out}} | {
        "cross_attention_norm": norm(w, "norm2")
    }


def memory_key_value(ws: list[Named], heads: int) -> dict[str, Any]:
    """Keys and values of all layers: kernel [D, L, H, 2, K], bias [L, H, 2, K]."""

    def of(w: Named, kind: str) -> np.ndarray:
        _, k, v = np.split(w(f"multihead_attn.in_proj_{kind}"), 3)
        return np.stack([x.reshape(heads, -1, *x.shape[1:]) for x in (k, v)], axis=1)

    kernel = np.stack([of(w, "weight") for w in ws])  # [L, H, 2, K, D]
    return {"kernel": np.moveaxis(kernel, -1, 0), "bias": np.stack([of(w, "bias") for w in ws])}


def transformer_params(p: Arrays, layers: tuple[int, int], heads: int) -> dict[str, Any]:
    """Parameters of `torch.nn.Transformer` with embeddings `source`, `target` and a linear `head`.

    Args:
      layers: number of encoder and of decoder layers.
    """
    encoder, decoder = (
        [below(p, f"transformer.{part}.layers.{n}") for n in range(count)]
        for part, count in zip(("encoder", "decoder"), layers, strict=True)
    )
    return {
        "source_embedding": {"table": p["source.weight"]},
        "embedding": {"table": p["target.weight"]},
        "encoder": {
            "blocks": stacked([torch_block(w, heads) for w in encoder]),
            "final_norm": norm(below(p, "transformer.encoder"), "norm"),
        },
        "memory_key_value": memory_key_value(decoder, heads),
        "decoder": {
            "blocks": stacked([torch_block(w, heads, cross=True) for w in decoder]),
            "final_norm": norm(below(p, "transformer.decoder"), "norm"),
        },
        "head": {"Dense_0": dense(lambda name: p[name], "head")},
    }
