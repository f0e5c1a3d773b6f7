"""Programs of whole training steps, and of compiling them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from seqmodels.benchmark.arrays import NUM_SETS, draw, draw_tokens, num_bytes
from seqmodels.benchmark.flops import hardware_flops, model_flops
from seqmodels.benchmark.program import Program, compile_apart
from seqmodels.benchmark.weights import OPTIMIZER, weight
from seqmodels.config.data import ExamplesDataConfig, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentConfig, Seq2SeqConfig
from seqmodels.config.tasks import (
    ClassificationConfig,
    LanguageModelConfig,
    MaskedLanguageModelConfig,
    TranslationConfig,
)
from seqmodels.config.training import Dtype, OptimizerConfig, Schedule, TrainingConfig
from seqmodels.config.transformers import BERTConfig, GPTConfig, ViTConfig
from seqmodels.distributed.mesh import mesh_context
from seqmodels.runs.paths import flat
from seqmodels.tasks.build import build_task
from seqmodels.training.setup import Setup, set_up
from seqmodels.types import (
    Batch,
    ClassOutput,
    DataSpec,
    ImageInput,
    TokenInput,
    VocabOutput,
)

_IMAGE, _CLASSES, _HIDDEN = (32, 32, 3), 10, 0.15


@dataclasses.dataclass(frozen=True)
class Work:
    """A model with its task and its batches.

    Attributes:
      config: of the experiment.
      spec: what the data would decide.
      batch: (n, length) -> the n-th batch, numpy arrays.
    """

    config: ExperimentConfig
    spec: DataSpec
    batch: Callable[[int, int], Batch]


def work_of(params: dict[str, Any], seed: int) -> Work:
    """Builds the work that `params` describe.

    Args:
      params: {"model": gpt, lstm_lm, seq2seq, bert or vit; "layers", "dim", "batch"; "heads" of a
        Transformer; "length" and "vocab" of tokens; "dtype"}.
    """
    layers, dim, rows = params["layers"], params["dim"], params["batch"]
    length, vocab = params.get("length", 64), params.get("vocab", 65)
    heads = {"num_layers": layers, "model_dim": dim, "num_heads": params.get("heads", 4)}
    cells = {"num_layers": layers, "model_dim": dim, "hidden_dim": dim, "cell": "lstm"}
    wide = {"mlp_dim": 4 * dim}
    models: dict[str, Any] = {
        "gpt": lambda: GPTConfig(**heads, **wide, max_length=max(length, 16)),
        "lstm_lm": lambda: RecurrentConfig(**cells),
        "seq2seq": lambda: Seq2SeqConfig(**cells, attention_dim=dim),
        "bert": lambda: BERTConfig(**heads, **wide, max_length=max(length, 16)),
        "vit": lambda: ViTConfig(**heads, **wide),
    }
    tokens = DataSpec(TokenInput(vocab), VocabOutput(vocab))
    pairs = DataSpec(TokenInput(vocab), VocabOutput(vocab), TokenInput(vocab))
    images = DataSpec(ImageInput(*_IMAGE), ClassOutput(_CLASSES, per_step=False))
    of_tokens = functools.partial(_token_batch, seed, rows, vocab)
    kinds = {
        "seq2seq": (TranslationConfig(), pairs, functools.partial(_pair_batch, seed, rows, vocab)),
        "bert": (
            MaskedLanguageModelConfig(mask_rate=_HIDDEN),
            tokens,
            functools.partial(_masked_batch, seed, rows, vocab),
        ),
        "vit": (ClassificationConfig(), images, functools.partial(_image_batch, seed, rows)),
    }
    task, spec, batch = kinds.get(params["model"], (LanguageModelConfig(), tokens, of_tokens))
    whole = spec is not tokens
    data = ExamplesDataConfig(batch_size=rows) if whole else TextDataConfig(batch_size=rows)
    optimizer = OptimizerConfig(schedule=Schedule.CONSTANT, warmup_steps=0, **OPTIMIZER)
    training = TrainingConfig(
        log_every=1, mesh_data=params.get("mesh"), dtype=Dtype(params.get("dtype", "float32"))
    )
    config = ExperimentConfig(models[params["model"]](), data, task, optimizer, training)
    return Work(config, spec, batch)


def _ones(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, np.float32)


def _token_batch(seed: int, rows: int, vocab: int, n: int, length: int) -> Batch:
    ids = draw_tokens(f"tokens {n}", (rows, length + 1), seed, vocab)
    return Batch(ids[:, :-1], ids[:, 1:], _ones((rows, length)))


def _pair_batch(seed: int, rows: int, vocab: int, n: int, length: int) -> Batch:
    batch = _token_batch(seed, rows, vocab, n, length)
    source = draw_tokens(f"source {n}", (rows, length), seed, vocab)
    everywhere = np.ones((rows, length), np.int32)
    return dataclasses.replace(
        batch, segment_ids=everywhere, source=source, source_segment_ids=everywhere
    )


def _masked_batch(seed: int, rows: int, vocab: int, n: int, length: int) -> Batch:
    ids = draw_tokens(f"tokens {n}", (rows, length), seed, vocab)
    weights = np.zeros((rows, length), np.float32)
    weights[:, :: max(1, round(1 / _HIDDEN))] = 1
    most = max(1, round(_HIDDEN * length))
    weights[np.cumsum(weights, axis=1) > most] = 0
    return Batch(ids, ids, weights)


def _image_batch(seed: int, rows: int, n: int, length: int) -> Batch:
    del length
    classes = draw_tokens(f"classes {n}", (rows,), seed, _CLASSES)
    return Batch(draw(f"images {n}", (rows, *_IMAGE), seed), classes, _ones((rows,)))


def set_up_work(work: Work) -> Setup:
    """The parts of a run of the work."""
    return set_up(work.config, build_task(work.config), work.spec, carries_state=False)


def train(params: dict[str, Any], seed: int) -> Program:
    """Steps of a run: loss, gradient, clipping, AdamW; see `work_of` for `params`.

    The outputs are the losses of the first two steps, so that the gradient and the optimizer are
    compared too. The same weights are made by name in every implementation.
    """
    work = work_of(params, seed)
    setup, length = set_up_work(work), params.get("length", 64)
    batches = jax.device_put([work.batch(n, length) for n in range(NUM_SETS)])
    drawn = {path: weight(path, x.shape, seed) for path, x in flat(setup.abstract.params).items()}
    state = setup.create_state(seed, jax.device_put(drawn))
    with mesh_context(setup.mesh):
        compiled, facts = compile_apart(setup.call, state, batches[0])
    held = [state]

    def step(n: int) -> Any:
        held[0], outputs = compiled(held[0], batches[n % NUM_SETS])
        return jax.block_until_ready(outputs)

    losses = [np.asarray(_mean(step(n)["log"]["loss"])) for n in range(2)]
    shape = batches[0].inputs.shape
    facts |= {
        "flops": needed_flops(work, setup, length),
        "bytes": 2 * num_bytes(jax.tree.leaves(setup.abstract.params)),
        "items": shape[0] * length if len(shape) == 2 else shape[0],
        "parameters": setup.count_params()[1],
    }
    return Program(step, lambda _: losses, facts)


def _mean(pair: tuple[Any, Any]) -> Any:
    return pair[0] / pair[1]


def forward_flops(setup: Setup, batch: Batch) -> int:
    """Operations of the products of the loss of a batch, arrays or their shapes."""

    def loss(params: Any, batch: Batch) -> Any:
        forward, key = setup.task.forward, jax.random.key(0)  # of dropout
        return forward(setup.model, params, batch, None, train=True, key=key)[0]

    return hardware_flops(loss, setup.abstract.params, batch)


def needed_flops(work: Work, setup: Setup, length: int) -> int:
    """Operations that the equations of a step need, see `flops.model_flops`."""

    def forward(length: int) -> int:
        return forward_flops(setup, work.batch(0, length))

    if work.batch(0, 8).inputs.ndim != 2:  # of fixed size
        return 3 * forward(length)
    return model_flops(forward, length, causal=setup.model.causal, has_gradient=True)


def compilation(params: dict[str, Any], seed: int) -> Program:
    """Tracing, lowering and compiling a training step, each timed apart; `params` as in `train`."""
    work = work_of(params, seed)
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), work.batch(0, params.get("length", 64))
    )
    facts: dict[str, Any] = {"items": 1}

    def run(_: int) -> Any:
        jax.clear_caches()
        setup = set_up_work(work)
        with mesh_context(setup.mesh):
            found = compile_apart(setup.call, setup.abstract, batch)[1]
        facts.update(found)
        return found

    return Program(run, lambda _: [], facts)
