"""Writes torch_tcn.npz: parameters, inputs, outputs and gradients of a TCN made of PyTorch layers.

    pip install torch==2.13.0 && python tests/golden/make_tcn.py

Made with torch 2.13.0 on a CPU. Residual blocks of two `torch.nn.Conv1d` with padding on the left,
dilated 1, 2, 4, as in Bai et al., 2018, without weight normalisation and dropout; a 1x1
convolution on the shortcut of the first block. Parameters carry the names of `tcn` below.
"""

from __future__ import annotations

import pathlib

import numpy as np
import torch
from torch import nn

B, T, D, F, C, W, L = 2, 11, 5, 7, 4, 3, 3
HERE = pathlib.Path(__file__).parent


def tcn(inputs: int, channels: int, outputs: int, width: int, num_layers: int) -> nn.ModuleDict:
    """The layers, which `run` combines."""
    parts: dict[str, nn.Module] = {}
    for n in range(num_layers):
        first = channels if n else inputs
        for m, size in enumerate((first, channels)):
            parts[f"block_{n}_{m}"] = nn.Conv1d(size, channels, width, dilation=2**n)
        if first != channels:
            parts[f"shortcut_{n}"] = nn.Conv1d(first, channels, 1)
    parts["head"] = nn.Linear(channels, outputs)
    return nn.ModuleDict(parts)


def run(model: nn.ModuleDict, x: torch.Tensor, width: int, num_layers: int) -> torch.Tensor:
    """Maps [B, T, D] to outputs [B, T, C]."""
    x = x.transpose(1, 2)
    for n in range(num_layers):
        y = x
        for m in range(2):
            padded = nn.functional.pad(y, ((width - 1) * 2**n, 0))
            y = torch.relu(model[f"block_{n}_{m}"](padded))
        name = f"shortcut_{n}"
        x = torch.relu(y + (model[name](x) if name in model else x))
    return model["head"](x.transpose(1, 2))


if __name__ == "__main__":
    torch.manual_seed(0)
    model, x = tcn(D, F, C, W, L), torch.randn(B, T, D)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    outputs = run(model, x, W, L)
    loss = outputs.square().mean()
    loss.backward()
    arrays = {"inputs": x, "outputs": outputs, "loss": loss}
    for name, parameter in model.named_parameters():
        arrays[f"param/{name}"] = parameter
        arrays[f"grad/{name}"] = parameter.grad
    stored = {name: value.detach().numpy() for name, value in arrays.items()}
    np.savez_compressed(HERE / "torch_tcn.npz", **stored)
