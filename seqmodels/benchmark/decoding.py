"""Programs of generation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.benchmark.arrays import NUM_SETS, num_bytes
from seqmodels.benchmark.decoding_inputs import prompts_of
from seqmodels.benchmark.program import Program
from seqmodels.benchmark.training import work_of
from seqmodels.benchmark.weights import weight
from seqmodels.decoding.decoder import Decoder
from seqmodels.decoding.sampling import Sampling
from seqmodels.models.build import build_model
from seqmodels.runs.paths import flat, map_paths
from seqmodels.runs.run import abstract_params

_RUNS = 3


def decode(params: dict[str, Any], seed: int) -> Program:
    """Greedy generation of new_tokens tokens after a prompt.

    Args:
      params: of `training.work_of`, and "prompt" and "new_tokens" (numbers of tokens), "cached":
        False reads the whole text again for every token.
    """
    work = work_of(params, seed)
    model = build_model(work.config.model, work.spec)
    shapes = abstract_params(model)
    held = jax.device_put(map_paths(lambda path, x: weight(path, x.shape, seed), shapes))
    prompts, count = prompts_of(params, seed), params["new_tokens"]
    if not params.get("cached", True):
        generate = generate_uncached(model, held)
        return Program(lambda n: generate(prompts[n % NUM_SETS], count), lambda found: [found])
    decoder = Decoder(model)

    def make(n: int, count: int) -> np.ndarray:
        rows = list(prompts[n % NUM_SETS])
        greedy = Sampling(0.0)
        return decoder.generate(held, rows, max_tokens=count, sampling=greedy, seed=n).tokens

    make(0, 1)
    first = [_seconds(lambda n=n: make(n, 1)) for n in range(_RUNS)]
    rows, capacity = params["batch"], params["prompt"] + count
    carry = jax.eval_shape(
        lambda p: model.apply({"params": p}, rows, capacity, method="initial_carry"), held
    )
    facts = {
        "items": rows * count,
        "first_token_ms": 1e3 * statistics.median(first),
        "state_bytes": num_bytes(jax.tree.leaves(carry)),
        "parameters": len(flat(held)) and sum(x.size for x in jax.tree.leaves(held)),
    }
    # Every new token reads the weights once, and its row of the state.
    facts["bytes"] = count * (num_bytes(jax.tree.leaves(held)) + facts["state_bytes"])
    facts["flops"] = 2 * facts["parameters"] * rows * (count + params["prompt"])
    return Program(lambda n: make(n, count), lambda found: [found], facts)


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def generate_uncached(model: Any, params: Any) -> Callable[[np.ndarray, int], np.ndarray]:
    """Makes a greedy generator that keeps no state between tokens.

    Returns:
      A function of prompts [B, T] and the number of new tokens, whose text is padded to its final
      length, so that one program serves all steps.
    """

    @jax.jit
    def following(tokens: jax.Array, last: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": params}, tokens, train=False)
        logits = model.apply({"params": params}, features[:, last], method="readout")
        return jnp.argmax(logits, axis=-1)

    def generate(prompts: np.ndarray, count: int) -> np.ndarray:
        rows, length = prompts.shape
        text = np.zeros((rows, length + count), np.int32)
        text[:, :length] = prompts
        for at in range(length, length + count):
            text[:, at] = following(text, at - 1)
        return text[:, length:]

    return generate
