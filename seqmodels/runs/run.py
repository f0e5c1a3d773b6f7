"""A finished (or unfinished) run, opened from nothing but its work directory."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.pairs import PairData
from seqmodels.data.pipeline import Data, load_data, make_task, read_encoding
from seqmodels.decoding.decoder import Decoder
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
from seqmodels.types import DataSpec, Params, Tokenizer


@dataclasses.dataclass(frozen=True)
class Run:
    """A model with the parameters of one of its checkpoints.

    Attributes:
      workdir: where it came from.
      model, params, task: `model.apply({"params": params}, tokens, train=False)` works as it is.
      encoding: what maps between data and numbers: a tokenizer, one a side, the names of classes;
        None where an imported model reads no text.
      config, spec: of the experiment, of the data.
      step: of the checkpoint that was used.
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
        """What a target stands for."""
        return self.task.unit if self.tokenizer is None else self.tokenizer.unit

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer of a run over text; None of others."""
        return self.encoding if self.config.data.kind == TextDataConfig.kind else None

    @functools.cached_property
    def decoder(self) -> Decoder:
        """Kept, so that a second generation compiles nothing."""
        return Decoder(self.model)


def load_run(workdir: str | Path, step: str | int = "best") -> Run:
    """Loads model, parameters, tokenizer and task of a run.

    Where the run kept a moving average of the parameters, that is what is loaded.

    Args:
      workdir: the work directory.
      step: `best`, `latest` or a number. A damaged checkpoint is passed over, loudly, for `best`
        and `latest`, and refused where it is asked for by number.

    Raises:
      UserError: not a work directory, no (usable) checkpoint, no tokenizer.
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
      others: data that differ from those of the run are meant, and not refused.

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
    """The checkpoints of a run, to read."""
    training = config.training
    return Checkpoints(
        workdir / "checkpoints", training.keep_checkpoints, training.best_metric, writable=False
    )


def abstract_params(model: nn.Module) -> Params:
    """Shapes and dtypes of a trained model's parameters; nothing is computed."""
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
    """Evaluates a run on a split, beside its baseline.

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

            # The main process by itself, with its own copy of the parameters.
            own = jax.tree.map(lambda x: x.addressable_data(0), run.params)
            result |= evaluate_translations(dataclasses.replace(run, params=own), data, split)
    return {"step": run.step, "split": split, **result}
