"""The one validation over a whole config, after all overrides and before jax is imported.

Each check is a generator that yields one line for each thing wrong: the field, its value, and what
is allowed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from seqmodels import registry
from seqmodels.config.errors import UserError, an, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.fields import range_of
from seqmodels.config.finetuning import parse_source, part_problems
from seqmodels.config.serialization import (
    describe_type,
    field_types,
    leaves,
    optional_of,
    show_value,
)
from seqmodels.config.training import EvaluationContext, OptimizerConfig, Schedule

Problems = Iterator[str]


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
    for section, base in field_types(ExperimentConfig).items():
        value = vars(config)[section]
        if not isinstance(value, base):
            yield f"config: {section} must be {an(base.__name__)}, not {value!r}"
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
        allowed = range_of(section, field, number)
        if value not in allowed:
            none = ", or none" if number is not kind else ""
            yield problem(name, value, f"must be {allowed}{none}")


def _registered(config: ExperimentConfig) -> Problems:
    for section, kind, known in (
        ("model", config.model.kind, registry.MODELS),
        ("task", config.task.kind, registry.TASKS),
        ("data", config.data.kind, registry.DATA),
    ):
        if kind not in known:
            yield f"config: {section}.kind={kind!r} is not known{suggest(kind, known)}"
    data = config.data
    if data.dataset not in registry.DATASETS:
        entries = registry.DATASETS.items()
        known = [f"{n}:NAME" if e.argument == "NAME" else n for n, e in entries]
        yield problem("data.name", data.name, f"is not known{suggest(data.dataset, known)}")


def _roles(config: ExperimentConfig) -> Problems:
    """The data have the features that the task needs, and the model reads them."""
    task, model, data = config.task, config.model, config.data
    found = data.roles()
    right = set(found) == set(task.roles) and all(
        found[role] in kinds for role, kinds in task.roles.items()
    )
    if not right:
        needed = [f"{role} of {' or '.join(kinds)}" for role, kinds in task.roles.items()]
        has = [f"{role} of {kind}" for role, kind in found.items()] or ["none"]
        yield (
            f"config: task.kind={task.kind} needs {' and '.join(needed)}; the data have "
            f"{' and '.join(has)}"
        )
        return
    if ("source" in found) != bool(model.source):
        needs = "needs a model with an encoder" if "source" in found else "has no source"
        yield f"config: task.kind={task.kind} {needs}, and model.kind={model.kind} " + (
            "reads a source" if model.source else "has none"
        )
        return
    read = "inputs" if "inputs" in found else "targets"
    if (word := data.word(read)) not in model.inputs:
        yield f"config: model.kind={model.kind} reads {' or '.join(model.inputs)}, not {word}"
    if task.outputs not in model.outputs:
        yield (
            f"config: model.kind={model.kind} gives {' or '.join(model.outputs)}, and "
            f"task.kind={task.kind} needs {task.outputs}"
        )
    if model.source and (word := data.word("source")) not in model.source:
        known = " or ".join(model.source)
        yield f"config: model.kind={model.kind} reads a source of {known}, not {word}"
    if task.outputs != "vocab" and _values(config).get("model.tie_embeddings") is True:
        allowed = f"must be false: the outputs are {task.outputs}"
        yield problem("model.tie_embeddings", True, allowed)
    if task.causal and not model.causal:
        yield f"config: task.kind={task.kind} needs a causal model, not {model.kind}"
    elif model.causal and task.causal is False:
        yield f"config: task.kind={task.kind} needs a model that looks both ways, not {model.kind}"


def _together(config: ExperimentConfig) -> Problems:
    values = _values(config)
    for section in ("model", "data", "task"):
        for field, allowed in vars(config)[section].problems():
            yield problem(f"{section}.{field}", values[f"{section}.{field}"], allowed)
    for field, allowed in config.task.conflicts(config):
        yield problem(field, values[field], allowed)


def _lengths(config: ExperimentConfig) -> Problems:
    if config.model.unbounded:
        return
    values = _values(config)
    longest = values["model.max_length"]
    lengths = {f"data.{field}": length for field, length in config.data.lengths().items()}
    if config.data.streams():
        lengths["evaluation.sequence_length"] = config.evaluation.sequence_length
    for name, length in lengths.items():
        if length > longest:
            yield problem(name, length, f"must be at most model.max_length, {longest}")


def _carries(config: ExperimentConfig) -> Problems:
    model, context = config.model, config.evaluation.context
    if not config.data.streams():
        if context is not EvaluationContext.WINDOW:
            allowed = "is only for a stream of text, not for whole examples; use window"
            yield problem("evaluation.context", context, allowed)
        return
    if model.unbounded and model.causal:
        return
    why = f"needs a carry of constant size; the cache of {an(model.kind)} is bounded"
    others = "window or sliding"
    if not model.causal:
        why, others = f"needs a carry; {an(model.kind)} looks both ways and has none", "window"
    if context is EvaluationContext.CARRY:
        yield problem("evaluation.context", "carry", f"{why}; use {others}")
    if context is EvaluationContext.SLIDING and not model.causal:
        # Half of a window would have no hidden token: not the task that was trained.
        allowed = f"{an(model.kind)} looks both ways; use window"
        yield problem("evaluation.context", "sliding", allowed)
    if config.data.carries_state:
        yield problem("data.batching", "streams", f"{why}; use crops, windows or packed")


def _optimizer(config: ExperimentConfig) -> Problems:
    optimizer: OptimizerConfig = config.optimizer
    if optimizer.warmup_steps > config.training.num_steps:
        yield problem(
            "optimizer.warmup_steps",
            optimizer.warmup_steps,
            f"must be at most training.num_steps, {config.training.num_steps}",
        )
    if optimizer.schedule is Schedule.WSD:
        longest = config.training.num_steps - optimizer.warmup_steps
        if optimizer.decay_steps > longest:
            allowed = f"must be at most training.num_steps - optimizer.warmup_steps, {longest}"
            yield problem("optimizer.decay_steps", optimizer.decay_steps, allowed)
    decays = optimizer.schedule in (Schedule.COSINE, Schedule.LINEAR, Schedule.WSD)
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
                yield problem(name, values[name], f"{an(config.model.kind)} is fitted, not trained")


def _steps(config: ExperimentConfig) -> Problems:
    training = config.training
    per_call, why = training.steps_per_call, config.data.varying_shapes()
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
    name, names = config.training.best_metric, [m.name for m in config.task.metrics if m.always]
    if name not in names:
        allowed = f"is not a metric of task.kind={config.task.kind}{suggest(name, names)}"
        yield problem("training.best_metric", name, allowed)


_STAGES: tuple[tuple[Callable[[ExperimentConfig], Problems], ...], ...] = (
    (_types,),
    (_numbers, _registered),
    (_roles,),
    (
        _together,
        _lengths,
        _carries,
        _optimizer,
        _finetuning,
        _steps,
        _batch,
        _best_metric,
    ),
)
