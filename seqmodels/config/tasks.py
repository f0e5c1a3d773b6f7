"""Typed settings of the tasks, and what each of them declares about its problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from seqmodels.config.decoding import Beam, make_beam
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.fields import fraction, number

if TYPE_CHECKING:
    from seqmodels.config.experiment import ExperimentConfig


@dataclasses.dataclass(frozen=True)
class Metric:
    """A figure of a split that the task reports.

    Attributes:
      name: its key in rows and results.
      unit: what it is measured in; tables write what a target is (a token, a label) for `target`.
      lower_is_better: its direction.
      shown: whether tables show it.
      further: whether `Task.evaluate_more` finds it, not the loss.
      always: whether every evaluation has it, so that it can choose the best checkpoint.
    """

    name: str
    unit: str
    lower_is_better: bool = True
    shown: bool = True
    further: bool = False
    always: bool = True

    def cost(self, value: float) -> float:
        """A value as something of which less is better."""
        return value if self.lower_is_better else -value


@dataclasses.dataclass(frozen=True)
class AnswerFlag:
    """A flag of `predict` that a task understands.

    Attributes:
      name: as typed.
      type: int, float or str.
      default: its value where it is not given.
      least: the least value of a number.
      text: help.
    """

    name: str
    type: type[int] | type[float] | type[str]
    default: int | float | None
    least: int | None
    text: str


def find_metric(metrics: Sequence[Metric], name: str, owner: str) -> Metric:
    """The declaration of a metric.

    Args:
      owner: what declares the metrics, for the message.

    Raises:
      UserError: there is none of that name.
    """
    for metric in metrics:
        if metric.name == name:
            return metric
    names = [metric.name for metric in metrics]
    raise UserError(f"{owner} has no metric {name!r}{suggest(name, names)}")


LOSS = Metric("loss", "nats per target")
PERPLEXITY = Metric("perplexity", "per target")
KNOWN_PERPLEXITY = Metric("perplexity_without_unknown", "per target", always=False)
"""Over the targets that the vocabulary has. Where there are others, all are one token, <unk>, which
is easy to predict: perplexities of vocabularies of different sizes cannot be compared."""
ACCURACY = Metric("accuracy", "share of targets", lower_is_better=False)

BEAM_SIZE = AnswerFlag(
    "beam_size",
    int,
    None,
    1,
    "hypotheses of a translation or transcript; 1 is greedy; none = the run's evaluation.beam_size",
)
NUM_BEST = AnswerFlag("num_best", int, 1, 1, "translations or transcripts of each input")


@dataclasses.dataclass
class TaskConfig:
    """Base of all task configs.

    Class attributes:
      kind: name in the registry.
      roles: role (inputs, targets, source) -> kinds of features that it may have.
      outputs: what the model puts out, in the words of `DataSpec`: vocab, classes or values.
      causal: True: the model must not see what comes after a token; False: it must; None: either.
      metrics: the figures of a split, the loss first.
      answers: the role that `predict` is given; None where the task has no answers.
      answer_flags: flags of `predict` that are for this task.
      noun: the plural of what it answers with, for messages.
      saves_answers: whether `predict --folder` writes tables and pictures of its answers.
      answers_streams: whether `predict --stream` can read a text without end.
      continues_text: whether `generate` can continue a text, and `--choices` compare continuations.
      is_summed: whether sums over the rows give all of a result, so that process 0 alone needs no
        parameters for more of it, such as translations or pictures.
    """

    kind: ClassVar[str] = ""
    roles: ClassVar[dict[str, tuple[str, ...]]] = {}
    outputs: ClassVar[str] = "vocab"
    causal: ClassVar[bool | None] = None
    metrics: ClassVar[tuple[Metric, ...]] = (LOSS,)
    answers: ClassVar[str | None] = None
    answer_flags: ClassVar[tuple[AnswerFlag, ...]] = ()
    noun: ClassVar[str] = "answers"
    saves_answers: ClassVar[bool] = False
    answers_streams: ClassVar[bool] = False
    continues_text: ClassVar[bool] = False
    is_summed: ClassVar[bool] = False

    def metric(self, name: str) -> Metric:
        """The declaration of a metric.

        Raises:
          UserError: the task has none of that name.
        """
        return find_metric(self.metrics, name, f"task.kind={self.kind}")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, allowed values) where fields of the task do not go together."""
        yield from ()

    def conflicts(self, config: ExperimentConfig) -> Iterator[tuple[str, str]]:
        """Yields (field with its section, allowed values) where other sections conflict with it."""
        model = config.model
        if config.evaluation.coverage_penalty and not model.aligns:
            allowed = f"must be 0: this {model.kind} gives no weights of attention to the source"
            yield "evaluation.coverage_penalty", allowed

    def check_evaluation(self, config: ExperimentConfig) -> None:
        """Raises UserError where an evaluation needs a package that is not installed."""
        del config

    def answer_settings(self, config: ExperimentConfig, flags: dict[str, Any]) -> Any:
        """How `predict` is to answer, by the flags of `answer_flags`.

        Raises:
          UserError: flags that do not go together.
        """
        del config, flags
        return None


