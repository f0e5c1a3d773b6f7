"""A run, finished or not, opened from its work directory alone."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.pipeline import load_data, read_features
from seqmodels.data.tokenizers import TOKENIZER_FILE
from seqmodels.decoding.decoder import Decoder
from seqmodels.distributed.mesh import shardings_of, unboxed, whole_sharding
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.protocols import Data, Features, Model, Task
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.opening import parse_step, read_config
from seqmodels.runs.specs import spec_from_json
from seqmodels.runs.workdir import SPEC, claim_data, has_checkpoints, refuse_other_outputs
from seqmodels.tasks.build import build_task
from seqmodels.types import DataSpec, Params, Tokenizer


@dataclasses.dataclass(frozen=True)
class Run:
    """A model with the parameters of one of its checkpoints.

    Attributes:
      workdir: where it came from.
      model, params, task: `model.apply({"params": params}, tokens, train=False)` works as it is.
      features: by role, what maps between raw values and arrays; None where
        no task here feeds an imported model.
      config, spec: of the experiment, of the data.
      step: of the checkpoint that was used.
    """

    workdir: Path
    model: Model
    params: Params
    features: Features | None
    task: Task
    config: ExperimentConfig
    spec: DataSpec
    step: int

    @property
    def unit(self) -> str:
        """The unit of the targets, in one word."""
        return self.task.rate_unit if self.features is None else self.task.unit(self.features)

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer of the inputs; None where they are not text."""
        inputs = None if self.features is None else self.features.get("inputs")
        return None if inputs is None else inputs.tokenizer

    @functools.cached_property
    def decoder(self) -> Decoder:
        """The decoder, cached so that a second generation does not compile again."""
        return Decoder(self.model)


def load_run(workdir: str | Path, step: str | int = "best", mesh: Mesh | None = None) -> Run:
    """Loads model, parameters, tokenizer and task of a run.

    If the run kept a moving average of the parameters, that is loaded.

    Args:
      workdir: the work directory.
      step: `best`, `latest` or a number. A damaged checkpoint is skipped with a warning for `best`
        and `latest`, and refused if it was requested by number.
      mesh: over which the parameters are spread as in training; None = whole, on one device or,
        if there are several processes, on each.

    Raises:
      UserError: not a work directory, or it lacks a usable checkpoint or tokenizer.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    task, features = build_task(config), None
    if (workdir / SPEC).is_file():
        if (workdir / TOKENIZER_FILE).is_file():
            features = read_features(config, workdir)
        spec = _read_spec(workdir / SPEC)
    else:
        features = read_features(config, workdir)
        spec = task.make_spec(features)
    model = build_model(config.model, spec, jnp.dtype(config.training.dtype.value))
    used, params = _load_params(workdir, config, model, parse_step(step), mesh)
    return Run(workdir, model, params, features, task, config, spec, used)


def _read_spec(path: Path) -> DataSpec:
    try:
        return spec_from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error!r}") from None


def open_data(workdir: Path, config: ExperimentConfig, task: Task, *, others: bool = False) -> Data:
    """Opens the data of a run, with its own features.

    Args:
      config: the run's, or with another data section.
      task: the run's.
      others: data that differ from those of the run are meant, and not refused.

    Raises:
      UserError: the data have changed since the run began, or cannot be opened.
    """
    refuse_other_outputs(workdir)
    data = load_data(config, task, read_features(config, workdir))
    path = workdir / "data.json"
    if not others and path.is_file() and has_checkpoints(workdir):
        claim_data(workdir, data.description())
    return data


def open_checkpoints(workdir: Path, config: ExperimentConfig) -> Checkpoints:
    """Opens the checkpoints of a run for reading."""
    training = config.training
    return Checkpoints(
        workdir / "checkpoints",
        training.keep_checkpoints,
        config.task.metric(training.best_metric),
        writable=False,
    )


def abstract_params(model: Model) -> Params:
    """Shapes and dtypes of a trained model's parameters; nothing is computed."""
    return nn.meta.unbox(jax.eval_shape(functools.partial(init_params, model), jax.random.key(0)))


def _load_params(
    workdir: Path, config: ExperimentConfig, model: Model, step: str | int, mesh: Mesh | None
) -> tuple[int, Params]:
    with open_checkpoints(workdir, config) as checkpoints:
        if config.model.fitted:
            used, abstract = checkpoints.abstract_params(step)
            return checkpoints.restore_params(abstract, used)
        boxed = jax.eval_shape(functools.partial(init_params, model), jax.random.key(0))
        shapes = unboxed(boxed)
        where = (
            jax.tree.map(lambda _: whole_sharding(), shapes)
            if mesh is None
            else shardings_of(boxed, mesh)
        )
        abstract = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, where
        )
        keeps_average = config.training.ema_decay is not None
        return checkpoints.restore_params(abstract, step, ema=keeps_average)
