"""Writes hf_bert.npz, hf_vit.npz, torch_transformer_post.npz and torch_transformer_pre.npz.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/golden/make_encoders.py

Made with these versions on a CPU, all weights random. BERT is `BertForPreTraining` with two token
types and padding in one row; its loss is that of all real tokens and of the next sentence. ViT is
`ViTForImageClassification` on images that are not square. The Transformers are
`torch.nn.Transformer` (norms after and before, always with final norms) between embeddings times
sqrt(D) with sines and a linear map, with padding in source and target. Each is stored with its
outputs, its loss and its gradients, under its own names.
"""

from __future__ import annotations

import math
import pathlib

import numpy as np
import torch
import transformers
from torch import nn

B, T, S, D, H, F, V, L, C = 2, 7, 5, 12, 3, 20, 11, 2, 5
HEIGHT, WIDTH, PATCH = 8, 12, 4
WIDE = 8  # D of the Transformers, which have one encoder layer, to keep their files small
HERE = pathlib.Path(__file__).parent
SIZES = {
    "hidden_size": D,
    "num_hidden_layers": L,
    "num_attention_heads": H,
    "intermediate_size": F,
    "attn_implementation": "eager",
}


def spread(module: nn.Module) -> None:
    """Randomises all parameters, including scales of norms and biases."""
    for parameter in module.parameters():
        is_scale = bool((parameter == 1).all())
        nn.init.normal_(parameter, mean=float(is_scale), std=0.4)


def save(name: str, module: nn.Module, loss: torch.Tensor, **arrays: torch.Tensor) -> None:
    module.zero_grad()
    loss.backward()
    for key, parameter in module.named_parameters():
        arrays[f"param/{key}"] = parameter
        arrays[f"grad/{key}"] = parameter.grad
    numpy = {key: value.detach().numpy() for key, value in {**arrays, "loss": loss}.items()}
    numpy = {k: v.astype(np.int32) if v.dtype == np.int64 else v for k, v in numpy.items()}
    np.savez_compressed(HERE / name, **numpy)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits[real], targets[real])


def bert() -> None:
    config = transformers.BertConfig(
        vocab_size=V,
        max_position_embeddings=T,
        pad_token_id=None,  # otherwise row 0 of the table gets no gradient from the input
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **SIZES,
    )
    model = transformers.BertForPreTraining(config)
    spread(model)
    tokens, targets = torch.randint(0, V, (2, B, T))
    real = torch.ones(B, T, dtype=torch.int64)
    real[1, 5:] = 0
    types = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0, 0]])
    follows = torch.tensor([0, 1])
    out = model(tokens, attention_mask=real, token_type_ids=types)
    loss = cross_entropy(out.prediction_logits, targets, real > 0)
    loss = loss + nn.functional.cross_entropy(out.seq_relationship_logits, follows)
    save(
        "hf_bert.npz",
        model,
        loss,
        tokens=tokens,
        targets=targets,
        real=real,
        types=types,
        follows=follows,
        logits=out.prediction_logits,
        next_sentence=out.seq_relationship_logits,
    )


def vit() -> None:
    config = transformers.ViTConfig(
        image_size=(HEIGHT, WIDTH), patch_size=PATCH, num_labels=C, **SIZES
    )
    model = transformers.ViTForImageClassification(config)
    spread(model)
    images, classes = torch.randn(B, 3, HEIGHT, WIDTH), torch.tensor([3, 1])
    logits = model(images).logits
    loss = nn.functional.cross_entropy(logits, classes)
    save("hf_vit.npz", model, loss, images=images, classes=classes, logits=logits)


def waves(length: int) -> torch.Tensor:
    angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, WIDE, 2) / WIDE)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class Translator(nn.Module):
    """`torch.nn.Transformer` from tokens to logits."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(V - 2, WIDE), nn.Embedding(V, WIDE)
        self.transformer = nn.Transformer(
            WIDE, 2, 1, L, 10, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        self.head = nn.Linear(WIDE, V)

    def forward(
        self,
        source: torch.Tensor,
        tokens: torch.Tensor,
        source_real: torch.Tensor,
        real: torch.Tensor,
    ) -> torch.Tensor:
        x, y = (
            table(ids) * math.sqrt(WIDE) + waves(ids.shape[1])
            for table, ids in ((self.source, source), (self.target, tokens))
        )
        hidden = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)
        y = self.transformer(
            x,
            y,
            tgt_mask=hidden,
            src_key_padding_mask=source_real == 0,
            tgt_key_padding_mask=real == 0,
            memory_key_padding_mask=source_real == 0,
        )
        return self.head(y)


def translator(name: str, norm_first: bool) -> None:
    model = Translator(norm_first)
    spread(model)
    source, (tokens, targets) = torch.randint(0, V - 2, (B, S)), torch.randint(0, V, (2, B, T))
    source_real = torch.ones(B, S, dtype=torch.int64)
    real = torch.ones(B, T, dtype=torch.int64)
    source_real[0, 3:] = 0
    real[1, 5:] = 0
    logits = model(source, tokens, source_real, real)
    loss = cross_entropy(logits, targets, real > 0)
    save(
        name,
        model,
        loss,
        source=source,
        source_real=source_real,
        tokens=tokens,
        targets=targets,
        real=real,
        logits=logits,
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    bert()
    vit()
    translator("torch_transformer_post.npz", norm_first=False)
    translator("torch_transformer_pre.npz", norm_first=True)
