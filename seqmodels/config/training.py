"""Typed settings of the optimizer, the training loop and the evaluation."""

from __future__ import annotations

import dataclasses
import enum
import importlib.util
import math

from seqmodels.config.errors import UserError
from seqmodels.config.fields import fraction, number
from seqmodels.config.models import MAX_ORDER

MAX_SEED = 2**32 - 1
"""Of jax.random.key, which takes 32 bits."""


class OptimizerName(enum.StrEnum):
    """The direction of an update; learning rate, clipping and weight decay are the same for all.

    adamw: Loshchilov and Hutter, 2019, arXiv:1711.05101. sgd: with momentum. muon (Jordan et al.,
    2024; Liu et al., 2025, arXiv:2502.16982): for the kernels of layers the momentum with all of
    its singular values near 1; AdamW for embeddings, heads, convolutions, norms and biases.
    """

    ADAMW = "adamw"
    SGD = "sgd"
    MUON = "muon"


class Schedule(enum.StrEnum):
    """Learning rate after the linear warm-up.

    constant: peak_lr. cosine, linear: from peak_lr to final_lr at num_steps. inverse_sqrt:
    peak_lr * sqrt(warmup_steps / step). step: peak_lr for decay_start + decay_every steps after the
    warm-up, then multiplied by decay_factor, and again after every decay_every steps more; with
    decay_start=0 PyTorch's StepLR. wsd, warmup-stable-decay (Hu et al., 2024, arXiv:2404.06395):
    peak_lr until decay_steps before the end, then linearly to final_lr at num_steps, as Hägele et
    al., 2024, arXiv:2405.18392.
    """

    CONSTANT = "constant"
    COSINE = "cosine"
    LINEAR = "linear"
    INVERSE_SQRT = "inverse_sqrt"
    STEP = "step"
    WSD = "wsd"


