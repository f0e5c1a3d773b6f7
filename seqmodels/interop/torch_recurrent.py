"""Conversion of state dicts of `torch.nn.RNN`, `LSTM` and `GRU` into our `recurrent`.

The layers may be alone or in a module with one embedding and one linear head. Bidirectional layers
become a `recurrent_encoder`.

Both use the same order of gates. torch has two biases per layer where one would do: they are added,
except for the GRU's candidate, where the reset gate multiplies only one of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.recurrent import (
    CellConfig,
    InputEncoding,
    RecurrentBlock,
    RecurrentConfig,
    RecurrentEncoderConfig,
)
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.interop.files import name_some
from seqmodels.interop.tables import (
    Conversion,
    Rule,
    Shape,
    constant,
    dense,
    same,
    text_spec,
    transposed,
    zeros,
)

EXPORTED = "torch.nn.LSTM"
_MODULES = {1: ("RNN", "rnn"), 3: ("GRU", "gru"), 4: ("LSTM", "lstm")}
_NUM_GATES = {"rnn": 1, "rnn_relu": 1, "irnn": 1, "gru": 3, "lstm": 4}
_OWN = re.compile(r"(weight|bias)_(ih|hh|hr)_l(\d+)(_reverse)?")
_EMBEDDINGS = ("emb", "encoder", "wte", "table")
_HEADS = ("head", "decoder", "linear", "fc", "out", "proj", "classifier", "generator")


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Names and sizes in one state dict.

    Attributes:
      prefix: prefix of the recurrent layers.
      input_size: input width of the first of them.
      has_bias: whether they have biases.
      directions: "" and, for bidirectional layers, "_reverse".
      embedding, head: names of their weights; None if absent.
      head_has_bias: whether the head has a bias.
      rows: number of rows of [embedding, head]; 0 if absent.
    """

    prefix: str
    input_size: int
    has_bias: bool
    directions: tuple[str, ...]
    embedding: str | None
    head: str | None
    head_has_bias: bool
    rows: tuple[int, int]


def is_recurrent(shapes: Mapping[str, Shape]) -> bool:
    """Whether a state dict holds recurrent layers."""
    return any(name.endswith("weight_ih_l0") for name in shapes)


