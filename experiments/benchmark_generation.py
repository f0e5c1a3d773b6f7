"""Benchmark of greedy generation with and without a carry.

    python -m experiments.benchmark_generation --workdir=DIR

Without a carry the model reads the whole text again for every token, padded to a multiple of 64
tokens so that few programs are compiled.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.benchmark.timing import interleave, ratio
from seqmodels.config.strict_json import to_text
from seqmodels.decoding.decoder import Decoder
from seqmodels.decoding.sampling import Sampling
from seqmodels.runs.run import load_run

_PADDING = 64


def generate_uncached(model: Any, params: Any) -> Callable[[np.ndarray, int], np.ndarray]:
    """Makes a greedy generator that keeps no state between tokens.

    Returns:
      A function of a prompt [T] and the number of new tokens.
    """

    @jax.jit
    def following(tokens: jax.Array, last: jax.Array) -> jax.Array:
        features, _ = model.apply({"params": params}, tokens, train=False)
        logits = model.apply({"params": params}, features[:, last], method="readout")
        return jnp.argmax(logits, axis=-1)

    def generate(prompt: np.ndarray, max_tokens: int) -> np.ndarray:
        text = list(prompt)
        for _ in range(max_tokens):
            length = -(-len(text) // _PADDING) * _PADDING
            padded = np.zeros((1, length), np.int32)
            padded[0, : len(text)] = text
            text.append(int(following(padded, len(text) - 1)[0]))
        return np.asarray(text[len(prompt) :], np.int32)

    return generate


def main() -> None:
    """Prints seconds, their ratio and whether the tokens are equal, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--max_tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    run = load_run(arguments.workdir)
    assert run.tokenizer is not None
    prompt = run.tokenizer.encode("The ")
    decoder, uncached = Decoder(run.model), generate_uncached(run.model, run.params)

    def cached() -> np.ndarray:
        return decoder.generate(
            run.params, [prompt], max_tokens=arguments.max_tokens, sampling=Sampling(0.0)
        ).tokens[0]

    same = bool((cached() == uncached(prompt, arguments.max_tokens)).all())
    timings = interleave(
        {"cached": cached, "uncached": lambda: uncached(prompt, arguments.max_tokens)},
        arguments.rounds,
    )
    median, low, high = ratio(timings["uncached"], timings["cached"])
    result = {
        "device": jax.devices()[0].device_kind,
        "max_tokens": arguments.max_tokens,
        "same_tokens": same,
        "ratio": {"median": median, "low": low, "high": high},
    }
    sys.stdout.write(to_text(result, indent=1))
    print()


if __name__ == "__main__":
    main()