class Dtype(enum.StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class MatmulPrecision(enum.StrEnum):
    """Precision of the products of float32 matrices, in jax's terms.

    default: the device's. On a CPU that is float32; on a GPU with tensor cores TensorFloat-32, 10
    bits of mantissa instead of 23; on a TPU bfloat16. Where $JAX_DEFAULT_MATMUL_PRECISION is set,
    that. tensorfloat32 and float32: at least that, on every device.
    """

    DEFAULT = "default"
    TENSORFLOAT32 = "tensorfloat32"
    FLOAT32 = "float32"


class EvaluationContext(enum.StrEnum):
    """The text before each target that a model sees.

    carry: all of it, streamed through the carry (only for models with an unbounded carry); with
    evaluation.num_streams above 1, all of it in a part of the split.
    window: the tokens before it in its window of evaluation.sequence_length tokens.
    sliding: windows that overlap by half; a target counts where half a window precedes it.
    crops: nanoGPT's estimate over evaluation.num_crops random crops, which may overlap.
    """

    CARRY = "carry"
    WINDOW = "window"
    SLIDING = "sliding"
    CROPS = "crops"


class BleuTokenizer(enum.StrEnum):
    """How sacrebleu splits a text into words for BLEU.

    wmt: as WMT does, sacrebleu's 13a. intl: by Unicode classes. char: each character. none: at
    white space, for texts that are tokenised already. zh: each Chinese character, the rest as wmt.
    ja-mecab: Japanese morphemes, by MeCab. flores200: pieces of the SentencePiece model of
    FLORES-200, for any of its languages (spBLEU); sacrebleu downloads it once.
    """

    WMT = "wmt"
    INTL = "intl"
    CHAR = "char"
    NONE = "none"
    ZH = "zh"
    JA_MECAB = "ja-mecab"
    FLORES200 = "flores200"

    @property
    def sacrebleu_name(self) -> str:
        """Its name in sacrebleu and in sacrebleu's signature."""
        return "13a" if self is BleuTokenizer.WMT else self.value

    @property
    def needs_spaces(self) -> bool:
        """Whether words without a space between them are one word to it."""
        return self in (BleuTokenizer.WMT, BleuTokenizer.INTL, BleuTokenizer.NONE)

    def check(self) -> None:
        """Raises UserError where a package is missing that it needs."""
        modules, install = _NEEDED.get(self, ((), ""))
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(
                f"evaluation.bleu_tokenizer={self}: needs {' and '.join(missing)}, not installed "
                f"here: pip install {install}"
            )


_NEEDED = {
    BleuTokenizer.JA_MECAB: (("MeCab", "ipadic"), "'sacrebleu[ja]'"),
    BleuTokenizer.FLORES200: (("sentencepiece",), "sentencepiece"),
}
"""Modules that a tokenizer imports, and how to install them."""


@dataclasses.dataclass
class OptimizerConfig:
    """Settings for optax. Biases, norms and embeddings have no weight decay.

    Attributes:
      name: direction of the updates; see `OptimizerName`.
      peak_lr: learning rate after the warm-up.
      schedule: see `Schedule`.
      warmup_steps: steps in which the learning rate rises linearly from 0.
      final_lr: learning rate at the end of cosine, linear and wsd.
      decay_start: of step: steps of peak_lr before the first decay_every.
      decay_every: of step: steps between two decays.
      decay_factor: of step: factor of each decay.
      decay_steps: of wsd: steps of the decay at the end.
      beta1: decay of Adam's mean of gradients, in muon too.
      beta2: decay of Adam's mean of squared gradients, in muon too.
      epsilon: added to Adam's denominator, in muon too.
      momentum: of sgd and muon, for which 0.95 is usual.
      weight_decay: decoupled from the gradient.
      clip_norm: bound on the global norm of the gradient; none = not clipped.
      frozen: parts of the model that are not trained, separated by commas (see
        `config.finetuning`): no update, no decay, no moments, and no share in the gradient's norm.
      lr_scales: factors on the learning rate of parts, such as embedding=0.1,head=10; the most
        specific part wins, and frozen overrides all.
    """

    name: OptimizerName = OptimizerName.ADAMW
    peak_lr: float = number(1e-3, above=0)
    schedule: Schedule = Schedule.COSINE
    warmup_steps: int = number(100, least=0)
    final_lr: float = number(0.0, least=0)
    decay_start: int = number(0, least=0)
    decay_every: int = 1000
    decay_factor: float = number(0.5, above=0, most=1)
    decay_steps: int = 200
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    epsilon: float = number(1e-8, above=0)
    momentum: float = fraction(0.9)
    weight_decay: float = number(0.0, least=0)
    clip_norm: float | None = number(1.0, above=0)
    frozen: str | None = None
    lr_scales: str | None = None

    def last_step_at_peak(self, num_steps: int) -> float:
        """The step up to which a run of `num_steps` has the rates of a constant schedule."""
        if self.schedule is Schedule.WSD:
            return num_steps - self.decay_steps
        return math.inf if self.schedule is Schedule.CONSTANT else 0


@dataclasses.dataclass
class TrainingConfig:
    """The training loop.

    Attributes:
      num_steps: total number of optimizer steps.
      seed: of the parameters, the data order and dropout.
      log_every, evaluate_every, checkpoint_every: in steps; multiples of steps_per_call.
      steps_per_call: optimizer steps in one call of the compiled program.
      accumulation_steps: micro-batches per batch, weighted by their tokens.
      keep_checkpoints: number of latest checkpoints to keep, in addition to the best.
      best_metric: a metric of the validation split; its task says which direction is better.
      early_stopping_patience: stop after this many evaluations without a better best_metric; none
        never stops.
      dtype: of the arithmetic; parameters, softmax and loss stay float32.
      matmul_precision: see `MatmulPrecision`. Every command that runs the model applies it.
      ema_decay: decay of a moving average of the parameters, which is then evaluated; none keeps no
        average.
      mesh_data, mesh_fsdp, mesh_sequence, mesh_tensor: devices along each axis; mesh_data none =
        all others. sequence splits the steps of each row.
      init_from: `DIR[@step]`, a run whose parameters this one starts with, where they fit; step is
        best, latest or a number.
      tensorboard: whether the rows of metrics.jsonl are also written as TensorBoard event files.
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
    matmul_precision: MatmulPrecision = MatmulPrecision.DEFAULT
    ema_decay: float | None = number(None, above=0, below=1)
    mesh_data: int | None = None
    mesh_fsdp: int = 1
    mesh_sequence: int = 1
    mesh_tensor: int = 1
    init_from: str | None = None
    tensorboard: bool = False


@dataclasses.dataclass
class EvaluationConfig:
    """How a split is evaluated.

    Attributes:
      context: named in the result; see `EvaluationContext`.
      sequence_length: targets in one window or chunk.
      batch_size: rows evaluated at once; it changes no figure. With context `carry`, as many
        windows of a stream are read at once as are needed for that number of rows.
      num_crops: number of random rows with context `crops`.
      num_streams: with context `carry`, the parts that a split is cut into, each read after the
        256 (or sequence_length) tokens before it; named in the result. 1 is exact. A recurrent
        cell that reads a token at a time is faster with many, which moves its loss a little; for
        a model whose memory is longer, and one with positions, it is another question.
      baseline_order: order of the Kneser-Ney baseline reported with the result; 1 = unigram.
      beam_size, length_penalty, coverage_penalty: of the search for translations, the first of
        transcripts too; see `decoding.Beam`. A beam of 1 is greedy.
      language_model, language_model_order, language_model_weight, length_bonus: for transcripts, a
        UTF-8 file with a text on each line, the order n of the n-gram model that is counted in it,
        and the weights a and b of the search; see `decoding.ctc.search`. none = without.
      lowercase: whether BLEU, chrF and exact match compare lower-cased texts.
      bleu_tokenizer: see `BleuTokenizer`.
    """

    context: EvaluationContext = EvaluationContext.WINDOW
    sequence_length: int = 128
    batch_size: int = 32
    num_crops: int = 4096
    num_streams: int = number(1, least=1)
    baseline_order: int = number(6, least=1, most=MAX_ORDER)
    beam_size: int = 4
    length_penalty: float = number(0.6, least=0)
    coverage_penalty: float = number(0.0, least=0)
    language_model: str | None = None
    language_model_order: int = number(5, least=1, most=MAX_ORDER)
    language_model_weight: float = number(0.5, least=0)
    length_bonus: float = number(1.0, least=0)
    lowercase: bool = False
    bleu_tokenizer: BleuTokenizer = BleuTokenizer.WMT
