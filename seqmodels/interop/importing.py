"""Conversion of weights that were trained elsewhere into a work directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.features import TokenizerKind
from seqmodels.data.features.image import Image
from seqmodels.data.features.label import Label
from seqmodels.data.features.saved import FEATURES_FILE, save_features
from seqmodels.data.features.tokens import Tokens
from seqmodels.data.pipeline import load_data
from seqmodels.data.text import as_features
from seqmodels.data.tokenizers import TOKENIZER_FILE, ByteTokenizer
from seqmodels.interop.directories import new_directory
from seqmodels.interop.plan import Plan
from seqmodels.interop.tables import Matched, flatten, nest
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.protocols import Model
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.run import abstract_params
from seqmodels.runs.specs import spec_from_json, spec_to_json
from seqmodels.runs.workdir import IMPORTED, SPEC, claim, write_json
from seqmodels.tasks.build import build_task
from seqmodels.types import ImageInput, Params, Tokenizer


def import_run(plan: Plan, workdir: Path) -> dict[str, Any]:
    """Writes the work directory, completely or not at all.

    Returns:
      A dict with architecture, source, model (its kind), num_parameters, notes; fresh: parameters
      that the file does not hold and that were initialised; unused: tensors that were not used.

    Raises:
      UserError: the tokenizer or the overrides do not fit the model, a tensor cannot be read, or
        the directory exists already or cannot be written.
    """
    tokenizer = open_run_tokenizer(plan)
    spec = spec_from_json(plan.conversion.spec)
    model = build_model(plan.config.model, spec, jnp.dtype(plan.config.training.dtype.value))
    matched = plan.match()
    params, fresh = read_params(plan, matched, model)
    description = {
        "architecture": plan.conversion.architecture,
        "source": str(plan.source.absolute()),
        "model": plan.config.model.kind,
        "num_parameters": sum(x.size for x in jax.tree.leaves(params)),
        "fresh": fresh,
        "unused": list(matched.unused),
        "notes": list(plan.conversion.notes),
    }
    with new_directory(workdir, "--workdir") as partial:
        claim(partial, plan.config)
        if plan.conversion.labels:
            save_features(_features(plan, tokenizer), partial / FEATURES_FILE)
        elif tokenizer is not None:
            tokenizer.save(partial / TOKENIZER_FILE)
        if not plan.has_task:
            write_json(partial / SPEC, spec_to_json(spec))
        write_json(partial / IMPORTED, description)
        training = plan.config.training
        with Checkpoints(partial / "checkpoints", writable=True) as checkpoints:
            checkpoints.save_params(0, params, ema=training.ema_decay is not None)
    return description


def _features(plan: Plan, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """The features of a model that classifies images or, with a tokenizer, texts."""
    configs: dict[str, Any] = vars(plan.config.data)
    inputs, targets = configs["inputs"], Label(configs["targets"], plan.conversion.labels)
    if tokenizer is not None:
        return {"inputs": Tokens(inputs, tokenizer, starts=True), "targets": targets}
    image = spec_from_json(plan.conversion.spec).inputs
    assert isinstance(image, ImageInput)
    return {"inputs": Image(inputs, image), "targets": targets}


def open_run_tokenizer(plan: Plan) -> Tokenizer | None:
    """The tokenizer that the config names; None if the model needs none.

    Raises:
      UserError: its vocabulary differs from the model's.
    """
    config, size = plan.config, plan.conversion.vocab_size
    section, data = plan.tokenizer or ("", None)
    if data is None:
        return None
    task = build_task(config)
    if data.tokenizer is TokenizerKind.HUGGINGFACE:
        if data.tokenizer_path is None or size is None:
            return None
        from seqmodels.data.huggingface import open_tokenizer

        path = Path(data.tokenizer_path).expanduser()
        tokenizer = open_tokenizer(path, data.vocab_size, section)
    elif not plan.has_task:
        return None
    elif data.tokenizer is TokenizerKind.BYTE:
        tokenizer = ByteTokenizer()
    else:
        tokenizer = load_data(config, task).features["inputs"].tokenizer
        assert tokenizer is not None
    features = _features(plan, tokenizer) if plan.conversion.labels else as_features(tokenizer)
    if plan.has_task and task.make_spec(features) != spec_from_json(plan.conversion.spec):
        raise UserError(
            f"{section}.tokenizer={data.tokenizer}: it has {tokenizer.vocab_size} tokens, "
            f"the model of {plan.source} has {size}"
        )
    return tokenizer


def read_params(plan: Plan, matched: Matched, model: Model) -> tuple[Params, list[str]]:
    """Reads the parameters of the model.

    Returns:
      The tree of parameters, and the paths of those that were initialised because the file lacks
      them.

    Raises:
      UserError: an override of the model does not fit the file.
    """
    shapes = {path: x.shape for path, x in flatten(abstract_params(model)).items()}
    flat: dict[str, np.ndarray] = {}
    for rule in matched.rules:
        parameter = rule.read(plan.tensors)
        if shapes.get(rule.path) != parameter.shape:
            wanted = shapes.get(rule.path, "does not have it")
            raise UserError(
                f"config.model does not fit {plan.source}: {rule.path}: the file has shape "
                f"{parameter.shape}, the model {wanted}"
            )
        flat[rule.path] = parameter
    fresh = sorted(path for path in shapes if path not in flat)
    if fresh:
        flat |= _initialise(model, fresh, plan.config.training.seed)
    return nest({path: flat[path] for path in shapes}), fresh


def _initialise(model: Model, paths: list[str], seed: int) -> dict[str, np.ndarray]:
    @jax.jit
    def some(key: jax.Array) -> dict[str, jax.Array]:
        # jit does not compute what is not returned, so the rest of a large model takes no memory.
        made = flatten(nn.meta.unbox(init_params(model, key)))
        return {path: made[path] for path in paths}

    return jax.device_get(some(jax.random.key(seed)))
