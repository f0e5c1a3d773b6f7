"""What decoding keeps, and what is compiled: sizes that must not grow."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import TokenInput
from tests.conformance.case import Case, case
from tests.conformance.cases import (
    ALL,
    BOUNDED,
    CAUSAL,
    CAUSAL_KINDS,
    CONFIGS,
    TRAINED,
    WINDOWED,
    T,
    spec_of,
)


def num_bytes(carry: Any) -> int:
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(carry))


def first_carry(c: Case, capacity: int) -> Any:
    """Shapes of the first carry of two rows."""
    return jax.eval_shape(lambda params: c.carry_of(params, 2, capacity), c.params)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_second_call_of_the_same_shape_compiles_nothing(name: str) -> None:
    c = case(name)
    c.run(c.inputs)
    compiled = c.jitted._cache_size()
    c.run(np.roll(c.inputs, 1, axis=0))
    assert c.jitted._cache_size() == compiled
    if name in CAUSAL:
        carry = c.initial_carry()
        for place in range(3):
            _, carry = c.step(c.inputs[:, place, None], carry, None)
        assert c.jitted._cache_size() <= compiled + 1


@pytest.mark.parametrize("name", [n for n in CAUSAL if n not in BOUNDED])
def test_an_unbounded_carry_has_the_same_bytes_for_any_length(name: str) -> None:
    c = case(name)
    carry = first_carry(c, 1)
    size = num_bytes(carry)
    assert num_bytes(first_carry(c, 10**6)) == size
    _, after = jax.eval_shape(c.call, c.params, c.inputs, carry, None)
    assert num_bytes(after) == size


@pytest.mark.parametrize("name", [n for n in BOUNDED if n not in WINDOWED])
def test_a_cache_grows_by_the_same_bytes_a_token(name: str) -> None:
    sizes = [num_bytes(first_carry(case(name), capacity)) for capacity in (4, 5, 6)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_bounds_the_bytes_of_a_cache(name: str) -> None:
    c = case(name)
    window = c.config.window
    assert window < T
    assert num_bytes(first_carry(c, 10**4)) == num_bytes(first_carry(c, window))


def num_operations(name: str, length: int, **changes: Any) -> int:
    """Operations of a training gradient's program, each loop's body counted once."""
    config = type(ALL[name])(**{**vars(ALL[name]), **changes})
    spec = spec_of(name)
    model = build_model(config, spec)
    params = jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))

    def loss(params: Any, tokens: Any, source: Any) -> Any:
        variables = {"params": jax.tree.map(jnp.asarray, params)}
        memory = None
        if source is not None:
            memory = model.apply(variables, source, train=False, method="encode")
        features, _ = model.apply(variables, tokens, memory=memory, train=False)
        return model.apply(variables, features, method="readout").sum()

    tokens = jax.ShapeDtypeStruct((2, length), jnp.int32)
    source = None if spec.source is None else tokens
    jaxpr = jax.make_jaxpr(jax.grad(loss))(_arrays(params), tokens, source)
    return _count(jaxpr.jaxpr)


def _arrays(boxed: Any) -> Any:
    is_box = lambda x: hasattr(x, "names")
    return jax.tree.map(lambda x: x.value if is_box(x) else x, boxed, is_leaf=is_box)


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        total += 1
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
        ):
            inner = getattr(value, "jaxpr", value)
            total += _count(inner) if hasattr(inner, "eqns") else 0
    return total


TOKENS_ONLY = [
    n for n in CAUSAL_KINDS if n in TRAINED and isinstance(spec_of(n).inputs, TokenInput)
]


@pytest.mark.parametrize("name", TOKENS_ONLY)
def test_the_program_is_no_longer_for_a_longer_text(name: str) -> None:
    """Up to 128 tokens, where attention by blocks begins (16 blocks at most)."""
    bound = {"max_length": 128} if name in BOUNDED else {}
    assert num_operations(name, 128, **bound) == num_operations(name, 64, **bound)


@pytest.mark.parametrize("name", [n for n in TOKENS_ONLY if n in BOUNDED])
def test_the_program_is_no_longer_for_more_layers_than_are_unrolled(name: str) -> None:
    fields = [f for f in vars(ALL[name]) if f.startswith("num_") and f.endswith("layers")]
    counts = [num_operations(name, T, **dict.fromkeys(fields, depth)) for depth in (13, 26)]
    assert counts[0] == counts[1]