@dataclasses.dataclass
class LanguageModelConfig(TaskConfig):
    """Next-token prediction.

    Attributes:
      label_smoothing: share of each target's mass that training spreads over all classes;
        evaluation never smooths.
    """

    kind: ClassVar[str] = "language_model"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {"inputs": ("text",)}
    causal: ClassVar[bool | None] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        LOSS,
        Metric("bits_per_byte", "bits per byte of UTF-8"),
        PERPLEXITY,
        KNOWN_PERPLEXITY,
        dataclasses.replace(ACCURACY, shown=False),
    )
    answers: ClassVar[str | None] = "inputs"
    continues_text: ClassVar[bool] = True
    is_summed: ClassVar[bool] = True
    answers_streams: ClassVar[bool] = True
    label_smoothing: float = fraction(0.0)

    def conflicts(self, config: ExperimentConfig) -> Iterator[tuple[str, str]]:
        """bits_per_byte as the best metric needs a tokenizer that loses nothing."""
        yield from super().conflicts(config)
        lossless = all(settings.is_lossless for settings in config.data.tokenizers().values())
        if config.training.best_metric == "bits_per_byte" and not lossless:
            yield (
                "training.best_metric",
                "needs a tokenizer that loses nothing: data.tokenizer=byte or bpe, or character "
                "with data.unknown_symbols=false",
            )


@dataclasses.dataclass
class MaskedLanguageModelConfig(TaskConfig):
    """Guessing hidden tokens (BERT).

    Attributes:
      mask_rate: share of the tokens that are chosen.
      mask_share: share of the chosen ones that become the mask token.
      random_share: share of the chosen ones that become a random token; the others stay.
    """

    kind: ClassVar[str] = "masked_language_model"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {"inputs": ("text",)}
    causal: ClassVar[bool | None] = False
    is_summed: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        LOSS,
        ACCURACY,
        PERPLEXITY,
        KNOWN_PERPLEXITY,
    )
    mask_rate: float = number(0.15, above=0, below=1)
    mask_share: float = number(0.8, least=0, most=1)
    random_share: float = number(0.1, least=0, most=1)

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.mask_share + self.random_share > 1:
            yield "random_share", f"with task.mask_share={self.mask_share} must be 1 at most in all"


@dataclasses.dataclass
class ClassificationConfig(TaskConfig):
    """One class for the whole of an image or a sequence.

    Attributes:
      label_smoothing: share of each target's mass that training spreads over all classes;
        evaluation never smooths.
    """

    kind: ClassVar[str] = "classification"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "inputs": ("tokens", "image", "values", "sound"),
        "targets": ("label",),
    }
    outputs: ClassVar[str] = "classes"
    metrics: ClassVar[tuple[Metric, ...]] = (
        LOSS,
        ACCURACY,
        Metric("f1", "mean over classes", lower_is_better=False),
        Metric("f1_binary", "of the second class", lower_is_better=False, shown=False),
        Metric("calibration_error", "share"),
    )
    answers: ClassVar[str | None] = "inputs"
    label_smoothing: float = fraction(0.0)


@dataclasses.dataclass
class TranslationConfig(TaskConfig):
    """A target sequence from a source sequence, trained with teacher forcing.

    Attributes:
      label_smoothing: share of each target's mass that training spreads over all classes;
        evaluation never smooths.
    """

    kind: ClassVar[str] = "translation"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "source": ("tokens", "image", "values", "sound"),
        "targets": ("tokens",),
    }
    causal: ClassVar[bool | None] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        LOSS,
        ACCURACY,
        Metric("sequence_accuracy", "share of targets, teacher forced", lower_is_better=False),
        PERPLEXITY,
        KNOWN_PERPLEXITY,
        Metric("bleu", "0 to 100", lower_is_better=False, further=True),
        Metric("chrf", "0 to 100", lower_is_better=False, further=True),
        Metric("exact_match", "share of targets", lower_is_better=False, further=True),
    )
    answers: ClassVar[str | None] = "source"
    answer_flags: ClassVar[tuple[AnswerFlag, ...]] = (
        BEAM_SIZE,
        NUM_BEST,
        AnswerFlag(
            "length_penalty",
            float,
            None,
            0,
            "of translations; none = the run's evaluation.length_penalty",
        ),
        AnswerFlag(
            "coverage_penalty",
            float,
            None,
            0,
            "penalty for parts of the source that were not read; none = the run's "
            "evaluation.coverage_penalty",
        ),
        AnswerFlag("min_tokens", int, 0, 0, "fewest tokens of a translation"),
        AnswerFlag(
            "max_tokens",
            int,
            None,
            1,
            "most tokens of a translation; none = data.targets.max_length without <eos>",
        ),
    )
    noun: ClassVar[str] = "translations"
    label_smoothing: float = fraction(0.0)

    def check_evaluation(self, config: ExperimentConfig) -> None:
        """Raises UserError where the tokenizer of BLEU needs a package that is not installed."""
        config.evaluation.bleu_tokenizer.check()

    def answer_settings(self, config: ExperimentConfig, flags: dict[str, Any]) -> Beam:
        """The beam search of the run; flags that are None keep its evaluation settings."""
        return make_beam(config.evaluation, config.data.lengths()["targets.max_length"], **flags)


@dataclasses.dataclass
class TaggingConfig(TaskConfig):
    """A label for each step of a sequence.

    Attributes:
      label_smoothing: share of each target's mass that training spreads over all classes;
        evaluation never smooths.
    """

    kind: ClassVar[str] = "tagging"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "inputs": ("tokens", "values"),
        "targets": ("tags",),
    }
    outputs: ClassVar[str] = "classes"
    metrics: ClassVar[tuple[Metric, ...]] = (LOSS, ACCURACY)
    answers: ClassVar[str | None] = "inputs"
    label_smoothing: float = fraction(0.0)
