"""Writes torch_seq2seq.npz: an encoder-decoder of two `torch.nn.LSTM`, with lengths.

    pip install torch==2.13.0 && python -m tests.golden.make_torch_seq2seq

Made with torch 2.13.0 on a CPU. The encoder reads rows packed by `pack_padded_sequence`, and its
last states start the decoder (Sutskever et al., 2014, without the reversal); embeddings and a
linear map around them. Parameters carry PyTorch's own names.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

B, T, S, D, N, V = 3, 5, 6, 5, 4, 11
LENGTHS = (4, 6, 1)
HERE = pathlib.Path(__file__).parent


def run(num_layers: int, seed: int) -> dict[str, np.ndarray]:
    """Parameters, tokens, logits, loss (mean of the squares) and gradients."""
    torch.manual_seed(seed)
    stack: dict[str, Any] = {"num_layers": num_layers, "batch_first": True}
    parts = {
        "source_embedding": nn.Embedding(V - 2, D),
        "embedding": nn.Embedding(V, D),
        "encoder": nn.LSTM(D, N, **stack),
        "decoder": nn.LSTM(D, N, **stack),
        "head": nn.Linear(N, V),
    }
    source, inputs = torch.randint(V - 2, (B, S)), torch.randint(V, (B, T))
    packed = pack_padded_sequence(
        parts["source_embedding"](source), torch.tensor(LENGTHS), True, enforce_sorted=False
    )
    _, last = parts["encoder"](packed)
    y, _ = parts["decoder"](parts["embedding"](inputs), last)
    logits = parts["head"](y)
    loss = logits.square().mean()
    loss.backward()
    arrays = {"source": source, "inputs": inputs, "logits": logits, "loss": loss}
    for name, parameter in nn.ModuleDict(parts).named_parameters():
        arrays |= {f"param/{name}": parameter, f"grad/{name}": parameter.grad}
    stored = {name: value.detach().numpy() for name, value in arrays.items()}
    return stored | {n: stored[n].astype(np.int32) for n in ("source", "inputs")}


if __name__ == "__main__":
    np.savez_compressed(HERE / "torch_seq2seq.npz", **run(num_layers=2, seed=0))
