"""What stands in for a model, and for a trial, in the tests of tasks."""

from __future__ import annotations

from typing import Any

from seqmodels.protocols import Trial
from seqmodels.types import DataSpec, TokenInput, VocabOutput


class StandIn:
    """The attributes of a model; subclasses define `apply`."""

    spec: Any = DataSpec(TokenInput(5), VocabOutput(5))
    config: Any = None
    causal = True

    def init(self, *args: Any, **keywords: Any) -> Any:
        raise NotImplementedError

    def apply(self, *args: Any, **keywords: Any) -> Any:
        raise NotImplementedError


class Passing(StandIn):
    """A model whose logits are its parameters, whatever it reads."""

    def apply(self, variables: Any, x: Any, *_: Any, method: str = "", **__: Any) -> Any:
        return x if method in ("readout", "encode") else (variables["params"], None)


class Splits:
    """Data of nothing but splits."""

    def __init__(self, **splits: Any) -> None:
        self.splits = splits


def trial(features: Any, train: Any, test: Any) -> Trial:
    """A trial on a test split, as far as a baseline looks at it."""
    data: Any = Splits(train=train, test=test)
    model: Any = StandIn()
    return Trial(model, {}, features, data, "test", None, lambda *_, **__: {})
