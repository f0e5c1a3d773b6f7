"""Detection of the architecture of a file or folder of weights. Imports no jax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from seqmodels.config.errors import UserError, suggest
from seqmodels.files import read_json
from seqmodels.interop import (
    bert,
    gpt2,
    llama,
    nanogpt,
    torch_recurrent,
    torch_transformer,
    vit,
)
from seqmodels.interop.files import CONFIG, Tensors, name_some
from seqmodels.interop.settings import Settings
from seqmodels.interop.tables import Conversion, Shape

Convert = Callable[[Settings, Mapping[str, Shape], str], Conversion]

ARCHITECTURES: dict[str, Convert] = {
    "GPT2LMHeadModel": gpt2.convert,
    "GPT2Model": gpt2.convert,
    "LlamaForCausalLM": llama.convert,
    "LlamaModel": llama.convert,
    "MistralForCausalLM": llama.convert,
    "MistralModel": llama.convert,
    "Qwen2ForCausalLM": llama.convert,
    "Qwen2Model": llama.convert,
    "GemmaForCausalLM": llama.convert,
    "GemmaModel": llama.convert,
    "BertForMaskedLM": bert.convert,
    "BertForPreTraining": bert.convert,
    "BertForSequenceClassification": bert.convert,
    "BertModel": bert.convert,
    "ViTForImageClassification": vit.convert,
    "ViTModel": vit.convert,
}
"""Conversion by the name under `architectures` in a `config.json` of Hugging Face."""


def convert(source: Path, tensors: Tensors) -> Conversion:
    """Returns the conversion of a folder or of a state dict.

    Raises:
      UserError: the architecture is unknown, or a setting is not supported.
    """
    if source.is_dir():
        return _convert_folder(source, tensors)
    if tensors.settings is not None:
        return nanogpt.convert(Settings(source, tensors.settings), tensors.shapes)
    if torch_transformer.is_transformer(tensors.shapes):
        return torch_transformer.convert(tensors.shapes, tensors.source)
    if torch_recurrent.is_recurrent(tensors.shapes):
        return torch_recurrent.convert(tensors.shapes, tensors.source)
    raise UserError(
        f"--from={source}: the state dict is not of a known architecture (nn.RNN, nn.LSTM, nn.GRU, "
        f"nn.Transformer; for Hugging Face, name the folder that holds {CONFIG}): it has "
        + name_some(tensors.shapes, "tensor", 3)
    )


def _convert_folder(folder: Path, tensors: Tensors) -> Conversion:
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"--from={folder}: the folder has no {CONFIG}")
    values = read_json(path)
    named = values.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    if not isinstance(name, str):
        raise UserError(
            f"{path}: does not name an architecture; architectures must hold one of: "
            + ", ".join(ARCHITECTURES)
        )
    if name not in ARCHITECTURES:
        # Shows both the likely intended name and the full list.
        near = suggest(name, ARCHITECTURES)
        known = f"; known: {', '.join(ARCHITECTURES)}" if "did you mean" in near else ""
        raise UserError(f"{path}: unknown architecture {name}{near}{known}")
    for field in ("quantization_config", "compression_config"):
        if values.get(field):
            raise UserError(
                f"{path}: {field}={values[field]!s:.60}: quantised weights are not supported; "
                "allowed: null"
            )
    return ARCHITECTURES[name](Settings(path, values), tensors.shapes, name)
