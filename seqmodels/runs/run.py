"""A run, finished or not, opened from its work directory alone."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.pairs import PairData
from seqmodels.data.pipeline import Data, load_data, make_task, read_encoding
from seqmodels.data.tokenizers import ByteTokenizer, Tokenizer
from seqmodels.decoding.sampling import Sampling
from seqmodels.decoding.text_ends import Texts
from seqmodels.decoding.unroll import Decoder
from seqmodels.distributed.mesh import whole_sharding
from seqmodels.distributed.processes import is_main
from seqmodels.evaluation.baseline import baseline
from seqmodels.evaluation.evaluate import Evaluator, Progress
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.opening import parse_step, read_config
from seqmodels.runs.specs import spec_from_json
from seqmodels.runs.workdir import SPEC, claim_data, has_checkpoints, refuse_other_outputs
from seqmodels.types import DataSpec, Params

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Run:
    """A model with the parameters of one of its checkpoints.

    Attributes:
      workdir: its work directory.
      model, params, task: ready for `model.apply({"params": params}, tokens, train=False)`.
      encoding: what maps between data and numbers: a tokenizer, one a side, the names of classes;
        None where an imported model reads no text.
      config, spec: the config of the experiment and the spec of the data.
      step: step of the loaded checkpoint.
    """

    workdir: Path
    model: nn.Module
    params: Params
    encoding: Any
    task: Any
    config: ExperimentConfig
    spec: DataSpec
    step: int

    @property
    def unit(self) -> str:
        """Unit of a target, such as a token."""
        return self.task.unit if self.tokenizer is None else self.tokenizer.unit

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer of a run over text; None for other runs."""
        return self.encoding if self.config.data.kind == TextDataConfig.kind else None

    @functools.cached_property
    def decoder(self) -> Decoder:
        """The decoder, cached so that a second generation does not compile again."""
        return Decoder(self.model)


def load_run(workdir: str | Path, step: str | int = "best") -> Run:
    """Loads model, parameters, tokenizer and task of a run.

    If the run kept a moving average of the parameters, that is loaded.

    Args:
      workdir: the work directory.
      step: `best`, `latest` or a number. A damaged checkpoint is skipped with a warning for `best`
        and `latest`, and refused if it was requested by number.

    Raises:
      UserError: not a work directory, or it lacks a usable checkpoint or tokenizer.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    task = make_task(config)
    if (workdir / SPEC).is_file():
        has_one = (workdir / "tokenizer.json").is_file()
        encoding = read_encoding(config, workdir) if has_one else None
        spec = _read_spec(workdir / SPEC)
    else:
        encoding = read_encoding(config, workdir)
        spec = task.make_spec(encoding)
    model = build_model(config.model, spec, jnp.dtype(config.training.dtype.value))
    used, params = _load_params(workdir, config, model, parse_step(step))
    return Run(workdir, model, params, encoding, task, config, spec, used)


def _read_spec(path: Path) -> DataSpec:
    try:
        return spec_from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error!r}") from None


def open_data(workdir: Path, config: ExperimentConfig, *, others: bool = False) -> Data:
    """Opens the data of a run, with its own encoding.

    Args:
      config: the run's, or with another data section.
      others: whether data that differ from those of the run are allowed.

    Raises:
      UserError: the data have changed since the run began, or cannot be opened.
    """
    refuse_other_outputs(workdir)
    data = load_data(config, read_encoding(config, workdir))
    path = workdir / "data.json"
    if not others and path.is_file() and has_checkpoints(workdir):
        claim_data(workdir, data.description())
    return data


def open_checkpoints(workdir: Path, config: ExperimentConfig) -> Checkpoints:
    """Opens the checkpoints of a run for reading."""
    training = config.training
    return Checkpoints(
        workdir / "checkpoints", training.keep_checkpoints, training.best_metric, writable=False
    )


def abstract_params(model: nn.Module) -> Params:
    """Shapes and dtypes of a trained model's parameters, without computing them."""
    return nn.meta.unbox(jax.eval_shape(functools.partial(init_params, model), jax.random.key(0)))


def _load_params(
    workdir: Path, config: ExperimentConfig, model: nn.Module, step: str | int
) -> tuple[int, Params]:
    with open_checkpoints(workdir, config) as checkpoints:
        if config.model.fitted:
            used, abstract = checkpoints.abstract_params(step)
            return checkpoints.restore_params(abstract, used)
        where = whole_sharding()
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
            abstract_params(model),
        )
        keeps_average = config.training.ema_decay is not None
        return checkpoints.restore_params(abstract, step, ema=keeps_average)


