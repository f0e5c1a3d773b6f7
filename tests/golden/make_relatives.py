"""Writes hf_relatives.npz: parameters, tokens and logits of relatives of Llama, and of a nanoGPT.

    pip install torch==2.13.0 transformers==5.23.0 && python -m tests.golden.make_relatives

Made with these versions on a CPU, all weights random, under the names of `transformers`. RELATIVES
has their configs: biases of the attention and of the MLP, and scaled rotary angles. A nanoGPT
without biases is a GPT-2 of transformers whose biases are 0; it is stored under the names, and in
the layout, of nanoGPT.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import torch
import transformers

from tests.golden.relatives import NANOGPT, RELATIVES

HERE = pathlib.Path(__file__).parent


def run(config: dict[str, Any], tokens: torch.Tensor) -> dict[str, np.ndarray]:
    family = config["architectures"][0].removesuffix("ForCausalLM")
    settings = getattr(transformers, f"{family}Config")(**config, attn_implementation="eager")
    model = getattr(transformers, config["architectures"][0])(settings)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    logits = model.train(False)(tokens, use_cache=False).logits
    arrays = {f"param/{name}": parameter for name, parameter in model.named_parameters()}
    return {name: x.detach().numpy() for name, x in {**arrays, "logits": logits}.items()}


def run_nanogpt(tokens: torch.Tensor) -> dict[str, np.ndarray]:
    names = ("n_layer", "n_head", "n_embd", "vocab_size")
    config = transformers.GPT2Config(
        **{name: NANOGPT[name] for name in names},
        n_positions=NANOGPT["block_size"],
        activation_function="gelu",
    )
    model = transformers.GPT2LMHeadModel(config).train(False)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=0.5)
    arrays = {"logits": model(tokens).logits.detach().numpy()}
    for name, parameter in model.named_parameters():
        value = parameter.detach().numpy()
        if not name.endswith("bias"):  # Conv1D has [in, out], a linear layer [out, in]
            arrays[f"param/{name}"] = value.T if ".c_" in name else value
    return arrays


if __name__ == "__main__":
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (2, 8))
    stored = {"tokens": tokens.numpy().astype(np.int32)}
    for name, config in RELATIVES.items():
        stored |= {f"{name}/{key}": x for key, x in run(config, tokens).items()}
    stored |= {f"nanogpt/{key}": x for key, x in run_nanogpt(tokens).items()}
    np.savez_compressed(HERE / "hf_relatives.npz", **stored)
