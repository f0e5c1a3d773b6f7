"""Writes hf_llama.npz, hf_mistral.npz, hf_mpt.npz and torch_attention.npz.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/golden/make_decoders.py

Made with these versions on a CPU, all weights random. Llama has multi-query attention, RMS norms,
rotary positions of another base and a gated feed-forward part; Mistral a sliding window of 3
tokens and grouped queries; MPT ALiBi with 3 heads, not a power of two. Each is stored with
its logits, its loss (the next token, all around) and its gradients, under the names of
`transformers`. The last file has `torch.nn.MultiheadAttention`: causal self-attention, and
attention to a memory of another length, both with padding among the keys.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

B, T, S, D, V, L = 2, 7, 6, 12, 11, 2
HERE = pathlib.Path(__file__).parent
COMMON = {"vocab_size": V, "attn_implementation": "eager"}
ROTATING = COMMON | {
    "hidden_size": D,
    "intermediate_size": 20,
    "num_hidden_layers": L,
    "num_attention_heads": 4,
    "head_dim": 6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "max_position_embeddings": T,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
}


def models() -> dict[str, Any]:
    llama = transformers.LlamaConfig(num_key_value_heads=1, **ROTATING)
    mistral = transformers.MistralConfig(num_key_value_heads=2, sliding_window=3, **ROTATING)
    mpt = transformers.MptConfig(
        d_model=D, n_heads=3, n_layers=L, expansion_ratio=2, max_seq_len=T, **COMMON
    )
    return {
        "llama": transformers.LlamaForCausalLM(llama),
        "mistral": transformers.MistralForCausalLM(mistral),
        "mpt": transformers.MptForCausalLM(mpt),
    }


def spread(module: nn.Module) -> None:
    """Randomises all parameters, including scales of norms and biases."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)


def save(name: str, module: nn.Module, arrays: dict[str, torch.Tensor]) -> None:
    for key, parameter in module.named_parameters():
        arrays[f"param/{key}"] = parameter
        arrays[f"grad/{key}"] = parameter.grad
    numpy = {key: value.detach().numpy() for key, value in arrays.items()}
    if "tokens" in numpy:
        numpy["tokens"] = numpy["tokens"].astype(np.int32)
    np.savez_compressed(HERE / name, **numpy)


def decoder(name: str, model: Any, tokens: torch.Tensor) -> None:
    spread(model)
    model.train(False)
    logits = model(tokens, use_cache=False).logits
    targets = torch.roll(tokens, -1, dims=1)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    save(f"hf_{name}.npz", model, {"tokens": tokens, "logits": logits, "loss": loss})


def attention() -> None:
    """Row 1 ends with two keys of padding; queries there are left out of the loss."""
    model = nn.ModuleDict(
        {name: nn.MultiheadAttention(D, 3, batch_first=True) for name in ("self", "cross")}
    )
    spread(model)
    arrays: dict[str, torch.Tensor] = {}
    x, memory = torch.randn(B, T, D), torch.randn(B, S, D)
    for name, keys in (("self", x), ("cross", memory)):
        length = keys.shape[1]
        padding = torch.zeros(B, length, dtype=torch.bool)
        padding[1, -2:] = True
        mask = torch.ones(T, T, dtype=torch.bool).triu(1) if name == "self" else None
        query = x.clone().requires_grad_()
        source = query if name == "self" else memory.clone().requires_grad_()
        y, weights = model[name](
            query, source, source, key_padding_mask=padding, attn_mask=mask,
            average_attn_weights=False,
        )  # fmt: skip
        valid = ~padding if name == "self" else torch.ones(B, T, dtype=torch.bool)
        weight = torch.randn(B, T, D) * valid[..., None]
        (y * weight).sum().backward()
        arrays |= {
            f"{name}/y": y,
            f"{name}/weights": weights,
            f"{name}/loss_weights": weight,
            f"{name}/x_grad": query.grad,
        }
        if name == "cross":
            arrays["cross/memory_grad"] = source.grad
    save("torch_attention.npz", model, {"x": x, "memory": memory, **arrays})


if __name__ == "__main__":
    torch.manual_seed(0)
    tokens = torch.randint(0, V, (B, T))
    for name, model in models().items():
        decoder(name, model, tokens)
    attention()
