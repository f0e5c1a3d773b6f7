"""Plain models in PyTorch with our weights: a GPT with a key/value cache, and an LSTM language
model, trained by AdamW with clipping. PyTorch is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqmodels.benchmark.arrays import NUM_SETS, draw_tokens
from seqmodels.benchmark.decoding_inputs import prompts_of
from seqmodels.benchmark.program import Program
from seqmodels.benchmark.torch_peers import device_of, load_torch
from seqmodels.benchmark.weights import OPTIMIZER, weight

_BLOCK = "stack/blocks/"


class TorchGPT:
    """GPT-2's form without biases: learned positions, pre-norms, GELU (tanh form), a tied head.

    A function of tensors rather than a module: the parameters are named as ours.
    """

    def __init__(self, params: dict[str, Any], seed: int) -> None:
        self._torch, self._heads = load_torch(), params["heads"]
        layers, d, vocab = params["layers"], params["dim"], params["vocab"]
        head_dim = d // self._heads
        stacked: dict[str, tuple[int, ...]] = {
            "attention/qkv/kernel": (layers, d, self._heads, 3, head_dim),
            "attention/out/kernel": (layers, d, d),
            "attention_norm/scale": (layers, d),
            "feedforward/wide/kernel": (layers, d, 4 * d),
            "feedforward/out/kernel": (layers, 4 * d, d),
            "feedforward_norm/scale": (layers, d),
        }
        single = {
            "embedding/table": (vocab, d),
            "position_table/table": (max(params["length"], 16), d),
            "stack/final_norm/scale": (d,),
        }
        self.params = {name: self._tensor(weight(name, s, seed)) for name, s in single.items()}
        for name, shape in stacked.items():
            for layer, one in enumerate(weight(_BLOCK + name, shape, seed)):
                if name == "attention/qkv/kernel":  # [D, H, 3, K] -> [D, 3 H K]
                    one = one.transpose(0, 2, 1, 3).reshape(d, 3 * d)
                # Linear maps are stored as PyTorch's, [out, in].
                self.params[f"{layer}/{name}"] = self._tensor(one.T if one.ndim == 2 else one)
        self._layers, self._head_dim = layers, head_dim

    def _tensor(self, x: np.ndarray) -> Any:
        made = self._torch.tensor(np.ascontiguousarray(x), device=device_of(self._torch))
        return made.requires_grad_()

    def logits(self, tokens: Any, cache: Any = None, start: int = 0) -> Any:
        """Logits [B, T, V] of tokens [B, T].

        Args:
          cache: keys and values [L, 2, B, H, capacity, K], filled up to `start`; None for a whole
            row. With a cache only the last step's logits [B, 1, V] are computed.
        """
        functional, p = self._torch.nn.functional, self.params
        length = tokens.shape[1]
        x = p["embedding/table"][tokens]
        x = x + p["position_table/table"][start : start + length]
        for n in range(self._layers):
            h = self._norm(x, f"{n}/attention_norm/scale")
            q, k, v = functional.linear(h, p[f"{n}/attention/qkv/kernel"]).chunk(3, dim=-1)
            q, k, v = (self._split(part) for part in (q, k, v))
            if cache is not None:
                cache[n, 0, :, :, start : start + length] = k
                cache[n, 1, :, :, start : start + length] = v
                k, v = cache[n, :, :, :, : start + length]
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=length > 1)
            y = y.transpose(1, 2).reshape(x.shape)
            x = x + functional.linear(y, p[f"{n}/attention/out/kernel"])
            h = self._norm(x, f"{n}/feedforward_norm/scale")
            h = functional.linear(h, p[f"{n}/feedforward/wide/kernel"])
            h = functional.gelu(h, approximate="tanh")
            x = x + functional.linear(h, p[f"{n}/feedforward/out/kernel"])
        x = self._norm(x if cache is None else x[:, -1:], "stack/final_norm/scale")
        return functional.linear(x, p["embedding/table"])

    def _norm(self, x: Any, name: str) -> Any:
        shape = (x.shape[-1],)
        return self._torch.nn.functional.layer_norm(x, shape, self.params[name], eps=1e-5)

    def _split(self, x: Any) -> Any:
        return x.view(*x.shape[:2], self._heads, self._head_dim).transpose(1, 2)


class TorchLSTM:
    """Embedding, nn.LSTM of one layer, head."""

    def __init__(self, params: dict[str, Any], seed: int) -> None:
        torch = load_torch()
        d, vocab = params["dim"], params["vocab"]
        if params["layers"] != 1:
            raise ValueError("the LSTM of this peer has one layer")
        device = device_of(torch)
        tensor = lambda name, shape: torch.tensor(weight(name, shape, seed), device=device)
        self._lstm = torch.nn.LSTM(d, d, batch_first=True).to(device)
        with torch.no_grad():
            cell = "layers/cells_0/"
            self._lstm.weight_ih_l0.copy_(tensor(f"{cell}kernel", (d, 4 * d)).T)
            self._lstm.weight_hh_l0.copy_(tensor(f"{cell}recurrent_kernel", (d, 4 * d)).T)
            self._lstm.bias_ih_l0.copy_(tensor(f"{cell}bias", (4 * d,)))
            self._lstm.bias_hh_l0.zero_()
        self._lstm.bias_hh_l0.requires_grad_(False)  # ours has one bias
        made = {
            "embedding/table": tensor("embedding/table", (vocab, d)),
            "head/kernel": tensor("head/Dense_0/kernel", (d, vocab)).T.contiguous(),
            "head/bias": tensor("head/Dense_0/bias", (vocab,)),
        }
        self.params = {name: x.requires_grad_() for name, x in made.items()}
        self.params["lstm/kernel"] = self._lstm.weight_ih_l0
        self.params["lstm/recurrent_kernel"] = self._lstm.weight_hh_l0
        self.params["lstm/bias"] = self._lstm.bias_ih_l0
        self._linear = torch.nn.functional.linear

    def logits(self, tokens: Any) -> Any:
        """Logits [B, T, V] of tokens [B, T]."""
        y, _ = self._lstm(self.params["embedding/table"][tokens])
        return self._linear(y, self.params["head/kernel"], self.params["head/bias"])


def train(params: dict[str, Any], seed: int) -> Program:
    """Steps of training; as `training.train`.

    Args:
      params: also "compiled", whether by torch.compile.

    Raises:
      ImportError: compiled, and there is no GPU.
    """
    torch = load_torch()
    if params.get("compiled") and device_of(torch) == "cpu":
        raise ImportError(name="CUDA")
    model = {"gpt": TorchGPT, "lstm_lm": TorchLSTM}[params["model"]](params, seed)
    decayed = [p for name, p in model.params.items() if name.endswith("kernel")]
    others = [p for name, p in model.params.items() if not name.endswith("kernel")]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": OPTIMIZER["weight_decay"]},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=OPTIMIZER["peak_lr"],
        betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]),
        eps=OPTIMIZER["epsilon"],
        fused=True,
    )
    step = _make_step(torch, model, optimizer, params, seed)
    losses = [step(n).detach().cpu().numpy() for n in range(2)]
    return Program(step, lambda _: losses)


def _make_step(
    torch: Any, model: Any, optimizer: Any, params: dict[str, Any], seed: int
) -> Callable[[int], Any]:
    device, shape = device_of(torch), (params["batch"], params["length"] + 1)
    rows = [
        torch.tensor(draw_tokens(f"tokens {n}", shape, seed, params["vocab"]), device=device).long()
        for n in range(NUM_SETS)
    ]
    weights = list(model.params.values())
    bfloat16 = params.get("dtype") == "bfloat16"
    read = torch.compile(model.logits) if params.get("compiled") else model.logits

    def step(n: int) -> Any:
        ids = rows[n % NUM_SETS]
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            logits = read(ids[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, OPTIMIZER["clip_norm"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.synchronize()
        return loss

    return step


def decode(params: dict[str, Any], seed: int) -> Program:
    """Greedy generation with a key/value cache; as `decoding.decode`."""
    torch = load_torch()
    device = device_of(torch)
    model = TorchGPT(params, seed)
    rows, count = params["batch"], params["new_tokens"]
    prompts = [torch.tensor(p, device=device).long() for p in prompts_of(params, seed)]
    heads = params["heads"]
    capacity = prompts[0].shape[1] + count
    size = (params["layers"], 2, rows, heads, capacity, params["dim"] // heads)

    @torch.inference_mode()
    def run(n: int) -> Any:
        tokens, cache = prompts[n % NUM_SETS], torch.empty(size, device=device)
        made, at = [], 0
        for _ in range(count):
            logits = model.logits(tokens, cache, at)
            at += tokens.shape[1]
            tokens = logits.argmax(-1)
            made.append(tokens)
        found = torch.cat(made, dim=1)
        if device == "cuda":
            torch.cuda.synchronize()
        return found

    return Program(run, lambda found: [found.cpu().numpy()])
