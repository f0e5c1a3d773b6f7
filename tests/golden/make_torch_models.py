"""Writes torch_lstm.npz and torch_gpt.npz: parameters, inputs, outputs and gradients of PyTorch.

    pip install torch==2.13.0 && python tests/golden/make_torch_models.py

Made with torch 2.13.0 on a CPU. The LSTM is `torch.nn.LSTM`, 2 layers between an embedding and a
linear map. The GPT is made of `torch.nn.TransformerEncoderLayer` (norm_first, tanh GELU) with a
causal mask, learned positions, a final norm and a tied head. Parameters carry PyTorch's own names.
"""

from __future__ import annotations

import pathlib

import numpy as np
import torch
from torch import nn

B, T, D, H, N, F, V, L = 2, 5, 12, 3, 7, 20, 11, 2
HERE = pathlib.Path(__file__).parent


def save(name: str, model: nn.Module, tokens: torch.Tensor, logits: torch.Tensor) -> None:
    targets = torch.roll(tokens, -1, dims=1)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    arrays = {"tokens": tokens, "logits": logits, "loss": loss}
    for key, parameter in model.named_parameters():
        arrays[f"param/{key}"] = parameter
        arrays[f"grad/{key}"] = parameter.grad
    numpy = {key: value.detach().numpy() for key, value in arrays.items()}
    numpy["tokens"] = numpy["tokens"].astype(np.int32)
    np.savez_compressed(HERE / name, **numpy)


def lstm(tokens: torch.Tensor) -> None:
    parts = {
        "embedding": nn.Embedding(V, D),
        "lstm": nn.LSTM(D, N, num_layers=L, batch_first=True),
        "head": nn.Linear(N, V),
    }
    model = nn.ModuleDict(parts)
    ys, _ = parts["lstm"](parts["embedding"](tokens))
    save("torch_lstm.npz", model, tokens, parts["head"](ys))


def gpt(tokens: torch.Tensor) -> None:
    def gelu(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(x, approximate="tanh")

    layers = [
        nn.TransformerEncoderLayer(
            D, H, F, dropout=0.0, activation=gelu, batch_first=True, norm_first=True
        )
        for _ in range(L)
    ]
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(V, D),
            "positions": nn.Embedding(T + 2, D),
            "layers": nn.ModuleList(layers),
            "norm": nn.LayerNorm(D),
        }
    )
    for parameter in model.parameters():  # including scales of norms and all biases
        nn.init.normal_(parameter, std=0.5)
    x = model["embedding"](tokens) + model["positions"](torch.arange(T))
    for layer in layers:
        x = layer(x, src_mask=nn.Transformer.generate_square_subsequent_mask(T))
    logits = model["norm"](x) @ model["embedding"].weight.T
    save("torch_gpt.npz", model, tokens, logits)


if __name__ == "__main__":
    torch.manual_seed(0)
    tokens = torch.randint(0, V, (B, T))
    lstm(tokens)
    gpt(tokens)
