"""JSON of a `DataSpec`, for runs whose spec does not follow from the tokenizer."""

from __future__ import annotations

import dataclasses
from typing import Any

from seqmodels.types import (
    ClassOutput,
    DataSpec,
    ImageInput,
    SoundInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)

_KINDS: dict[str, type] = {
    "tokens": TokenInput,
    "values": ValueInput,
    "image": ImageInput,
    "sound": SoundInput,
    "vocab": VocabOutput,
    "classes": ClassOutput,
    "prediction": ValueOutput,
}


def spec_to_json(spec: DataSpec) -> dict[str, Any]:
    """Returns the JSON that `spec_from_json` reads."""
    names = {kind: name for name, kind in _KINDS.items()}

    def convert(part: Any) -> Any:
        return None if part is None else {"kind": names[type(part)], **dataclasses.asdict(part)}

    return {"inputs": convert(spec.inputs), "outputs": convert(spec.outputs)} | {
        "source": convert(spec.source)
    }


def spec_from_json(values: dict[str, Any]) -> DataSpec:
    """Builds the spec; raises KeyError or TypeError on anything else."""

    def build(part: Any) -> Any:
        if part is None:
            return None
        return _KINDS[part["kind"]](**{name: part[name] for name in part if name != "kind"})

    return DataSpec(build(values["inputs"]), build(values["outputs"]), build(values["source"]))
