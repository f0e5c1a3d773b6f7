"""Formats that runs are exported to. Imports no jax."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig
from seqmodels.config.serialization import show_value
from seqmodels.interop import bert, gpt2, torch_recurrent
from seqmodels.interop.tables import Rule

Spec = dict[str, Any]
Needs = dict[str, tuple[Any, tuple[Any, ...]]]


@dataclasses.dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
      name: as --format has it: huggingface is a folder, torch a file.
      needs: field of the model -> its value, and those that the format has.
      architecture: what the format calls the model, of the model and the JSON of its spec.
      rules: the table, of the same.
      describe: `config.json`, of the same; None for a file.
    """

    name: str
    needs: Callable[[Any], Needs]
    architecture: Callable[[Any, Spec], str]
    rules: Callable[[Any, Spec], tuple[Rule, ...]]
    describe: Callable[[Any, Spec], dict[str, Any]] | None


FORMATS = {
    "gpt": Format(
        "huggingface",
        gpt2.needs,
        lambda model, spec: gpt2.ARCHITECTURE,
        lambda model, spec: gpt2.rules(model, spec["inputs"]["vocab_size"]),
        lambda model, spec: gpt2.describe(model, spec["inputs"]["vocab_size"]),
    ),
    "bert": Format("huggingface", bert.needs, bert.architecture_of, bert.rules, bert.describe),
    "recurrent": Format(
        "torch",
        torch_recurrent.needs,
        lambda model, spec: torch_recurrent.EXPORTED,
        torch_recurrent.export_rules,
        None,
    ),
}
"""By the kind of the model."""


def find_format(model: ModelConfig, name: str | None) -> Format:
    """The format of a model.

    Raises:
      UserError: there is none, another was asked for, or a field has what it lacks.
    """
    if model.kind not in FORMATS:
        kinds = ", ".join(FORMATS)
        raise UserError(f"no format for model.kind={model.kind}; there are for: {kinds}")
    found = FORMATS[model.kind]
    if name not in (None, found.name):
        raise UserError(f"--format={name}: a {model.kind} is exported as {found.name}")
    for field, (value, allowed) in found.needs(model).items():
        if value not in allowed:
            texts = ", ".join(dict.fromkeys(map(show_value, allowed)))
            raise UserError(
                f"model.{field}={show_value(value)} does not go into the format; allowed: {texts}"
            )
    return found
