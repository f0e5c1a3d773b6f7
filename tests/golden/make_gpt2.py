"""Writes hf_gpt2.npz: parameters, tokens, logits, loss and gradients of `GPT2LMHeadModel`.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/golden/make_gpt2.py

Made with these versions on a CPU, all weights random, under the names of `transformers`.
"""

from __future__ import annotations

import pathlib

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent


def main() -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=11, n_positions=9, n_embd=12, n_layer=2, n_head=3)
    model = transformers.GPT2LMHeadModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    model.train(False)
    tokens = torch.randint(0, 11, (2, 7))
    logits = model(tokens).logits
    targets = torch.roll(tokens, -1, dims=1)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    arrays = {"tokens": tokens.to(torch.int32), "logits": logits, "loss": loss}
    for key, parameter in model.named_parameters():
        arrays[f"param/{key}"] = parameter
        arrays[f"grad/{key}"] = parameter.grad
    numpy = {key: value.detach().numpy() for key, value in arrays.items()}
    np.savez_compressed(HERE / "hf_gpt2.npz", **numpy)


if __name__ == "__main__":
    main()
