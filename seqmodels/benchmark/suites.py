"""The cases of each suite, in both sizes. Imports no jax."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any

from seqmodels.benchmark.processes import Effort

OURS = "seqmodels"
PEER_LIBRARIES = ("torch", "flax")
"""Libraries that --peers may name; jax itself and other forms of ours are always there."""
TOLERANCE = 1e-4
"""Outputs of two implementations agree if they differ by less than this share of the largest."""


class Size(enum.StrEnum):
    SMALL = "small"
    FULL = "full"


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another implementation of a case.

    Attributes:
      library: that runs it.
      overrides: of the case's parameters.
      compares: whether its outputs must be ours.
      program: the suite of `worker.PROGRAMS`; None = the case's.
    """

    library: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    compares: bool = True
    program: str | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """A piece of work.

    Attributes:
      suite: the suite that it is in.
      name: of the case, unique in its suite.
      params: of the program.
      peers: other implementations, by the name in the report.
      program: the suite of `worker.PROGRAMS` that makes it; None = `suite`.
      line: the curve of the scaling plot that it is a point of, and its length there.
      max_rounds: fewer rounds than others have, for what takes long.
    """

    suite: str
    name: str
    params: Mapping[str, Any]
    peers: Mapping[str, Peer] = dataclasses.field(default_factory=dict)
    program: str | None = None
    line: tuple[str, int] | None = None
    max_rounds: int | None = None


EFFORT = {Size.SMALL: Effort(0.02, 8, 1.5), Size.FULL: Effort(0.25, 25, 60.0)}
_CELLS = ("rnn", "lstm", "gru", "min_gru", "min_lstm", "lru", "aaren")
_WITH_PEERS = ("rnn", "lstm", "gru")
_LAYERS = {
    Size.SMALL: [(16, 64, 64, 64)],
    Size.FULL: [
        (32, 128, 128, 128),
        (64, 128, 256, 256),
        (32, 256, 512, 512),
        (1, 1024, 256, 256),
        (20, 35, 200, 200),
    ],
}
_PASSES = {"forward": False, "gradient": True}


