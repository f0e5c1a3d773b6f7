"""Recurrences: gates and states over a text, memory, and the step's Jacobian."""

from __future__ import annotations

from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from seqmodels.look.figures import draw_lines, draw_over_text, draw_plane, is_gate
from seqmodels.look.inside import Inside, call, name_values, on_device, sites
from seqmodels.look.probes import probe_units
from seqmodels.look.sections import Line, Section, Table

CLOSED, OPEN = 0.1, 0.9
"""Gates below and above are saturated (Karpathy et al., 2015, arXiv:1506.02078)."""
MOST_STATE = 2048
"""Numbers of a state up to which the eigenvalues of its step are computed."""
_STATES = ("cell", "hidden", "real")


def saturation(gate: Float[np.ndarray, "T N"]) -> tuple[float, float]:
    """Shares of a gate's values that are below 0.1 and above 0.9."""
    return float((gate < CLOSED).mean()), float((gate > OPEN).mean())


def effective_memory(inside: Inside) -> dict[str, Float[np.ndarray, " T"]]:
    """||d f_T / d x_s|| (Frobenius) of the last features by the embedding of each step s.

    Returns:
      The norms by distance T - s, from 0 on, for each embedding of steps.
    """
    shifts = sites(inside, "embed")
    if not jax.tree.leaves(shifts):
        return {}
    batch = on_device(inside.example.batch)

    def last(params: Any, shifts: Any) -> jax.Array:
        features = call(inside.model, params, batch, shifts)[1][0]
        return features[-1] if features.ndim == 2 else features

    found = jax.jit(jax.jacrev(last, argnums=1))(inside.params, shifts)
    # [D, 1, T, D'] each; the axis of rows is where `name_values` takes it away.
    norms = jax.tree.map(lambda j: jnp.sqrt((j.astype(jnp.float32) ** 2).sum((0, -1))), found)
    named = name_values(jax.device_get(norms))
    return {name: norm[::-1] for name, norm in named.items() if norm.ndim == 1}


def step_eigenvalues(inside: Inside) -> np.ndarray | None:
    """Eigenvalues of d state_T / d state_(T-1), the Jacobian of the last step; complex.

    The state is all of the carry that is real numbers. None where the carry grows with the text, as
    a cache does, or where the model has none, or where it is larger than MOST_STATE.
    """
    model, params, batch = inside.model, inside.params, on_device(inside.example.batch)
    if not model.causal or batch.inputs.ndim != 2 or batch.source is not None:
        return None

    def begin(capacity: int) -> Any:
        return model.apply({"params": params}, 1, capacity, method="initial_carry")

    shapes = [jax.tree.map(jnp.shape, jax.eval_shape(lambda n=n: begin(n))) for n in (8, 16)]
    if shapes[0] != shapes[1]:
        return None

    def read(params: Any, carry: Any, inputs: Any) -> Any:
        return model.apply({"params": params}, inputs, carry, train=False)[1]

    length = batch.inputs.shape[1]
    carry = jax.jit(begin, static_argnums=0)(length)
    if length > 1:
        carry = jax.jit(read)(params, carry, batch.inputs[:, :-1])
    leaves, structure = jax.tree.flatten(carry)
    real = [n for n, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    size = sum(leaves[n].size for n in real)
    if not 0 < size <= MOST_STATE:
        return None
    state, unflatten = jax.flatten_util.ravel_pytree([leaves[n] for n in real])

    def step(state: Any, params: Any) -> Any:
        changed = dict(zip(real, unflatten(state), strict=True))
        whole = [changed.get(n, leaf) for n, leaf in enumerate(leaves)]
        after = jax.tree.leaves(read(params, structure.unflatten(whole), batch.inputs[:, -1:]))
        return jax.flatten_util.ravel_pytree([after[n] for n in real])[0]

    jacobian = jax.jit(jax.jacrev(step))(state, params)
    return np.linalg.eigvals(np.asarray(jacobian, np.float64))


def look_at_recurrence(inside: Inside) -> Section | None:
    """Gates and states over the text, saturation, memory, eigenvalues and units that follow
    something; None where a model has no recurrence."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, value in inside.values.items():
        layer, _, last = name.rpartition(".")
        if value.ndim == 2 and (is_gate(name) or last in _STATES or last == "candidate"):
            layers.setdefault(layer, {})[last] = value
    if not layers:
        return None
    section = Section(
        "recurrence",
        "Recurrence",
        "Each row of a map is a unit, each column a step. A gate is saturated below "
        f"{CLOSED:g} or above {OPEN:g}. Effective memory is the norm of the derivative of the last "
        "features by the embedding of an earlier step. Eigenvalues are those of the last step's "
        "Jacobian: inside the circle the past fades, outside it grows.",
    )
    rows = []
    for layer, values in layers.items():
        labels = _labels(inside, layer, next(iter(values.values())))
        section.numbers[layer] = dict(values)
        panels = {f"{layer}.{n}": v for n, v in values.items()}
        section.add_figure(layer, draw_over_text, panels, labels, layer, "gate")
        for name, value in values.items():
            if is_gate(name):
                closed, opened = saturation(value)
                rows.append([f"{layer}.{name}", float(value.mean()), closed, opened])
                line = f"mean of {layer}.{name}"
                section.lines.append(Line(line, labels, value.mean(axis=1)))
    section.numbers["saturation"] = {row[0]: row[1:] for row in rows}
    heads = ["gate", "mean", f"below {CLOSED:g}", f"above {OPEN:g}"]
    if rows:
        section.tables.append(Table("Saturation", heads, rows))
    _add_memory(inside, section)
    _add_eigenvalues(inside, section)
    probe_units(inside, layers, section)
    return section


def _labels(inside: Inside, layer: str, values: np.ndarray) -> list[str]:
    of_encoder = layer.startswith(("encoder", "source"))
    labels = inside.example.source if of_encoder else inside.steps
    return labels if len(labels) == len(values) else [str(n) for n in range(len(values))]


def _add_memory(inside: Inside, section: Section) -> None:
    memory = effective_memory(inside)
    if not memory:
        return
    section.numbers["effective_memory"] = memory
    curves = {name: (np.arange(len(norm)), norm) for name, norm in memory.items()}
    texts = ("distance (steps)", "norm of the derivative", "effective memory")
    section.add_figure("effective_memory", draw_lines, curves, *texts, yscale="log")


def _add_eigenvalues(inside: Inside, section: Section) -> None:
    found = step_eigenvalues(inside)
    if found is None:
        return
    points = np.stack([np.real(found), np.imag(found)], axis=1)
    section.numbers["step_eigenvalues"] = {"real": points[:, 0], "imaginary": points[:, 1]}
    section.numbers["spectral_radius"] = float(np.abs(found).max())
    title = f"eigenvalues of the last step, largest modulus {np.abs(found).max():.3f}"
    section.add_figure("step_eigenvalues", draw_plane, points, [], title, "circle")
