"""From a config to a model."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from seqmodels import registry
from seqmodels.config.models import ModelConfig
from seqmodels.protocols import Model
from seqmodels.types import DataSpec


def build_model(config: ModelConfig, spec: DataSpec, dtype: Any = jnp.float32) -> Model:
    """Builds the model that `config.kind` names.

    Args:
      config: hyper-parameters.
      spec: what the data decide.
      dtype: dtype of the arithmetic; parameters are float32.
    """
    model = registry.resolve(registry.MODELS[config.kind].implementation)
    return model(config=config, spec=spec, dtype=dtype)