def _named(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _peers(*names: str, **keywords: Any) -> dict[str, Peer]:
    return {name: Peer(name, **keywords) for name in names}


def recurrent_cases(size: Size) -> Iterator[Case]:
    """One recurrent layer; shapes are (B, T, D, N)."""
    for shape in _LAYERS[size]:
        for cell in _CELLS:
            peers = _peers("torch", "flax") if cell in _WITH_PEERS else {}
            for name, gradient in _PASSES.items():
                params = {"cell": cell, "shape": shape, "gradient": gradient}
                yield Case("recurrent", f"{cell} {_named(shape)} {name}", params, peers)


_ATTENTION = {
    Size.SMALL: [(2, 256, 4, 32), (1, 1024, 2, 32)],
    Size.FULL: [
        (8, 256, 6, 64),
        (1, 2048, 8, 64),
        (1, 4096, 8, 64),
        (1, 8192, 4, 64),
        (1, 16384, 2, 64),
    ],
}
_PLAIN_UP_TO = 8192
"""Beyond, the scores that jax's own attention holds at once take gigabytes."""


def attention_cases(size: Size) -> Iterator[Case]:
    """Causal attention; shapes are (B, T, H, K)."""
    masks: dict[str, dict[str, int]] = {
        "causal": {},
        "window 128": {"window": 128},
        "4 documents": {"documents": 4},
    }
    for shape in _ATTENTION[size]:
        length = shape[1]
        names = ("torch", "jax") if length <= _PLAIN_UP_TO else ("torch",)
        for mask, more in masks.items():
            for name, gradient in _PASSES.items():
                if mask != "causal" and not (gradient and length > 256):
                    continue
                params = {"shape": shape, "gradient": gradient, **more}
                title = f"{mask} {_named(shape)} {name}"
                line = (f"attention, {mask}, {name}", length)
                yield Case("attention", title, params, _peers(*names), line=line)


_SCANS = {Size.SMALL: (1024,), Size.FULL: (1024, 4096, 16384, 65536)}


def scan_cases(size: Size) -> Iterator[Case]:
    """Linear recurrences by each form, shapes (B, T, N), and a minGRU against a GRU layer."""
    forms = ("sequential", "associative", "chunked")
    width = 64 if size is Size.SMALL else 256
    for length in _SCANS[size]:
        for name, gradient in _PASSES.items():
            if size is Size.SMALL and not gradient:
                continue
            shape = (1, length, width)
            peers = {form: Peer(OURS, {"form": form}) for form in forms}
            params = {"shape": shape, "gradient": gradient}
            line = (f"linear recurrence, {name}", length)
            yield Case("scan", f"{_named(shape)} {name}", params, peers, line=line)
    shape = (1, 1024 if size is Size.SMALL else 4096, width, width)
    params = {"cell": "min_gru", "shape": shape, "gradient": True}
    gru = {
        "gru": Peer(OURS, {"cell": "gru"}, compares=False),
        "torch gru": Peer("torch", {"cell": "gru"}, compares=False),
    }
    yield Case("scan", f"min_gru {_named(shape)} gradient", params, gru, program="recurrent")


def _model(model: str, layers: int, dim: int, batch: int, **more: Any) -> dict[str, Any]:
    return {"model": model, "layers": layers, "dim": dim, "batch": batch, **more}


_MODELS = {
    Size.SMALL: {
        "gpt 2x64": _model("gpt", 2, 64, 8, heads=2, length=64, vocab=65),
        "lstm_lm 1x64": _model("lstm_lm", 1, 64, 16, length=64, vocab=65),
        "seq2seq 1x32": _model("seq2seq", 1, 32, 8, length=16, vocab=65),
        "bert 1x32": _model("bert", 1, 32, 8, heads=2, length=32, vocab=65),
        "vit 1x32": _model("vit", 1, 32, 8, heads=2),
    },
    Size.FULL: {
        "gpt 4x128": _model("gpt", 4, 128, 12, heads=4, length=64, vocab=65),
        "gpt 6x384": _model("gpt", 6, 384, 8, heads=6, length=256, vocab=65),
        "lstm_lm 1x256": _model("lstm_lm", 1, 256, 32, length=128, vocab=65),
        "seq2seq 2x256": _model("seq2seq", 2, 256, 32, length=32, vocab=8000),
        "bert 4x128": _model("bert", 4, 128, 32, heads=4, length=128, vocab=8000),
        "vit 4x128": _model("vit", 4, 128, 32, heads=4),
    },
}
_LARGE = _model("gpt", 12, 768, 4, heads=12, length=1024, vocab=50257)
_OF_TORCH = ("gpt", "lstm_lm")


def train_cases(size: Size) -> Iterator[Case]:
    """Whole training steps."""
    models = _MODELS[size]
    if size is Size.FULL:
        models = {**models, "gpt2_124m": _LARGE}
    for name, params in models.items():
        peers = _peers("torch") if params["model"] in _OF_TORCH else {}
        if size is Size.FULL and params["model"] == "gpt":
            peers["torch.compile"] = Peer("torch", {"compiled": True})
        rounds = 6 if params is _LARGE else None
        yield Case("train", name, params, peers, max_rounds=rounds)


def decode_cases(size: Size) -> Iterator[Case]:
    """Greedy generation with a cache; once also without one."""
    small = size is Size.SMALL
    shape = {"prompt": 16, "new_tokens": 32} if small else {"prompt": 64, "new_tokens": 256}
    gpt = _model("gpt", 2, 64, 1, heads=2, vocab=65, length=64)
    lstm = _model("lstm_lm", 1, 64, 1, vocab=65)
    if not small:
        gpt = _model("gpt", 6, 384, 1, heads=6, vocab=65, length=512)
        lstm = _model("lstm_lm", 1, 256, 1, vocab=65)
    for batch in (1, 8) if small else (1, 4, 16, 64):
        params = {**gpt, **shape, "batch": batch}
        peers = _peers("torch")
        if batch == 1:
            peers["without cache"] = Peer(OURS, {"cached": False})
        yield Case("decode", f"gpt {gpt['layers']}x{gpt['dim']}, batch {batch}", params, peers)
    params = {**lstm, **shape}
    yield Case("decode", f"lstm_lm 1x{lstm['dim']}, batch 1", params)


def data_cases(size: Size) -> Iterator[Case]:
    """Batches alone, and the training loop against the bare step."""
    small = size is Size.SMALL
    for name in ("text", "examples"):
        params = {"what": name, "batch": 16 if small else 64, "length": 64 if small else 256}
        yield Case("data", f"batches of {name}", params)
    model = _model("gpt", 1 if small else 4, 32 if small else 128, 4, heads=2, length=64)
    params = {"what": "loop", "steps": 10 if small else 50, **model}
    bare = {"bare step": Peer(OURS, {"what": "bare step"}, compares=False)}
    yield Case("data", f"training loop, {params['steps']} steps", params, bare)


def compile_cases(size: Size) -> Iterator[Case]:
    """Tracing, lowering and compiling a training step by depth and length."""
    small = size is Size.SMALL
    base = _model("gpt", 1 if small else 4, 32 if small else 128, 8, heads=2, length=64, vocab=65)
    # From 13 layers on the layers are scanned instead of unrolled.
    variants: list[dict[str, int]] = (
        [{"layers": 2}] if small else [{"length": n} for n in (128, 256, 512)]
    )
    if not small:
        variants += [{"layers": n} for n in (13, 26, 52)]
    if not small:
        yield Case("compile", _described(base), base, max_rounds=3)
    for change in variants:
        params = {**base, **change}
        overrides = {name: base[name] for name in change}
        peers = {f"{k} {v}": Peer(OURS, {k: v}, compares=False) for k, v in overrides.items()}
        yield Case("compile", _described(params), params, peers, max_rounds=1 if small else 3)


def _described(params: Mapping[str, Any]) -> str:
    return f"gpt {params['layers']}x{params['dim']}, length {params['length']}"


CASES = {
    "recurrent": recurrent_cases,
    "attention": attention_cases,
    "scan": scan_cases,
    "train": train_cases,
    "decode": decode_cases,
    "data": data_cases,
    "compile": compile_cases,
}
"""Suite -> size -> cases. `startup` and `numerics` are measured in other ways."""
SUITES = (*CASES, "startup", "numerics")
