"""Plan of an import, made before anything large is read. Imports no jax."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqmodels.config.data import DataConfig, ExamplesDataConfig, TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import (
    LabelConfig,
    TokenizerKind,
    TokenizerSettings,
    TokensConfig,
)
from seqmodels.config.training import EvaluationConfig, OptimizerConfig
from seqmodels.data.huggingface import FILES, find_files
from seqmodels.interop.architectures import convert
from seqmodels.interop.files import Tensors, open_tensors
from seqmodels.interop.generation import generation_notes
from seqmodels.interop.preprocessing import read_preprocessing
from seqmodels.interop.tables import Conversion, Matched, match, text_spec

FINE_TUNING_LR = 5e-5
_LENGTH = 128


@dataclasses.dataclass(frozen=True)
class Plan:
    """A planned import.

    Attributes:
      source: the file or folder.
      tensors: its tensors.
      conversion: how they become a model.
      config: config of the new run, open to overrides.
    """

    source: Path
    tensors: Tensors
    conversion: Conversion
    config: ExperimentConfig

    @property
    def tokenizer(self) -> tuple[str, TokenizerSettings] | None:
        """The section of the config that has the settings of the tokenizer, and these; None where
        the model reads no tokens that one of our tasks could feed."""
        settings = self.config.data.tokenizers()
        name = next((name for name in ("", "inputs") if name in settings), None)
        return None if name is None else (f"data.{name}".strip("."), settings[name])

    @property
    def over_text(self) -> bool:
        """Whether the model reads and predicts tokens of one vocabulary."""
        return self.conversion.spec == text_spec(self.conversion.vocab_size or 0)

    @property
    def has_task(self) -> bool:
        """Whether one of our tasks can feed the model, given suitable data."""
        return self.over_text or bool(self.conversion.labels)

    def match(self) -> Matched:
        """Matches the file with the parameters of the model of `config`; reads no tensors.

        Raises:
          UserError: see `tables.match`.
        """
        return match(self.conversion, self.config.model, self.tensors)


@contextlib.contextmanager
def plan_import(source: Path) -> Iterator[Plan]:
    """Opens `source`.

    Raises:
      UserError: it is damaged, of an unknown architecture, or not what its config describes.
    """
    with open_tensors(source) as tensors:
        yield plan_tensors(source, tensors)


def plan_tensors(source: Path, tensors: Tensors) -> Plan:
    """The plan for tensors that are open; errors as in `plan_import`."""
    conversion = convert(source, tensors)
    notes = (*conversion.notes, *generation_notes(source))
    conversion = dataclasses.replace(conversion, notes=notes)
    return Plan(source, tensors, conversion, _config(conversion, source))


def _config(conversion: Conversion, folder: Path) -> ExperimentConfig:
    """The run's config before overrides, ready for fine-tuning on the built-in corpus."""
    model = conversion.model
    length = _LENGTH
    fields: dict[str, Any] = dataclasses.asdict(model)
    if not model.unbounded:
        length = min(length, fields["max_length"])
    data: DataConfig = TextDataConfig(tokenizer=TokenizerKind.HUGGINGFACE, sequence_length=length)
    if conversion.spec["inputs"]["kind"] == "image":
        inputs = read_preprocessing(folder, conversion.spec["inputs"])
        data = ExamplesDataConfig(name="shapes", inputs=inputs, targets=LabelConfig())
    elif conversion.labels:
        inputs = TokensConfig(tokenizer=TokenizerKind.HUGGINGFACE, max_length=fields["max_length"])
        data = ExamplesDataConfig(name="order_sentences", inputs=inputs, targets=LabelConfig())
    elif "source" in conversion.task.roles:
        source, target = (TokensConfig(column=name) for name in ("source", "target"))
        source.tokenizer = TokenizerKind.SHARED
        data = ExamplesDataConfig(source=source, targets=target)
    return ExperimentConfig(
        model,
        data,
        conversion.task,
        optimizer=OptimizerConfig(peak_lr=FINE_TUNING_LR),
        evaluation=EvaluationConfig(sequence_length=length),
    )


def choose_windows(plan: Plan, overridden: set[str]) -> None:
    """Evaluates a model of bounded length over windows of that length, unless overridden.

    The rows at once are so many that they have as many tokens together as otherwise.
    """
    evaluation = plan.config.evaluation
    limit = plan.config.data.streams() and vars(plan.config.model).get("max_length")
    if plan.config.model.unbounded or not limit:
        return
    if "evaluation.sequence_length" not in overridden:
        evaluation.sequence_length = limit
    if "evaluation.batch_size" not in overridden:
        tokens = EvaluationConfig().batch_size * _LENGTH
        evaluation.batch_size = max(1, tokens // evaluation.sequence_length)


def choose_tokenizer(plan: Plan) -> None:
    """Fills in the tokenizer of the folder unless the overrides name one.

    Raises:
      UserError: the model reads text, the folder has no tokenizer, and none was named.
    """
    section, data = plan.tokenizer or ("", None)
    if data is None or data.tokenizer is not TokenizerKind.HUGGINGFACE:
        return
    if data.vocab_size is None:
        data.vocab_size = plan.conversion.vocab_size
    if data.tokenizer_path is None and plan.source.is_dir() and find_files(plan.source):
        data.tokenizer_path = str(plan.source.absolute())
    if data.tokenizer_path is not None:
        return
    if not plan.has_task:
        data.tokenizer, data.vocab_size = TokenizerKind.BYTE, None  # the model reads no text
    else:
        files = ", or ".join(" and ".join(names) for names in FILES)
        raise UserError(
            f"--from={plan.source}: has no tokenizer ({files}): name one with "
            f"--config.{section}.tokenizer_path=DIR, or choose --config.{section}.tokenizer=byte "
            "or character"
        )
