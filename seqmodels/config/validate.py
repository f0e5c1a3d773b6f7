"""The one validation over a whole config, after all overrides and before jax is imported.

Each check is a generator that yields one line for each thing wrong: the field, its value, and what
is allowed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from seqmodels import registry
from seqmodels.config.data import (
    Batching,
    DataConfig,
    PairsDataConfig,
    TextDataConfig,
    TokenizerKind,
)
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.fields import Range, range_of
from seqmodels.config.finetuning import parse_source, part_problems
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.serialization import (
    describe_type,
    leaves,
    optional_of,
    show_value,
)
from seqmodels.config.tasks import TaskConfig
from seqmodels.config.training import EvaluationContext, OptimizerConfig, Schedule

Problems = Iterator[str]

BEST_METRICS = ("loss", "perplexity", "bits_per_byte")
"""Metrics of a validation split of which lower is better."""

# Of the data sections, whose fields do not declare their ranges yet.
_RANGES = {
    "fold": Range(least=0),
    "validation_fraction": Range(least=0, below=1),
    "test_fraction": Range(least=0, below=1),
}


def validate(config: ExperimentConfig) -> None:
    """Checks a config.

    Raises:
      UserError: one line with everything that is wrong; wrong types and single numbers first,
        since what relates several fields presumes them.
    """
    for stage in _STAGES:
        problems = [line for check in stage for line in check(config)]
        if problems:
            raise UserError("; and ".join(problems))


def problem(name: str, value: Any, allowed: str) -> str:
    """The line for one field."""
    return f"--config.{name}={show_value(value)}: {allowed}"


def _types(config: ExperimentConfig) -> Problems:
    """Config files build dataclasses freely, so a wrong type may come from there too."""
    for base, section, value in (
        (ModelConfig, "model", config.model),
        (DataConfig, "data", config.data),
        (TaskConfig, "task", config.task),
    ):
        if not isinstance(value, base):
            yield f"config: {section} must be a {base.__name__}, not {value!r}"
            return
    for name, kind, value in leaves(config):
        inner = optional_of(kind)
        if inner is not None and value is None:
            continue
        expected = inner or kind
        if type(value) is not expected and not (expected is float and type(value) is int):
            yield problem(name, value, f"must be {describe_type(kind)}")


def _values(config: ExperimentConfig) -> dict[str, Any]:
    """Field, with its section -> value."""
    return {name: value for name, _, value in leaves(config)}


def _numbers(config: ExperimentConfig) -> Problems:
    for name, kind, value in leaves(config):
        number = optional_of(kind) or kind
        if value is None or number not in (int, float):
            continue
        path, _, field = name.rpartition(".")
        section = operator.attrgetter(path)(config)
        allowed = _RANGES.get(field) or range_of(section, field, number)
        if value not in allowed:
            none = ", or none" if number is not kind else ""
            yield problem(name, value, f"must be {allowed}{none}")


def _registered(config: ExperimentConfig) -> Problems:
    for section, kind, known in (
        ("model", config.model.kind, registry.MODELS),
        ("task", config.task.kind, registry.TASKS),
    ):
        if kind not in known:
            yield f"config: {section}.kind={kind!r} is not known{suggest(kind, known)}"
    data = config.data
    kinds = {n: registry.resolve(entry.config).kind for n, entry in registry.DATASETS.items()}
    name = data.name.partition(":")[0]
    if name not in kinds:
        known = [f"{n}:NAME" if n in _CATALOGS else n for n, k in kinds.items() if k == data.kind]
        yield problem("data.name", data.name, f"is not known{suggest(name, known)}")
    elif kinds[name] != data.kind:
        yield problem("data.name", data.name, f"is of kind {kinds[name]}, not {data.kind}")


_CATALOGS = ("tfds", "tfds_images", "tfds_labelled", "tfds_pairs")


def _together(config: ExperimentConfig) -> Problems:
    values = _values(config)
    for section in ("model", "data", "task"):
        for field, allowed in vars(config)[section].problems():
            yield problem(f"{section}.{field}", values[f"{section}.{field}"], allowed)


def _lengths(config: ExperimentConfig) -> Problems:
    if config.model.unbounded:
        return
    longest = _values(config)["model.max_length"]
    lengths, data = {}, config.data
    if isinstance(data, TextDataConfig):
        lengths["evaluation.sequence_length"] = config.evaluation.sequence_length
        lengths["data.sequence_length"] = data.sequence_length
    elif isinstance(data, PairsDataConfig):
        lengths["data.max_source_length"] = data.max_source_length
        lengths["data.max_target_length"] = data.max_target_length
    elif isinstance(data, LabelledTextDataConfig):
        lengths["data.max_length"] = data.max_length
    for name, length in lengths.items():
        if length > longest:
            yield problem(name, length, f"must be at most model.max_length, {longest}")


def _carries(config: ExperimentConfig) -> Problems:
    model, context = config.model, config.evaluation.context
    if not isinstance(config.data, TextDataConfig):
        if context is not EvaluationContext.WINDOW:
            allowed = f"is only for data of kind text, not {config.data.kind}; use window"
            yield problem("evaluation.context", context, allowed)
        return
    if model.unbounded and model.causal:
        return
    why = f"needs a carry that runs on for ever; the cache of a {model.kind} is bounded"
    others = "window or sliding"
    if not model.causal:
        why, others = f"needs a carry; a {model.kind} looks both ways and has none", "window"
    if context is EvaluationContext.CARRY:
        yield problem("evaluation.context", "carry", f"{why}; use {others}")
    if context is EvaluationContext.SLIDING and not model.causal:
        # Half of a window would have no hidden token: not the task that was trained.
        yield problem(
            "evaluation.context", "sliding", f"a {model.kind} looks both ways; use window"
        )
    if config.data.batching is Batching.STREAMS:
        yield problem("data.batching", "streams", f"{why}; use crops, windows or packed")


def _text(config: ExperimentConfig) -> Problems:
    data = config.data
    if not isinstance(data, TextDataConfig):
        return
    if data.name == "tfds" or data.name == "tfds:":
        yield problem("data.name", data.name, "must name a data set: tfds:NAME")


def _text_file(config: ExperimentConfig) -> Problems:
    data = config.data
    if not isinstance(data, TextDataConfig):
        return
    whole = data.path is not None
    paths = {f"data.{name}": path for name, path in data.paths().items()}
    parts = {name: path for name, path in paths.items() if name != "data.path"}
    given = [name for name, path in parts.items() if path is not None]
    if data.name not in ("text_file", "abc_file"):
        return
    for name, path in paths.items():
        if path == "":
            yield problem(name, "''", "must be a file or a glob, or none")
    if whole and given:
        yield problem(given[0], parts[given[0]], "and data.path: give one of the two")
    elif not whole and data.train_path is None:
        yield problem(
            "data.path",
            None,
            f"data.name={data.name} needs a file or a glob here, or in data.train_path and "
            "data.validation_path",
        )
    elif not whole and data.validation_path is None:
        allowed = "must be a file or a glob beside data.train_path"
        yield problem("data.validation_path", None, allowed)
    elif whole and data.validation_fraction == 0:
        yield problem("data.validation_fraction", 0.0, "must be above 0 with data.path")


def _optimizer(config: ExperimentConfig) -> Problems:
    optimizer: OptimizerConfig = config.optimizer
    if optimizer.warmup_steps > config.training.num_steps:
        yield problem(
            "optimizer.warmup_steps",
            optimizer.warmup_steps,
            f"must be at most training.num_steps, {config.training.num_steps}",
        )
    decays = optimizer.schedule in (Schedule.COSINE, Schedule.LINEAR)
    if decays and optimizer.final_lr > optimizer.peak_lr:
        yield problem(
            "optimizer.final_lr",
            optimizer.final_lr,
            f"must be at most optimizer.peak_lr, {optimizer.peak_lr}",
        )


def _finetuning(config: ExperimentConfig) -> Problems:
    values = _values(config)
    for field, allowed in part_problems(config.optimizer.frozen, config.optimizer.lr_scales):
        yield problem(f"optimizer.{field}", values[f"optimizer.{field}"], allowed)
    init_from = config.training.init_from
    if init_from is not None:
        try:
            parse_source(init_from)
        except UserError as error:
            yield problem("training.init_from", init_from, str(error))
    if config.model.fitted:
        for name in ("optimizer.frozen", "optimizer.lr_scales", "training.init_from"):
            if values[name] is not None:
                yield problem(name, values[name], f"a {config.model.kind} is fitted, not trained")


def _steps(config: ExperimentConfig) -> Problems:
    training, data = config.training, config.data
    per_call, why = training.steps_per_call, None
    if isinstance(data, TextDataConfig) and data.batching is Batching.BUCKETS:
        why = "data.batching=buckets"
    if isinstance(data, PairsDataConfig | LabelledTextDataConfig) and data.max_shapes > 1:
        why = f"data.max_shapes={data.max_shapes}"
    if per_call > 1 and why:
        allowed = f"must be 1 with {why}, whose batches differ in shape"
        yield problem("training.steps_per_call", per_call, allowed)
    multiples = {
        "num_steps": training.num_steps,
        "log_every": training.log_every,
        "evaluate_every": training.evaluate_every,
        "checkpoint_every": training.checkpoint_every,
    }
    for name, value in multiples.items():
        if value % per_call:
            lower, upper = value // per_call * per_call, -(-value // per_call) * per_call
            yield problem(
                f"training.{name}",
                value,
                f"must be a multiple of training.steps_per_call, {per_call}; near are "
                + (f"{lower} and {upper}" if lower else f"{upper}"),
            )


def _batch(config: ExperimentConfig) -> Problems:
    training, size = config.training, config.data.batch_size
    product = (training.mesh_data or 1) * training.mesh_fsdp * training.accumulation_steps
    if size % product:
        yield problem(
            "data.batch_size",
            size,
            "must be a multiple of training.mesh_data x mesh_fsdp x accumulation_steps, "
            f"{training.mesh_data or 1} x {training.mesh_fsdp} x {training.accumulation_steps}"
            f" = {product}",
        )


def _best_metric(config: ExperimentConfig) -> Problems:
    name, task, data = config.training.best_metric, config.task, config.data
    if name not in BEST_METRICS:
        yield problem("training.best_metric", name, f"is not known{suggest(name, BEST_METRICS)}")
        return
    loses = isinstance(data, TextDataConfig) and (
        (data.tokenizer is TokenizerKind.CHARACTER and data.unknown_symbols)
        or data.tokenizer in (TokenizerKind.WORD, TokenizerKind.HUGGINGFACE, TokenizerKind.RUN)
    )
    if name not in task.best_metrics:
        yield problem("training.best_metric", name, f"task.kind={task.kind} has none")
    elif name == "bits_per_byte" and loses:
        yield problem(
            "training.best_metric",
            name,
            "needs a tokenizer that loses nothing: data.tokenizer=byte or bpe, or character with "
            "data.unknown_symbols=false",
        )


def _coverage(config: ExperimentConfig) -> Problems:
    penalty, model = config.evaluation.coverage_penalty, config.model
    if penalty and not model.aligns:
        allowed = f"must be 0: this {model.kind} gives no weights of attention to the source"
        yield problem("evaluation.coverage_penalty", penalty, allowed)


def _task(config: ExperimentConfig) -> Problems:
    task, data, model = config.task, config.data, config.model
    for section, config_of in (("task", task), ("model", model)):
        if data.kind not in config_of.reads:
            kinds = " or ".join(config_of.reads)
            yield (
                f"config: {section}.kind={config_of.kind} needs data of kind {kinds}, not "
                f"{data.kind}"
            )
            return
    tied = {"model.tie_embeddings": True}.items() <= _values(config).items()
    if data.kind == LabelledTextDataConfig.kind and tied:
        yield problem("model.tie_embeddings", True, "must be false: the outputs are classes")
    if task.causal and not model.causal:
        yield f"config: task.kind={task.kind} needs a causal model, not {model.kind}"
    elif model.causal and task.causal is False:
        yield f"config: task.kind={task.kind} needs a model that looks both ways, not {model.kind}"


_STAGES: tuple[tuple[Callable[[ExperimentConfig], Problems], ...], ...] = (
    (_types,),
    (_numbers, _registered, _task),
    (
        _together,
        _lengths,
        _carries,
        _text,
        _text_file,
        _optimizer,
        _finetuning,
        _steps,
        _batch,
        _best_metric,
        _coverage,
    ),
)