def convert(shapes: Mapping[str, Shape], source: str) -> Conversion:
    """Conversion of a state dict.

    Raises:
      UserError: there is more than one stack of recurrent layers, or more around it than an
        embedding and a head.
    """
    prefixes = [name[: -len("weight_ih_l0")] for name in shapes if name.endswith("weight_ih_l0")]
    if len(prefixes) > 1:
        named = name_some([f"{name}weight_ih_l0" for name in prefixes], "tensor")
        raise UserError(f"{source}: more than one recurrent module: {named}")
    prefix = prefixes[0]
    own = {name.removeprefix(prefix) for name in shapes if name.startswith(prefix)}
    matches = [m for m in map(_OWN.fullmatch, own) if m]
    first = shapes[f"{prefix}weight_ih_l0"]
    projected = any(match[2] == "hr" for match in matches)
    size, output = _widths(shapes, prefix, projected, source)
    module, cell = _MODULES[first[0] // size]
    directions = ("", "_reverse") if "weight_ih_l0_reverse" in own else ("",)
    around = {n: s for n, s in shapes.items() if not _OWN.fullmatch(n.removeprefix(prefix))}
    embedding, head = _around(around, first[1], output * len(directions), source)
    layout = _Layout(
        prefix,
        first[1],
        f"{prefix}bias_ih_l0" in shapes,
        directions,
        embedding,
        head,
        head is not None and _bias_of(head) in shapes,
        (shapes[embedding][0] if embedding else 0, shapes[head][0] if head else 0),
    )
    kind = RecurrentConfig if len(directions) == 1 else RecurrentEncoderConfig
    layers = 1 + max(int(match[3]) for match in matches)
    model = kind(
        cell=cell,
        num_layers=layers,
        model_dim=first[1],
        hidden_dim=size,
        projection_dim=output if projected else None,
    )
    notes = []
    if cell == "rnn":
        notes.append("nn.RNN: assumed tanh; for relu, set --config.model.cell=rnn_relu")
    return Conversion(
        f"torch.nn.{module}",
        model,
        LanguageModelConfig(),
        _spec(layout),
        lambda model: rules(model, layout),
        notes=tuple(notes),
    )


def _widths(
    shapes: Mapping[str, Shape], prefix: str, projected: bool, source: str
) -> tuple[int, int]:
    """Width of the state and of the output, which differ with `proj_size`."""
    first, hidden = shapes[f"{prefix}weight_ih_l0"], shapes.get(f"{prefix}weight_hh_l0", ())
    output = hidden[-1] if len(hidden) == 2 else 0
    # Only nn.LSTM has proj_size.
    size = first[0] // 4 if projected and len(first) == 2 else output
    if len(first) != 2 or not size * output or first[0] % size or first[0] // size not in _MODULES:
        raise UserError(
            f"{source}: {prefix}weight_ih_l0 has shape {list(first)} and {prefix}weight_hh_l0 "
            f"{list(hidden)}: not a layer of nn.RNN, nn.LSTM or nn.GRU"
        )
    return size, output


def _bias_of(weight: str) -> str:
    return weight.removesuffix("weight") + "bias"


def _around(
    shapes: Mapping[str, Shape], inputs: int, outputs: int, source: str
) -> tuple[str | None, str | None]:
    """Finds the weights of the embedding [V, inputs] and of the head [C, outputs]."""
    found: dict[str, str] = {}
    for name, shape in shapes.items():
        if len(shape) != 2 or not name.endswith("weight"):
            continue
        fits = {"embedding": shape[1] == inputs, "head": shape[1] == outputs}
        if all(fits.values()):
            like = lambda words, name=name: any(word in name.lower() for word in words)
            has_bias = _bias_of(name) in shapes
            is_head = has_bias or (like(_HEADS) and not like(_EMBEDDINGS))
            fits = {"embedding": not is_head, "head": is_head}
        part = next((part for part, does in fits.items() if does), None)
        if part is None or part in found:
            other = f"{found[part]} and " if part else ""
            raise UserError(
                f"{source}: {other}{name} {list(shape)}: recurrent layers may come with one "
                f"embedding [.., {inputs}] and one linear head [.., {outputs}]"
            )
        found[part] = name
    return found.get("embedding"), found.get("head")


def _spec(layout: _Layout) -> dict[str, Any]:
    """Spec of a language model if the layers are causal and share one vocabulary."""
    vocab_size, outputs = layout.rows
    both_ways = len(layout.directions) > 1
    if vocab_size and outputs in (0, vocab_size) and not both_ways:
        return text_spec(vocab_size)
    inputs: dict[str, Any] = {"kind": "values", "num_features": layout.input_size}
    if vocab_size:
        inputs = {"kind": "tokens", "vocab_size": vocab_size}
    classes = {"kind": "classes", "num_classes": outputs or 2, "per_step": True}
    return {"inputs": inputs, "outputs": classes, "source": None}


def rules(model: CellConfig, layout: _Layout) -> tuple[Rule, ...]:
    """Rules from tensors of the file to parameters of the model."""
    size, dim, table = model.output_dim, layout.input_size, list[Rule]()
    if layout.embedding is None:
        # Values enter the layers unchanged.
        identity = lambda: np.eye(dim, dtype=np.float32)
        table.append(constant("embedding/Dense_0/kernel", identity))
        table.append(zeros("embedding/Dense_0/bias", dim))
    else:
        table.append(same("embedding/table", layout.embedding, layout.rows[0], dim))
    for layer in range(model.num_layers):
        inputs = dim if layer == 0 else size * len(layout.directions)
        for number, direction in enumerate(layout.directions):
            table += _layer_rules(model, layout, layer, number, direction, inputs)
    if layout.head is not None:
        there, width = layout.head.removesuffix(".weight"), size * len(layout.directions)
        weight, bias = dense("head/Dense_0", there, width, layout.rows[1])
        none = zeros("head/Dense_0/bias", layout.rows[1])
        table += [weight, bias if layout.head_has_bias else none]
    return tuple(table)


def _layer_rules(
    model: CellConfig, layout: _Layout, layer: int, number: int, direction: str, inputs: int
) -> list[Rule]:
    size, gates = model.hidden_dim, _NUM_GATES[model.cell]
    path = f"layers/cells_{layer}"
    if len(layout.directions) > 1:
        path += f"/{('forward', 'backward')[number]}"
    name = lambda part: f"{layout.prefix}{part}_l{layer}{direction}"
    wide = gates * size
    kernels = [
        transposed(f"{path}/kernel", name("weight_ih"), wide, inputs),
        transposed(f"{path}/recurrent_kernel", name("weight_hh"), wide, model.output_dim),
    ]
    if model.projection_dim is not None:
        kernels.append(
            transposed(f"{path}/projection", name("weight_hr"), model.projection_dim, size)
        )
    gru = model.cell == "gru"
    if not layout.has_bias:
        apart = [zeros(f"{path}/recurrent_bias", size)] if gru else []
        return [*kernels, zeros(f"{path}/bias", wide), *apart]
    biases = {name("bias_ih"): (wide,), name("bias_hh"): (wide,)}
    if not gru:
        split = lambda bias: [bias, np.zeros_like(bias)]
        return [*kernels, Rule(f"{path}/bias", biases, lambda ih, hh: ih + hh, split)]

    def join(ih: np.ndarray, hh: np.ndarray) -> np.ndarray:
        return ih + np.concatenate([hh[: 2 * size], np.zeros(size, np.float32)])

    candidate = {name("bias_hh"): (wide,)}
    apart = Rule(f"{path}/recurrent_bias", candidate, lambda hh: hh[2 * size :])
    return [*kernels, Rule(f"{path}/bias", biases, join), apart]


def needs(model: RecurrentConfig) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Field of the model -> its value and the values that torch.nn.LSTM can express."""
    return {
        "cell": (model.cell, ("lstm",)),
        "block": (model.block, (RecurrentBlock.PLAIN,)),
        "input_encoding": (model.input_encoding, (InputEncoding.EMBEDDED,)),
        "learned_initial_state": (model.learned_initial_state, (False,)),
        "tie_embeddings": (model.tie_embeddings, (False,)),
    }


def export_rules(model: RecurrentConfig, spec: dict[str, Any]) -> tuple[Rule, ...]:
    """Rules of an exported model: embedding, lstm and head.

    The embedding of values is a linear layer. A forecast has a row of the head for each of its
    numbers: horizon, channels and quantiles, the last of them fastest.
    """
    inputs, outputs, d = spec["inputs"], spec["outputs"], model.model_dim
    size = outputs.get("vocab_size") or outputs.get("num_classes")
    if size is None:
        size = outputs["horizon"] * outputs["num_channels"] * outputs["num_quantiles"]
    rows = (inputs.get("vocab_size", 0), size)
    table = rules(model, _Layout("lstm.", d, True, ("",), None, None, True, rows))
    ours = [rule for rule in table if rule.tensors]
    weight = {"head.weight": (size, model.hidden_dim)}
    head = (
        Rule("head/Dense_0/kernel", weight, _one_way, lambda x: [x.reshape(len(x), -1).T]),
        Rule("head/Dense_0/bias", {"head.bias": (size,)}, _one_way, lambda x: [x.reshape(-1)]),
    )
    embedding = (
        dense("embedding/Dense_0", "embedding", inputs["num_features"], d)
        if inputs["kind"] == "values"
        else (same("embedding/table", "embedding.weight", rows[0], d),)
    )
    return (*embedding, *ours, *head)


def _one_way(*arrays: np.ndarray) -> np.ndarray:
    raise AssertionError(f"{len(arrays)} arrays of a rule for export alone")