def evaluate_run(
    run: Run, data: Data, split: str, progress: Progress | None = None
) -> dict[str, Any]:
    """Evaluates a run and its baseline on a split.

    Args:
      data: opened with the run's encoding.

    Returns:
      step, split, what `Evaluator` returns, and, in process 0, baseline and, over pairs, what
      `evaluate_translations` returns; for `write_result`.
    """
    if run.encoding is None or data.encoding.to_json() != run.encoding.to_json():
        raise ValueError("the data must be opened with the run's encoding")
    config = run.config
    evaluator = Evaluator(run.model, data, config.evaluation, run.task, config.training.seed)
    result = evaluator(run.params, split, progress)
    if is_main():
        result["baseline"] = baseline(data, split, config)
        if isinstance(data, PairData):
            from seqmodels.evaluation.translate import evaluate_translations

            # Only in the main process, with its own copy of the parameters.
            own = jax.tree.map(lambda x: x.addressable_data(0), run.params)
            result |= evaluate_translations(dataclasses.replace(run, params=own), data, split)
    return {"step": run.step, "split": split, **result}


@dataclasses.dataclass(frozen=True)
class GeneratedText:
    """Texts that a run generated.

    Attributes:
      prompts, continuations: prompt and continuation of each text, in the order of the request: all
        samples of the first prompt, then of the next.
      tokens: the new tokens [num_texts, max_tokens]; -1 after the end of a text.
      tokens_per_second: throughput over all texts, without prompts and compilation.
    """

    prompts: list[str]
    continuations: list[str]
    tokens: np.ndarray
    tokens_per_second: float

    @property
    def texts(self) -> list[str]:
        return [p + c for p, c in zip(self.prompts, self.continuations, strict=True)]


def generate_text(
    run: Run,
    prompts: list[str],
    *,
    num_samples: int = 1,
    max_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    end: str = "",
    min_tokens: int = 0,
    seed: int = 0,
    strict_length: bool = False,
    on_text: Callable[[int, str], None] | None = None,
    on_notice: Callable[[str], None] = _log.warning,
) -> GeneratedText:
    """Samples num_samples continuations of each prompt.

    A text continues the tokenizer's start tokens (`Tokenizer.start`) and the prompt. If both are
    empty it continues a line break if the tokenizer has one, otherwise token 0; neither is part of
    the text.

    Args:
      prompts: one or more; lengths may differ.
      max_tokens: maximum number of new tokens of each text.
      temperature, top_k, top_p: see `Sampling`.
      end: a text ends once it contains this, which is part of it; empty to end at max_tokens.
      min_tokens: least new tokens, with `end`; see `Texts`.
      strict_length: whether to refuse texts that are longer than the model's positions.
      on_text: called with the number of a text and its next piece, in whole characters.
      on_notice: called once, with one line, if a text outgrows the model's positions.

    Raises:
      UserError: the tokenizer does not know a symbol (named), or a setting is out of range.
    """
    if num_samples < 1:
        raise UserError(f"--num_samples={num_samples}: must be at least 1")
    tokenizer = writing_tokenizer(run)
    check_end(tokenizer, end, min_tokens, max_tokens)
    prompts = [p for p in prompts for _ in range(num_samples)]
    encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    texts = Texts(tokenizer, prompts, encoded, end=end, min_tokens=min_tokens, on_text=on_text)
    generation = run.decoder.generate(
        run.params,
        encoded,
        max_tokens=max_tokens,
        sampling=Sampling(temperature, top_k, top_p),
        ending=texts,
        seed=seed,
        on_notice=on_notice,
        strict_length=strict_length,
    )
    texts.finish()
    made = texts.continuations
    return GeneratedText(prompts, made, generation.tokens, generation.tokens_per_second)


def check_end(tokenizer: Tokenizer, end: str, min_tokens: int, max_tokens: int) -> None:
    """Refuses an end that no text can have, and an impossible minimum length.

    Raises:
      UserError: see above.
    """
    # Reports symbols that the tokenizer, or UTF-8, cannot represent.
    (tokenizer if tokenizer.lossless else ByteTokenizer()).encode(end)
    if min_tokens < 0:
        raise UserError(f"--min_tokens={min_tokens}: must be at least 0")
    if min_tokens and not end:
        raise UserError(f"--min_tokens={min_tokens}: needs --end=TEXT")
    if min_tokens > max_tokens:
        raise UserError(f"--min_tokens={min_tokens}: must be at most --max_tokens, {max_tokens}")


def writing_tokenizer(run: Run) -> Tokenizer:
    """The tokenizer of a run that can continue a text.

    Raises:
      UserError: the run cannot.
    """
    tokenizer = run.tokenizer
    if tokenizer is None or not run.model.causal or run.spec != run.task.make_spec(tokenizer):
        raise UserError(
            f"--workdir={run.workdir}: model.kind={run.config.model.kind} cannot generate text"
        )
    return tokenizer


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> np.ndarray:
    """Tokens of a prompt, at least one."""
    tokens = np.concatenate([tokenizer.start, tokenizer.encode(prompt)])
    if not len(tokens):
        with contextlib.suppress(UserError):
            tokens = tokenizer.encode("\n")
    return tokens if len(tokens) else np.zeros(1, np.int32)
