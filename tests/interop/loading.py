"""Helpers that write folders and state dicts, import them, and convert gradients."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.overrides import apply_overrides
from seqmodels.interop.files import Tensors, write_safetensors
from seqmodels.interop.importing import read_params
from seqmodels.interop.plan import Plan, plan_import
from seqmodels.models.build import build_model
from seqmodels.runs.specs import spec_from_json


@dataclasses.dataclass
class Loaded:
    """An imported model.

    Attributes:
      plan: plan of the import.
      model, params: ready for `apply`.
      fresh: paths of parameters that the file does not hold.
    """

    plan: Plan
    model: nn.Module
    params: Any
    fresh: list[str]

    def __call__(self, inputs: Any, **more: Any) -> jax.Array:
        """The outputs of whole rows."""
        return jax.jit(self.outputs)(self.params, inputs, **more)

    def outputs(self, params: Any, inputs: Any, **more: Any) -> jax.Array:
        """The outputs of any parameters."""
        variables = {"params": params}
        features, _ = self.model.apply(variables, inputs, train=False, **more)
        return self.model.apply(variables, features, method="readout")

    def gradients(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Converts gradients of another library's tensors into gradients of our parameters.

        All rules are linear but for a constant. Each of two biases that are added has the gradient
        of ours.
        """
        tensors = Tensors.of_arrays(arrays)
        nothing = Tensors.of_arrays({name: np.zeros_like(x) for name, x in arrays.items()})
        rules = [rule for rule in self.plan.match().rules if rule.tensors]
        return {
            rule.path: arrays[next(iter(rule.tensors))]
            if len(rule.tensors) == 2 and all("bias_" in name for name in rule.tensors)
            else rule.read(tensors) - rule.read(nothing)
            for rule in rules
        }


def load(path: Path, *overrides: tuple[str, str]) -> Loaded:
    """Imports a file or folder into memory."""
    with plan_import(path) as plan:
        return load_plan(plan, *overrides)


def load_plan(plan: Plan, *overrides: tuple[str, str]) -> Loaded:
    """Carries out a plan in memory."""
    apply_overrides(plan.config, overrides, ())
    spec = spec_from_json(plan.conversion.spec)
    model = build_model(plan.config.model, spec, jnp.float32)
    params, fresh = read_params(plan, plan.match(), model)
    return Loaded(plan, model, jax.tree.map(jnp.asarray, params), fresh)


def write_folder(path: Path, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> Path:
    """Writes a Hugging Face folder."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    write_safetensors(path / "model.safetensors", arrays)
    return path


def write_state(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Writes a state dict as safetensors."""
    write_safetensors(path, arrays)
    return path


def golden(name: str, prefix: str = "") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Tensors, their gradients and all other arrays of a file of golden numbers."""
    stored = np.load(Path(__file__).parents[1] / "golden" / name)
    values = {k.removeprefix(prefix): stored[k] for k in stored.files if k.startswith(prefix)}
    params = {k.removeprefix("param/"): v for k, v in values.items() if k.startswith("param/")}
    grads = {k.removeprefix("grad/"): v for k, v in values.items() if k.startswith("grad/")}
    others = {k: v for k, v in values.items() if not k.startswith(("param/", "grad/"))}
    return params, grads, others


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over all targets."""
    chances = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(chances, targets[..., None], axis=-1).mean()
