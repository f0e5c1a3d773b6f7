"""The protocol of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from seqmodels.types import DataSpec, Params


@runtime_checkable
class Model(Protocol):
    """A linen module that obeys law 1: a function of a chunk and a carry.

    Its methods, called by `apply`, are `initial_carry`, `__call__`, `readout` and, with an encoder,
    `encode`.
    """

    @property
    def spec(self) -> DataSpec:
        """The shape of its inputs and outputs, which the data decide."""
        ...

    @property
    def config(self) -> Any:
        """Hyper-parameters, a `ModelConfig`."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a token sees only what comes before it, so that the model has a carry."""
        ...

    @property
    def init(self) -> Callable[..., Any]:
        """Makes the variables."""
        ...

    @property
    def apply(self) -> Callable[..., Any]:
        """Calls a method of the model with variables."""
        ...


@runtime_checkable
class FittedModel(Model, Protocol):
    """A model whose parameters are counted instead of trained."""

    def fit(self, split: Any) -> Params:
        """Returns the parameters that a training split gives."""
        ...
