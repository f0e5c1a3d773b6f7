"""Writes hf_relatives.npz: parameters, tokens and logits of relatives of Llama.

    pip install torch==2.13.0 transformers==5.23.0 && python -m tests.golden.make_relatives

Made with these versions on a CPU, all weights random, under the names of `transformers`. RELATIVES
has their configs: biases of the attention and of the MLP, and scaled rotary angles.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import torch
import transformers

from tests.golden.relatives import RELATIVES

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


if __name__ == "__main__":
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (2, 8))
    stored = {"tokens": tokens.numpy().astype(np.int32)}
    for name, config in RELATIVES.items():
        stored |= {f"{name}/{key}": x for key, x in run(config, tokens).items()}
    np.savez_compressed(HERE / "hf_relatives.npz", **stored)
