"""A model of the conformance suite with its parameters and compiled calls, once a process."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from tests.conformance.cases import (
    ALL,
    ONE_DOCUMENT,
    PACKED,
    PADDED,
    SOURCE,
    SOURCE_PACKED,
    SOURCE_PADDED,
    B,
    T,
    corpus,
    inputs_of,
    spec_of,
)


def far_from_start(params: Any) -> Any:
    """Away from the small initial values, where everything is almost linear."""
    draw = np.random.default_rng(1)
    move = lambda x: jnp.asarray(x + 0.3 * draw.normal(size=x.shape), x.dtype)
    return jax.tree.map(move, jax.device_get(params))


class Calls:
    """Functions of a model: its outputs and carry, and its encoder's.

    A model with an encoder reads SOURCE with every input, under `source_ids`.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.model, self.encodes = model, spec_of(name).source is not None
        self.packs = name not in ONE_DOCUMENT
        source_ids = SOURCE_PACKED if self.packs else SOURCE_PADDED
        self.own = (SOURCE, source_ids) if self.encodes else (None, None)

    def encode(self, params, source, ids, train=False, rngs=None):
        variables = {"params": params}
        return self.model.apply(
            variables, source, segment_ids=ids, train=train, rngs=rngs, method="encode"
        )

    def __call__(
        self, params, inputs, carry, ids, source=None, source_ids=None, train=False, key=None
    ):
        """Outputs and carry; of a whole sequence where `carry` is None."""
        variables, memory = {"params": params}, None
        rngs = None if key is None else {"dropout": key}
        if self.encodes and carry is None:
            memory = self.encode(params, source, source_ids, train, rngs)
        features, carry = self.model.apply(
            variables, inputs, carry, segment_ids=ids, memory=memory, train=train, rngs=rngs
        )
        return self.model.apply(variables, features, method="readout"), carry


class Case:
    """A model of the suite, parameters away from the start, and jitted calls of it.

    Attributes:
      boxed, start: the first parameters, with and without the names of their axes.
      params: those that the laws are tested with.
      call: what `jitted` compiles.
      jitted: the one jitted call; what one test compiles the next finds.
      inputs, ids, own: B rows, their segment ids, and the source with its ids.
    """

    def __init__(self, name: str) -> None:
        self.name, self.config, self.spec = name, ALL[name], spec_of(name)
        self.model = model = build_model(self.config, self.spec, jnp.float32)
        if self.config.fitted:
            self.boxed = self.start = self.params = jax.tree.map(jnp.asarray, model.fit(corpus()))
        else:
            self.boxed = jax.jit(lambda key: init_params(model, key))(jax.random.key(0))
            self.start = nn.unbox(self.boxed)
            self.params = far_from_start(self.start)
        self.call = Calls(name, model)
        self.packs, self.own = self.call.packs, self.call.own
        self.inputs = inputs_of(self.spec)
        self.ids = PACKED if self.packs else PADDED
        self.jitted = jax.jit(self.call, static_argnames="train")
        self._gradient = jax.jit(jax.grad(self._weighted_sum))
        self._start = jax.jit(self.carry_of, static_argnums=(1, 2))

    def run(self, inputs, ids=None, source=None, **keywords) -> np.ndarray:
        """Outputs of a whole; the source is the case's own where none is given."""
        source = self.own if source is None else source
        outputs, carry = self.jitted(
            self.params, jnp.asarray(inputs), None, ids, *source, **keywords
        )
        assert carry is None
        return np.asarray(outputs)

    def step(self, inputs, carry, ids):
        """Outputs of a chunk, and the carry after it."""
        return self.jitted(self.params, jnp.asarray(inputs), carry, ids)

    def initial_carry(self, batch_size=B, capacity=T):
        """The first carry of the case's parameters."""
        return self._start(self.params, batch_size, capacity)

    def gradient(self, weights, ids, source_ids, inputs=None, source=None):
        """Of the outputs' weighted sum, by the parameters; of the case's own inputs and source
        where none are given."""
        inputs, source = (
            own if given is None else given
            for given, own in ((inputs, self.inputs), (source, self.own[0]))
        )
        return self._gradient(self.params, weights, inputs, ids, source, source_ids)

    def _weighted_sum(self, params, weights, inputs, ids, source, source_ids):
        outputs, _ = self.call(params, inputs, None, ids, source, source_ids)
        return jnp.sum(jnp.where(weights != 0, weights * outputs, 0.0))

    def carry_of(self, params, batch_size=B, capacity=T):
        """The first carry of any parameters."""
        memory = None
        if self.call.encodes:
            rows = np.arange(batch_size) % B
            memory = self.call.encode(params, *(jnp.asarray(x)[rows] for x in self.own))
        variables = {"params": params}
        return self.model.apply(variables, batch_size, capacity, memory, method="initial_carry")


case = functools.cache(Case)


def documents(ids: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(row, places) of every document."""
    rows = [(row, n) for row in range(len(ids)) for n in np.unique(ids[row]) if n]
    return [(row, np.flatnonzero(ids[row] == n)) for row, n in rows]


def alone(values: np.ndarray, found: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Each document at the begin of a row of its own, and the rows' ids."""
    rows, ids = np.zeros_like(values), np.zeros(values.shape[:2], np.int32)
    for n, (row, places) in enumerate(found):
        rows[n, : len(places)] = values[row, places]
        ids[n, : len(places)] = 1
    return rows, ids
