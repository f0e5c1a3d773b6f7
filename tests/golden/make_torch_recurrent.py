"""Writes torch_recurrent.npz: PyTorch's recurrent modules over several layers and lengths.

    pip install torch==2.13.0 && python -m tests.golden.make_torch_recurrent

Made with torch 2.13.0 on a CPU. Rows are packed by `pack_padded_sequence`, with initial states.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.golden.torch_recurrent import GOLDEN, LENGTHS, MODULES, D, N, Shape, T, inputs_of

HERE = pathlib.Path(__file__).parent


def run(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    """Parameters, inputs, outputs and gradients of one module."""
    torch.manual_seed(seed)
    keywords: dict[str, Any] = {"batch_first": True, "bidirectional": shape.bidirectional}
    if shape.projection:
        keywords["proj_size"] = shape.projection
    if shape.module == "rnn_relu":
        keywords["nonlinearity"] = "relu"
    module = getattr(torch.nn, MODULES[shape.module])(D, N, shape.num_layers, **keywords)
    inputs = inputs_of(shape, seed)
    x = torch.tensor(inputs["x"], requires_grad=True)
    states = [torch.tensor(inputs[f"state_{n}"]) for n in range(shape.num_states)]
    for state in states:
        state.requires_grad_()
    fed = x
    if shape.ragged:
        fed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    y, last = module(fed, tuple(states) if shape.num_states == 2 else states[0])
    if shape.ragged:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=T)
    outputs = (y, *(last if shape.num_states == 2 else (last,)))
    weights = [torch.tensor(inputs[f"weights_{n}"]) for n in ("y", *range(shape.num_states))]
    sum((w * o).sum() for w, o in zip(weights, outputs, strict=True)).backward()
    arrays = {f"output/{n}": value for n, value in enumerate(outputs)}
    arrays |= {"by_x": x.grad} | {f"by_state/{n}": s.grad for n, s in enumerate(states)}
    for name, parameter in module.named_parameters():
        arrays |= {f"param/{name}": parameter, f"grad/{name}": parameter.grad}
    return {name: value.detach().numpy() for name, value in arrays.items()}


if __name__ == "__main__":
    stored = {}
    for seed, (name, shape) in enumerate(GOLDEN.items()):
        for key, value in {**inputs_of(shape, seed), **run(shape, seed)}.items():
            stored[f"{name}/{key}"] = value
    np.savez_compressed(HERE / "torch_recurrent.npz", **stored)
