"""The models and problems of `diagnose`, and the literature's expectation of each cell.

Sources of the expectations, by problem:

* adding: the tanh RNN fails, the LSTM does not (Hochreiter and Schmidhuber, 1997); a ReLU network
  that starts as the identity does not either (Le et al., 2015, arXiv:1504.00941), nor does a TCN
  (Bai et al., 2018, arXiv:1803.01271).
* copy: a TCN succeeds (Bai et al., 2018), and so does attention; the tanh RNN does not (Arjovsky
  et al., 2016, arXiv:1511.06464).
* selective_copy: gates that see the input succeed in two layers (Feng et al., 2024,
  arXiv:2410.01201), recurrences and convolutions that are the same at each step do not (Gu and Dao,
  2023, arXiv:2312.00752).
* recall: attention succeeds, a state of fixed size does not (Arora et al., 2023, arXiv:2312.04927).
* induction: two layers of attention succeed (Olsson et al., 2022, arXiv:2209.11895), recurrences
  that are the same at each step do not (Gu and Dao, 2023).
* parity, even_pairs, cycle_navigation, modular_arithmetic, beyond the lengths of training: RNN and
  LSTM succeed, attention does not, though it comes close in even_pairs, for which nothing is
  expected here (Deletang et al., 2022, arXiv:2207.02098); linear recurrences with positive gates
  cannot do parity or cycles (Grazzi et al., 2024, arXiv:2411.12537).
* a5_words, beyond the lengths of training: RNN and LSTM succeed; attention and linear recurrences
  with diagonal transitions cannot (Merrill et al., 2024, arXiv:2404.08819).
* reverse, duplicate, beyond the lengths of training: neither RNN, LSTM nor attention (Deletang et
  al., 2022).
* bucket_sort: the LSTM succeeds beyond the lengths of training, the RNN does not (the same).
* dyck: the LSTM succeeds (Suzgun et al., 2019, arXiv:1906.03648).
* listops: neither the LSTM (about 71 %) nor the Transformer (about 57 %; Nangia and Bowman, 2018,
  arXiv:1804.06028, and later work).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments.configs._diagnostics import make_config, steps_of
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ConvolutionalConfig, ModelConfig
from seqmodels.config.recurrent import RecurrentBlock, RecurrentConfig
from seqmodels.config.transformers import AarenConfig, GPTConfig, Position

STEP = 4
"""Widths are multiples of it."""
MAX_WIDTH = 512


def _cell(cell: str) -> Callable[[int, int], ModelConfig]:
    def make(width: int, length: int) -> ModelConfig:
        del length
        return RecurrentConfig(cell=cell, model_dim=width, hidden_dim=width)

    return make


def _linear(cell: str) -> Callable[[int, int], ModelConfig]:
    def make(width: int, length: int) -> ModelConfig:
        del length
        return RecurrentConfig(
            cell=cell,
            num_layers=2,
            model_dim=width,
            hidden_dim=width,
            block=RecurrentBlock.RESIDUAL,
            mlp_dim=2 * width,
        )

    return make


def _attention(width: int, length: int) -> ModelConfig:
    return GPTConfig(
        num_layers=2,
        model_dim=width,
        num_heads=2,
        mlp_dim=2 * width,
        max_length=length,
        position=Position.ROTARY,
        tie_embeddings=False,
    )


def _aaren(width: int, length: int) -> ModelConfig:
    del length
    return AarenConfig(
        num_layers=2, model_dim=width, num_heads=2, mlp_dim=2 * width, tie_embeddings=False
    )


def _tcn(width: int, length: int) -> ModelConfig:
    del length
    return ConvolutionalConfig(num_layers=6, model_dim=width, hidden_dim=width)


MODELS: dict[str, Callable[[int, int], ModelConfig]] = {
    **{cell: _cell(cell) for cell in ("rnn", "irnn", "lstm", "gru")},
    **{cell: _linear(cell) for cell in ("min_gru", "min_lstm", "lru")},
    "aaren": _aaren,
    "attention": _attention,
    "tcn": _tcn,
}
"""Name -> the config of a width, for sequences of a length. One layer of a cell; two blocks of a
linear recurrence or of attention; six of convolutions, which see 253 steps."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A diagnostic as `diagnose` uses it.

    Attributes:
      data: `NAME:SIZE` of the data set.
      beyond: whether the expectation is about lengths beyond those of training.
      can, cannot: models that are expected to succeed, or to fail.
    """

    data: str
    beyond: bool
    can: str = ""
    cannot: str = ""

    def expectation(self, model: str) -> str:
        """yes, no, or nothing where the literature does not say."""
        return "yes" if model in self.can.split() else "no" if model in self.cannot.split() else ""


_PARALLEL = "min_gru min_lstm lru aaren attention"
TASKS: dict[str, Problem] = {
    "adding": Problem("adding:50", False, "irnn lstm gru tcn", "rnn"),
    "copy": Problem("copy:30", False, "tcn attention", "rnn"),
    "selective_copy": Problem("selective_copy:64", False, "min_gru min_lstm attention", "lru tcn"),
    "recall": Problem(
        "recall:4", False, "attention", "rnn irnn lstm gru min_gru min_lstm lru aaren tcn"
    ),
    "induction": Problem("induction:32", False, "attention", "lru"),
    "parity": Problem("parity:40", True, "rnn lstm", _PARALLEL),
    "even_pairs": Problem("even_pairs:40", True, "rnn lstm", ""),
    "cycle_navigation": Problem("cycle_navigation:40", True, "rnn lstm", _PARALLEL),
    "reverse": Problem("reverse:20", True, "", "rnn lstm attention"),
    "dyck": Problem("dyck:40", False, "lstm", ""),
    "modular_arithmetic": Problem("modular_arithmetic:40", True, "rnn lstm", "attention"),
    "a5_words": Problem("a5_words:20", True, "rnn lstm", _PARALLEL),
    "duplicate": Problem("duplicate:20", True, "", "rnn lstm attention"),
    "bucket_sort": Problem("bucket_sort:20", True, "lstm", "rnn"),
    "listops": Problem("listops:100", False, "", "lstm attention"),
}
NUM_DEFAULT = 10
"""The first problems are the default."""
SOLVED = {"accuracy": 0.99, "loss": 0.01}
"""An accuracy from which, or a squared error up to which, a problem counts as solved."""


def make_cell(
    task: str, model: ModelConfig, num_steps: int, peak_lr: float, seed: int
) -> ExperimentConfig:
    """The config of one run of a cell."""
    every = -(-num_steps // 3)
    training: dict[str, Any] = {"seed": seed, "mesh_data": 1}
    return make_config(
        TASKS[task].data,
        model,
        num_steps=num_steps,
        peak_lr=peak_lr,
        evaluate_every=every,
        optimizer={"warmup_steps": min(100, num_steps // 4)},
        training=training,
        max_shapes=1,
    )


def longest_of(task: str) -> int:
    """The most steps of an example."""
    return steps_of(TASKS[task].data)


def metric_of(result: dict[str, Any]) -> str:
    """The metric by which a problem counts as solved."""
    return "accuracy" if "accuracy" in result else "loss"


def solves(result: dict[str, Any]) -> bool:
    """Whether a result counts as solved, see `SOLVED`."""
    metric = metric_of(result)
    return (
        result[metric] >= SOLVED[metric]
        if metric == "accuracy"
        else result[metric] <= SOLVED[metric]
    )


def score(result: dict[str, Any], chance: dict[str, Any]) -> float:
    """A result from 0, no better than the exact guess, to 1, perfect."""
    metric = metric_of(result)
    perfect = 1.0 if metric == "accuracy" else 0.0
    share = (result[metric] - chance[metric]) / (perfect - chance[metric])
    return min(max(share, 0.0), 1.0)
