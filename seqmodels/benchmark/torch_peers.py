"""PyTorch's layers, with the same weights and inputs. PyTorch is imported where it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seqmodels.benchmark.layer_inputs import (
    attention_inputs,
    packed_weights,
    recurrent_inputs,
    visible,
)
from seqmodels.benchmark.program import Program


def load_torch() -> Any:
    """PyTorch, with as many threads as this process has cores."""
    import torch  # pyright: ignore[reportMissingImports]

    if hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    return torch


def device_of(torch: Any) -> str:
    """The device that PyTorch computes on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_program(
    function: Callable[..., Sequence[Any]], inputs: Sequence[tuple[np.ndarray, ...]]
) -> Program:
    """A program of a function of tensors, which takes the sets of inputs in turn."""
    torch = load_torch()
    device = device_of(torch)
    held = [[torch.tensor(x, device=device) for x in one] for one in inputs]

    def run(n: int) -> Any:
        found = function(*held[n % len(held)])
        if device == "cuda":
            torch.cuda.synchronize()
        return found

    return Program(run, lambda found: [x.detach().cpu().numpy() for x in found])


def recurrent(params: dict[str, Any], seed: int) -> Program:
    """nn.RNN, nn.LSTM or nn.GRU; arguments as of `layers.recurrent`."""
    torch = load_torch()
    _, _, d, n = params["shape"]
    kind = params["cell"]
    layers = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    layer = layers[kind](d, n, batch_first=True).to(device_of(torch))
    _copy_weights(torch, layer, kind, d, n, seed)
    held = [p for name, p in layer.named_parameters() if kind == "gru" or name != "bias_hh_l0"]
    sets = recurrent_inputs(params, seed)
    if not params["gradient"]:

        def forward(_: Any, x: Any) -> list[Any]:
            with torch.no_grad():
                return [layer(x)[0]]

        return make_program(forward, sets)

    def gradient(cotangent: Any, x: Any) -> list[Any]:
        x = x.detach().requires_grad_()
        return list(torch.autograd.grad(layer(x)[0], [x, *held], cotangent))

    program = make_program(gradient, sets)
    raw = program.outputs
    program.outputs = lambda found: _in_our_layout(kind, n, raw(found))
    return program


def _copy_weights(torch: Any, layer: Any, kind: str, d: int, n: int, seed: int) -> None:
    """Sets the weights to ours: kernels transposed, in the same order of gates."""
    weights = {name: torch.tensor(w) for name, w in packed_weights(kind, d, n, seed).items()}
    with torch.no_grad():
        layer.weight_ih_l0.copy_(weights["kernel"].T)
        layer.weight_hh_l0.copy_(weights["recurrent_kernel"].T)
        layer.bias_ih_l0.copy_(weights["bias"])
        layer.bias_hh_l0.zero_()
        if kind == "gru":
            layer.bias_hh_l0[2 * n :] = weights["recurrent_bias"]


def _in_our_layout(kind: str, n: int, found: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Gradients by x and by our weights in the order of their names."""
    x, kernel, recurrent_kernel, bias, *rest = found
    if kind == "gru":
        return [x, bias, kernel.T, rest[0][2 * n :], recurrent_kernel.T]
    return [x, bias, kernel.T, recurrent_kernel.T]


def attention(params: dict[str, Any], seed: int) -> Program:
    """scaled_dot_product_attention, with a mask where there are windows or documents."""
    torch = load_torch()
    mask = None
    if params.get("window") or params.get("documents"):
        mask = torch.tensor(visible(params), device=device_of(torch))
    attend = torch.nn.functional.scaled_dot_product_attention
    keywords = {"is_causal": True} if mask is None else {"attn_mask": mask}

    def forward(_: Any, *qkv: Any) -> list[Any]:
        with torch.no_grad():
            return [attend(*qkv, **keywords)]

    def gradient(cotangent: Any, *qkv: Any) -> list[Any]:
        qkv = tuple(x.detach().requires_grad_() for x in qkv)
        return list(torch.autograd.grad(attend(*qkv, **keywords), qkv, cotangent))

    function = gradient if params["gradient"] else forward
    return make_program(function, attention_inputs(params, seed))
