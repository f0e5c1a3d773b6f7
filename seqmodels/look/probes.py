"""Units of a recurrence that follow something that can be counted in a text."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from seqmodels.look.inside import Inside
from seqmodels.look.sections import Section, Table

LEAST_STEPS = 60
"""Shorter texts are not probed: half of the steps is for fitting."""
RIDGE = 1.0
"""Weight of the squared coefficients, for standardised units."""
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def text_properties(labels: list[str]) -> dict[str, Float[np.ndarray, " T"]]:
    """Position in the line, inside double quotes (0 or 1) and depth of brackets, after each token.

    Properties that do not change in the text are left out.
    """
    column, quoted, depth = 0, 0, 0
    rows = []
    for label in labels:
        for character in label:
            column = 0 if character == "\n" else column + 1
            quoted ^= character == '"'
            depth = max(0, depth + _BRACKETS.get(character, 0))
        rows.append((column, quoted, depth))
    names = ("position in the line", "inside quotes", "depth of brackets")
    values = np.array(rows, np.float64).T
    return {n: v for n, v in zip(names, values, strict=True) if len(set(v.tolist())) > 1}


def correlate(states: Float[np.ndarray, "T N"], property_: Float[np.ndarray, " T"]) -> np.ndarray:
    """Pearson's correlation of each unit with a property, [N]; 0 for a unit that does not vary."""
    x = states.astype(np.float64) - states.mean(axis=0, dtype=np.float64)
    y = property_ - property_.mean()
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    return np.where(scale > 0, x.T @ y / np.where(scale > 0, scale, 1), 0.0)


def probe(states: Float[np.ndarray, "T N"], property_: Float[np.ndarray, " T"]) -> dict[str, float]:
    """A linear probe: ridge regression on the even steps, tested on the odd ones.

    Returns:
      r2 on the odd steps (1 = exact, 0 = no better than the mean); where the property is 0 or 1
      also accuracy, of the threshold 1/2, and that of the more frequent value.
    """
    fit, test = slice(0, None, 2), slice(1, None, 2)
    x = states.astype(np.float64)
    mean, deviation = x[fit].mean(axis=0), x[fit].std(axis=0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1)
    offset = property_[fit].mean()
    gram = x[fit].T @ x[fit] + RIDGE * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[fit].T @ (property_[fit] - offset))
    found, true = x[test] @ weights + offset, property_[test]
    spread = ((true - true.mean()) ** 2).sum()
    result = {"r2": float(1 - ((found - true) ** 2).sum() / spread) if spread else 0.0}
    if set(property_.tolist()) == {0.0, 1.0}:
        result["accuracy"] = float(((found > 0.5) == (true > 0.5)).mean())
        result["baseline"] = float(max(true.mean(), 1 - true.mean()))
    return result


def probe_units(inside: Inside, layers: dict[str, dict[str, np.ndarray]], section: Section) -> None:
    """Adds to a section what linear probes and single units follow in the text."""
    labels, rows = inside.steps, []
    inputs = np.asarray(inside.example.batch.inputs)
    if len(labels) < LEAST_STEPS or not np.issubdtype(inputs.dtype, np.integer):
        return
    for name, wanted in text_properties(labels).items():
        for layer, values in layers.items():
            states = next((values[n] for n in ("cell", "hidden", "real") if n in values), None)
            if states is None or len(states) != len(labels):
                continue
            found: dict[str, Any] = probe(states, wanted)
            correlation = correlate(states, wanted)
            unit = int(np.abs(correlation).argmax())
            found |= {"unit": unit, "correlation": float(correlation[unit])}
            section.numbers.setdefault("probes", {}).setdefault(name, {})[layer] = found
            scores = [found.get(key) for key in ("r2", "accuracy", "baseline")]
            rows.append([name, layer, *scores, unit, found["correlation"]])
    heads = ["property", "layer", "r2", "accuracy", "majority", "best unit", "its correlation"]
    if rows:
        section.tables.append(Table("Linear probes, tested on every second step", heads, rows))
