"""Embeddings and parameters by themselves: neighbours, planes, spectra and norms."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from seqmodels.look.figures import draw_lines, draw_plane
from seqmodels.look.inside import Inside
from seqmodels.look.labels import visible
from seqmodels.look.sections import Section, Table
from seqmodels.types import Params

NEIGHBOURS, MOST_TOKENS, MOST_POINTS = 5, 24, 200
MOST_SIDE = 4096
"""Matrices with a longer side have no spectrum here: it would take minutes."""


def flat_params(params: Params) -> dict[str, np.ndarray]:
    """Parameters by path, as in `stack/blocks/attention/qkv/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(params))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(x) for path, x in leaves
    }


def as_matrices(value: np.ndarray, path: str) -> list[tuple[str, np.ndarray]]:
    """A kernel as matrices [inputs, outputs], one per layer where layers are stacked."""
    if "/blocks/" in f"/{path}" and value.ndim > 2:
        return [(f"{path}.{n}", one.reshape(one.shape[0], -1)) for n, one in enumerate(value)]
    if value.ndim < 2 or "/blocks/" in f"/{path}":
        return []
    return [(path, value.reshape(value.shape[0], -1))]


def nearest(
    table: Float[np.ndarray, "V D"], tokens: np.ndarray, count: int = NEIGHBOURS
) -> list[list[tuple[int, float]]]:
    """The other tokens with the largest cosine to each of some, largest first."""
    x = table.astype(np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    cosines = x[tokens] @ x.T
    cosines[np.arange(len(tokens)), tokens] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, : min(count, len(table) - 1)]
    return [
        [(int(n), float(row[n])) for n in best] for row, best in zip(cosines, order, strict=True)
    ]


def principal_plane(table: Float[np.ndarray, "V D"]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates [V, 2] on the first two principal components, and their shares of variance."""
    x = table.astype(np.float64)
    x = x - x.mean(axis=0)
    with threadpool_limits(1):  # which is faster for matrices of this size
        left, scale, _ = np.linalg.svd(x, full_matrices=False)
    share = scale**2 / max((scale**2).sum(), 1e-30)
    return left[:, :2] * scale[:2], share[:2]


def look_at_embeddings(inside: Inside, names: list[str] | None = None) -> Section | None:
    """Neighbours of the tokens of the example, and all tokens on a plane; None without a table."""
    tables = {p: v for p, v in flat_params(inside.params).items() if p.endswith("embedding/table")}
    inputs = np.asarray(inside.example.batch.inputs)
    tables = {p: v for p, v in tables.items() if v.ndim == 2 and v.shape[1] > 1}
    own = {p: v for p, v in tables.items() if "source" not in p and "type" not in p}
    if not own or not np.issubdtype(inputs.dtype, np.integer):
        return None
    path, table = next(iter(own.items()))
    name = lambda n: names[n] if names is not None and n < len(names) else str(n)
    counts = np.bincount(inputs[0], minlength=len(table))
    tokens = np.argsort(-counts, kind="stable")[: min(MOST_TOKENS, int((counts > 0).sum()))]
    found = nearest(table, tokens)
    rows = [
        [visible(name(t)), ", ".join(f"{visible(name(n))} {c:.2f}" for n, c in near)]
        for t, near in zip(tokens.tolist(), found, strict=True)
    ]
    points, share = principal_plane(table)
    drawn = np.argsort(-counts, kind="stable")[:MOST_POINTS]
    labels = [name(n) for n in drawn.tolist()]
    axes = tuple(f"component {n + 1} ({s:.1%} of the variance)" for n, s in enumerate(share))
    return Section(
        "embeddings",
        "Embeddings",
        "Nearest neighbours by cosine, and the first two principal components of the table.",
        numbers={
            "path": path,
            "neighbours": {name(t): near for t, near in zip(tokens.tolist(), found, strict=True)},
            "variance_shares": share,
            "points": {name(n): points[n] for n in drawn.tolist()},
        },
        figures={"embeddings": partial(draw_plane, points[drawn], labels, path, axes)},
        tables=[Table("Nearest neighbours by cosine", ["token", "neighbours"], rows)],
    )


def look_at_parameters(inside: Inside) -> Section:
    """Norms of all parameters, and the singular values of those that are matrices."""
    rows: list[list[Any]] = []
    curves, spectra, norms = {}, {}, {}
    for path, value in flat_params(inside.params).items():
        if not np.issubdtype(value.dtype, np.floating):
            continue
        norms[path] = float(np.linalg.norm(value.astype(np.float64)))
        for name, matrix in as_matrices(value, path):
            if max(matrix.shape) > MOST_SIDE:
                continue
            with threadpool_limits(1):
                scale = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
            spectra[name] = scale
            curves[name] = (np.arange(1, len(scale) + 1), scale)
            rank = float((scale**2).sum() / max(scale[0] ** 2, 1e-30))
            shape = " x ".join(map(str, matrix.shape))
            rows.append([name, shape, float(scale[0]), float(np.median(scale)), rank])
    section = Section(
        "parameters",
        "Parameters",
        "Singular values of every matrix. The stable rank is the squared norm over the squared "
        "largest singular value.",
        numbers={"norms": norms, "singular_values": spectra},
        tables=[
            Table("Norms", ["parameter", "norm"], [[p, n] for p, n in norms.items()]),
            Table("Spectra", ["matrix", "shape", "largest", "median", "stable rank"], rows),
        ],
    )
    if curves:
        texts = ("number", "singular value", "spectra")
        section.add_figure("spectra", draw_lines, curves, *texts, yscale="log")
    return section
