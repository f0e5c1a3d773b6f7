"""Formats for export. Imports no jax."""

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
    """An export format.

    Attributes:
      name: value of --format: huggingface writes a folder, torch a file.
      needs: maps a model to {field: (its value, the values that the format can express)}.
      architecture: maps a model and the JSON of its spec to the name in the format.
      outputs: the kinds of outputs, in the words of the spec, that the format has.
      inputs: the same of the inputs.
      rules: maps the same arguments to the rules.
      describe: maps the same arguments to `config.json`; None for a format that is one file.
    """

    name: str
    needs: Callable[[Any], Needs]
    architecture: Callable[[Any, Spec], str]
    rules: Callable[[Any, Spec], tuple[Rule, ...]]
    describe: Callable[[Any, Spec], dict[str, Any]] | None
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ("tokens",)

    def check(self, kind: str, spec: Spec) -> None:
        """Refuses a model whose inputs or outputs the format does not have.

        Args:
          kind: of the model.

        Raises:
          UserError: names them.
        """
        for part, allowed in (("inputs", self.inputs), ("outputs", self.outputs)):
            found = spec[part]["kind"]
            if found not in allowed:
                raise UserError(
                    f"model.kind={kind} with {part} of {found} cannot be exported; {part} that "
                    f"can: {', '.join(allowed)}"
                )


FORMATS = {
    "gpt": Format(
        "huggingface",
        gpt2.needs,
        lambda model, spec: gpt2.ARCHITECTURE,
        lambda model, spec: gpt2.rules(model, spec["inputs"]["vocab_size"]),
        lambda model, spec: gpt2.describe(model, spec["inputs"]["vocab_size"]),
        ("vocab",),
    ),
    "bert": Format(
        *("huggingface", bert.needs, bert.architecture_of, bert.rules, bert.describe),
        ("vocab", "classes"),
    ),
    "recurrent": Format(
        "torch",
        torch_recurrent.needs,
        lambda model, spec: torch_recurrent.EXPORTED,
        torch_recurrent.export_rules,
        None,
        ("vocab", "classes", "prediction"),
        ("tokens", "values"),
    ),
}
"""Format by kind of model."""


def find_format(model: ModelConfig, name: str | None) -> Format:
    """Returns the format of a model.

    Raises:
      UserError: there is none, it is not the one named, or it cannot express the value of a field.
    """
    found = FORMATS.get(model.kind)
    if found is None:
        kinds = ", ".join(FORMATS)
        raise UserError(f"model.kind={model.kind} cannot be exported; kinds that can: {kinds}")
    if name not in (None, found.name):
        raise UserError(f"--format={name}: model.kind={model.kind} is exported as {found.name}")
    for field, (value, allowed) in found.needs(model).items():
        if value not in allowed:
            texts = ", ".join(dict.fromkeys(map(show_value, allowed)))
            raise UserError(
                f"the format has no model.{field}={show_value(value)}; allowed: {texts}"
            )
    return found
