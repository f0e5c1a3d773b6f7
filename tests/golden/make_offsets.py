"""Writes offsets.npz: layer norms and a GPT-2 of inputs whose mean is far larger than their spread.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/golden/make_offsets.py

Made with these versions on a CPU. `norm/x` has a mean of 1000 and a deviation of 0.1; the GPT-2 is
that of hf_gpt2.npz with 100 added to its position vectors. Both have the right result, in float64,
and torch's own in float32, under `single`.
"""

from __future__ import annotations

import pathlib

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent
OFFSET, D = 100.0, 12


def norms() -> dict[str, torch.Tensor]:
    x = torch.randn(5, D) * 0.1 + 1000
    scale, bias = torch.randn(D), torch.randn(D)
    call = lambda *parts: torch.nn.functional.layer_norm(parts[0], (D,), *parts[1:])
    right = call(x.double(), scale.double(), bias.double())
    return {"x": x, "scale": scale, "bias": bias, "y": right, "single": call(x, scale, bias)}


def gpt2() -> dict[str, torch.Tensor]:
    stored = np.load(HERE / "hf_gpt2.npz")
    config = transformers.GPT2Config(vocab_size=11, n_positions=9, n_embd=D, n_layer=2, n_head=3)
    model = transformers.GPT2LMHeadModel(config).train(False)
    for name, parameter in model.named_parameters():
        offset = OFFSET if name == "transformer.wpe.weight" else 0.0
        parameter.data = torch.tensor(stored[f"param/{name}"] + np.float32(offset))
    tokens = torch.tensor(stored["tokens"], dtype=torch.int64)
    single = model(tokens).logits
    return {"logits": model.double()(tokens).logits, "single": single}


if __name__ == "__main__":
    torch.manual_seed(0)
    parts = {"norm": norms(), "gpt2": gpt2()}
    arrays = {
        f"{part}/{name}": value.detach().numpy()
        for part, values in parts.items()
        for name, value in values.items()
    }
    np.savez_compressed(HERE / "offsets.npz", **arrays)
