"""Gradients by layer and by distance in time: where they vanish and where they explode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float

from seqmodels.look.figures import draw_lines
from seqmodels.look.inside import Inside, call, name_values, on_device, sites
from seqmodels.look.sections import Section, Table
from seqmodels.models.initialize import init_params
from seqmodels.types import Params

_TINY = 1e-30


def last_loss(outputs: jax.Array, features: jax.Array, target: Any) -> jax.Array:
    """- log p of the last target, or of the likeliest class; of real numbers, half their squares.

    Args:
      outputs: [T, V] or [C], or forecasts.
      target: a class, or None.
    """
    del features
    row = outputs[-1] if outputs.ndim == 2 else outputs
    if row.ndim != 1:
        return 0.5 * (row**2).sum()
    chances = jax.nn.log_softmax(row)
    return -(chances[target] if target is not None else chances.max())


def last_target(inside: Inside) -> int | None:
    """The class of the last step; None where the example has no targets."""
    batch = inside.example.batch
    if not inside.example.targets or not np.asarray(batch.loss_weights).any():
        return None
    return int(np.asarray(batch.targets)[0, -1])


Norms = dict[str, Float[np.ndarray, " T"]]


def make_gradient_norms(inside: Inside, word: str = "resid_pre") -> Callable[[Params], Norms]:
    """Makes a function of parameters, compiled once: ||d loss_T / d x_s|| by the input of each
    layer at each step s, by distance T - s.

    Args:
      word: the hooks to take: `resid_pre` for layers, `embed` for embeddings.
    """
    batch, target, zeros = on_device(inside.example.batch), last_target(inside), sites(inside, word)

    def loss(shifts: Any, params: Params) -> jax.Array:
        outputs, features, _ = call(inside.model, params, batch, shifts)
        return last_loss(outputs[0], features[0], target)

    gradient = jax.jit(jax.grad(loss))

    def measure(params: Params) -> Norms:
        return {
            name: np.linalg.norm(value.astype(np.float64), axis=-1)[::-1]
            for name, value in name_values(jax.device_get(gradient(zeros, params))).items()
            if value.ndim == 2
        }

    return measure


def decay_rate(norms: Float[np.ndarray, " T"]) -> float | None:
    """Mean factor per step by which a gradient shrinks (below 1) or grows, by least squares of its
    logarithm; None for fewer than three steps with a gradient."""
    known = np.flatnonzero(norms > _TINY)
    if len(known) < 3:
        return None
    return float(np.exp(np.polyfit(known, np.log(norms[known]), 1)[0]))


def untrained(inside: Inside, seed: int) -> Params:
    """The parameters with which a run of a seed begins, where the trained ones are: programs that
    were compiled for those serve them too."""
    model = inside.model
    params = jax.jit(lambda key: nn.unbox(init_params(model, key)))(jax.random.key(seed))
    return jax.tree.map(lambda x, old: jax.device_put(x, old.sharding), params, inside.params)


def look_at_gradients(inside: Inside, seed: int = 0) -> Section | None:
    """Norms by layer and distance, as trained and as initialised; None without layers."""
    measure = make_gradient_norms(inside)
    trained = measure(inside.params)
    if not trained or max(map(len, trained.values())) < 2:
        return None
    section = Section(
        "gradient_flow",
        "Gradient flow",
        "Norm of the derivative of the last step's loss by the input of each layer at earlier "
        "steps. A straight line on this scale is a constant factor per step: below 1 the gradient "
        "vanishes, above 1 it explodes.",
    )
    start = measure(untrained(inside, seed))
    rows = []
    for title, norms in (("trained", trained), ("untrained", start)):
        section.numbers[title] = norms
        curves = {name: (np.arange(len(n)), np.maximum(n, _TINY)) for name, n in norms.items()}
        texts = ("distance (steps)", "norm of the gradient", title)
        section.add_figure(f"gradient_flow.{title}", draw_lines, curves, *texts, yscale="log")
        for name, norm in norms.items():
            rows.append([title, name, float(norm[0]), float(norm[-1]), decay_rate(norm)])
    heads = ["parameters", "layer", "at distance 0", f"at {len(norm) - 1}", "factor per step"]
    section.tables.append(Table("Gradients", heads, rows))
    section.numbers["factor_per_step"] = {f"{row[0]}.{row[1]}": row[4] for row in rows}
    return section
