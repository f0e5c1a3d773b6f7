"""Typed settings of the optimizer, the training loop and the evaluation."""

from __future__ import annotations

import dataclasses
import enum

from seqmodels.config.fields import fraction, number
from seqmodels.config.models import MAX_ORDER

MAX_SEED = 2**32 - 1
"""Of jax.random.key, which takes 32 bits."""


class OptimizerName(enum.StrEnum):
    ADAMW = "adamw"
    SGD = "sgd"


class Schedule(enum.StrEnum):
    """Learning rate after the linear warm-up.

    constant; cosine or linear from peak_lr to final_lr at num_steps; inverse_sqrt:
    peak_lr * sqrt(warmup_steps / step); step: peak_lr until decay_start steps behind the warm-up,
    then times decay_factor each time that decay_every more are done.
    """

    CONSTANT = "constant"
    COSINE = "cosine"
    LINEAR = "linear"
    INVERSE_SQRT = "inverse_sqrt"
    STEP = "step"


class Dtype(enum.StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class EvaluationContext(enum.StrEnum):
    """What a model sees of the text before each target.

    carry: all of it, streamed through the carry (models of unbounded carry only).
    window: what stands before it in its window of evaluation.sequence_length tokens.
    sliding: windows that overlap by half; only what has at least half a window before it counts.
    crops: nanoGPT's estimate over evaluation.num_crops random crops; not every target counts once.
    """

    CARRY = "carry"
    WINDOW = "window"
    SLIDING = "sliding"
    CROPS = "crops"


class BleuTokenizer(enum.StrEnum):
    """What sacrebleu takes for a word when it counts BLEU.

    wmt: what WMT does, sacrebleu's 13a. intl: by Unicode's classes. char: each character. none:
    what stands between white space, for texts whose words have been cut apart already.
    """

    WMT = "wmt"
    INTL = "intl"
    CHAR = "char"
    NONE = "none"

    @property
    def sacrebleu_name(self) -> str:
        """What sacrebleu, and so its signature, calls it."""
        return "13a" if self is BleuTokenizer.WMT else self.value


@dataclasses.dataclass
class OptimizerConfig:
    """optax settings. Weight decay spares biases, norms and embeddings.

    `momentum` is SGD's, `beta1`, `beta2` and `epsilon` are Adam's. `clip_norm` bounds the global
    norm of the gradient; none does not clip. `final_lr` is where cosine and linear end.

    `frozen` names parts of the model that do not move, separated by commas (see
    `config.finetuning`): no update, no decay, no moments, and no share in the gradient's norm.
    `lr_scales` gives parts a factor on the learning rate, `embedding=0.1,head=10`; the most
    specific part wins, and frozen wins over all.
    """

    name: OptimizerName = OptimizerName.ADAMW
    peak_lr: float = number(1e-3, above=0)
    schedule: Schedule = Schedule.COSINE
    warmup_steps: int = number(100, least=0)
    final_lr: float = number(0.0, least=0)
    decay_start: int = number(0, least=0)
    decay_every: int = 1000
    decay_factor: float = number(0.5, above=0, most=1)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    epsilon: float = number(1e-8, above=0)
    momentum: float = fraction(0.9)
    weight_decay: float = number(0.0, least=0)
    clip_norm: float | None = number(1.0, above=0)
    frozen: str | None = None
    lr_scales: str | None = None


@dataclasses.dataclass
class TrainingConfig:
    """The loop.

    Attributes:
      num_steps: optimizer steps in all.
      seed: of the parameters, the data order and dropout.
      log_every, evaluate_every, checkpoint_every: in steps; multiples of steps_per_call.
      steps_per_call: optimizer steps in one call of the compiled program.
      accumulation_steps: micro-batches that make up one batch, weighted by their tokens.
      keep_checkpoints: the latest N stay, and the best by best_metric.
      best_metric: a metric of the validation split; lower is better.
      early_stopping_patience: stop after that many evaluations without a better best_metric;
        none never stops.
      dtype: of the arithmetic; parameters, softmax and loss stay float32.
      ema_decay: keep an exponential moving average of the parameters and evaluate that; or none.
      mesh_data, mesh_fsdp, mesh_tensor: devices along each axis; mesh_data none = all others.
      init_from: `DIR[@step]`, the run whose parameters this one starts with, as far as they fit;
        step is best, latest or a number.
      tensorboard: also write the rows of metrics.jsonl as TensorBoard event files.
    """

    num_steps: int = 1000
    seed: int = number(0, least=0, most=MAX_SEED)
    log_every: int = 50
    evaluate_every: int = 250
    checkpoint_every: int = 250
    steps_per_call: int = 1
    accumulation_steps: int = 1
    keep_checkpoints: int = 2
    best_metric: str = "loss"
    early_stopping_patience: int | None = None
    dtype: Dtype = Dtype.FLOAT32
    ema_decay: float | None = number(None, above=0, below=1)
    mesh_data: int | None = None
    mesh_fsdp: int = 1
    mesh_tensor: int = 1
    init_from: str | None = None
    tensorboard: bool = False


@dataclasses.dataclass
class EvaluationConfig:
    """How a split is evaluated.

    Attributes:
      context: what the model sees before a target; named in the result.
      sequence_length: targets in one window or chunk.
      batch_size: rows evaluated at once; with context `carry`, streams side by side, each warmed
        up on what stands before it.
      num_crops: with context `crops`, random rows in all.
      baseline_order: order of the Kneser-Ney baseline reported beside the result; 1 = unigram.
      beam_size, length_penalty, coverage_penalty: of the search for translations; see
        `decoding.Beam`. A beam of 1 is greedy.
      lowercase: BLEU, chrF and exact match compare lower-cased texts.
      bleu_tokenizer: see `BleuTokenizer`.
    """

    context: EvaluationContext = EvaluationContext.WINDOW
    sequence_length: int = 128
    batch_size: int = 32
    num_crops: int = 4096
    baseline_order: int = number(6, least=1, most=MAX_ORDER)
    beam_size: int = 4
    length_penalty: float = number(0.6, least=0)
    coverage_penalty: float = number(0.0, least=0)
    lowercase: bool = False
    bleu_tokenizer: BleuTokenizer = BleuTokenizer.WMT
