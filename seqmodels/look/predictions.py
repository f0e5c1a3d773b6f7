"""Predictions: tokens by probability, layer by layer, and which inputs decide."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from seqmodels.look.figures import draw_bars_over_text, draw_lens
from seqmodels.look.inside import Inside, call, log_softmax, name_values, on_device, sites
from seqmodels.look.labels import visible
from seqmodels.look.sections import Line, Section, Table
from seqmodels.protocols import Model
from seqmodels.types import Params, ValueOutput

PATH_STEPS = 32
"""Points of the path of integrated gradients; in a trained GPT they miss 0.2 % of the gain."""
Names = list[str] | None


def target_log_probabilities(inside: Inside) -> Float[np.ndarray, " T"]:
    """log p of each target, in nats; NaN where an example has no targets."""
    targets = np.asarray(inside.example.batch.targets)
    if not inside.example.targets or inside.outputs.ndim != 2:
        return np.full(len(inside.outputs), np.nan)
    return inside.log_probabilities[np.arange(len(inside.outputs)), targets[0]]


def rival_log_probabilities(rival: tuple[Model, Params], inside: Inside) -> Float[np.ndarray, " T"]:
    """log p of each target by a counted model, after the same tokens."""
    model, params = rival
    batch = on_device(inside.example.batch)

    def score(params: Params) -> jax.Array:
        features, _ = model.apply({"params": params}, batch.inputs, train=False)
        return model.apply({"params": params}, features, batch.targets, method="log_likelihood")

    return np.asarray(jax.jit(score)(params))[0].astype(np.float64)


def lens_log_probabilities(inside: Inside) -> Float[np.ndarray, "L T V"] | None:
    """Log-probabilities that the head reads off the output of each layer (logit lens).

    Through the final norm, where there is one. None where a layer's output does not fit the head.
    Source: nostalgebraist, 2020, "interpreting GPT: the logit lens".
    """
    lens = inside.values.get("lens", inside.values.get("decoder.lens"))
    if lens is None or lens.shape[1:] != inside.features.shape:
        return None
    read = jax.jit(lambda params, x: inside.model.apply({"params": params}, x, method="readout"))
    return log_softmax(np.asarray(read(inside.params, jnp.asarray(lens)), np.float64))


def look_at_predictions(
    inside: Inside, names: Names = None, rival: tuple[Model, Params] | None = None
) -> Section | None:
    """The probability of each target next to a counted model's, and the logit lens; None for
    models whose outputs are not classes."""
    if inside.outputs.ndim > 2 or isinstance(inside.model.spec.outputs, ValueOutput):
        return None
    section = Section(
        "predictions",
        "Predictions",
        "Log-probability (nats) of each target, after all that comes before it.",
    )
    _add_best(inside, names, section)
    scores = target_log_probabilities(inside)
    if not np.isfinite(scores).any():
        return section
    targets = inside.example.targets
    section.numbers |= {"targets": targets, "log_probability": scores}
    section.lines.append(Line("log-probability (nats)", targets, scores))
    series = {"this run": scores}
    if rival is not None:
        series["n-gram"] = others = rival_log_probabilities(rival, inside)
        section.numbers["ngram_log_probability"] = others
        section.numbers["mean_advantage"] = float((scores - others).mean())
        section.lines.append(Line("gain over the n-gram (nats)", targets, scores - others))
        section.tables.append(_wins(targets, scores, others))
    title = f"mean {scores.mean():.3f} nats per target"
    section.add_figure(
        "log_probability", draw_bars_over_text, series, targets, "log p (nats)", title
    )
    _add_lens(inside, section)
    return section


def _add_best(inside: Inside, names: Names, section: Section) -> None:
    """The likeliest classes of the last step, or of the whole."""
    last = inside.log_probabilities
    last = last[-1] if last.ndim == 2 else last
    best = np.argsort(-last)[:8]
    name = lambda n: visible(names[n]) if names is not None and n < len(names) else str(n)
    rows = [[name(n), float(np.exp(last[n])), float(last[n])] for n in best]
    section.numbers["likeliest"] = [{"name": r[0], "probability": r[1]} for r in rows]
    section.tables.append(Table("Likeliest at the end", ["", "probability", "log p"], rows))


def _wins(targets: list[str], scores: np.ndarray, others: np.ndarray) -> Table:
    gain = scores - others
    order = np.argsort(-gain)
    chosen = [*order[:8], *order[8:][-8:]]
    rows = [
        [int(n), visible(targets[n]), float(scores[n]), float(others[n]), float(gain[n])]
        for n in chosen
    ]
    heads = ["step", "target", "this run", "n-gram", "gain"]
    return Table("Largest gains and losses against the n-gram (nats)", heads, rows)


def _add_lens(inside: Inside, section: Section) -> None:
    found = lens_log_probabilities(inside)
    if found is None:
        return
    targets = np.asarray(inside.example.batch.targets)[0]
    scores = found[:, np.arange(len(targets)), targets]  # [L, T]
    section.numbers["lens_log_probability"] = scores
    section.numbers["lens_mean"] = scores.mean(axis=1)
    labels = inside.example.targets
    section.add_figure("logit_lens", draw_lens, scores, labels)
    for layer, row in enumerate(scores):
        section.lines.append(Line(f"log p read off layer {layer} (nats)", labels, row))


def attributions(inside: Inside, target: int | None = None) -> dict[str, Any]:
    """How much each input decides log p of the last prediction.

    gradient_x_input: x_s . d log p / d x_s, with x_s the embedding of step s.
    integrated_gradients: (x_s - m) . mean over a in (0, 1) of the gradient at m + a (x - m), for
      all steps at once (Sundararajan et al., 2017, arXiv:1703.01365), by the midpoint rule; the
      sum over s is log p(x) - log p(m) up to the error of the rule, which is `gap`.
    occlusion: log p less that with x_s = m.

    The baseline m is the mean of the example's embeddings over its steps. Zeros do not work for
    models that normalize before each block: near them the path crosses every scale of the first
    block's input, so that no rule integrates it.

    Args:
      target: the class; None = the likeliest.

    Returns:
      by name of the embedding, the three as [T]; and `target`, `log_probability`, `of_mean` (that
      of m at all steps), and `gap`.
    """
    last = inside.log_probabilities
    last = last[-1] if last.ndim == 2 else last
    target = int(last.argmax()) if target is None else target
    batch, zeros = on_device(inside.example.batch), sites(inside, "embed")
    x = jax.tree.map(lambda at, _: jnp.asarray(at), _same(inside, zeros), zeros)
    away = jax.tree.map(lambda v: v - v.mean(1, keepdims=True), x)

    def score(shifts: Any, params: Params) -> jax.Array:
        outputs = call(inside.model, params, batch, shifts)[0][0]
        row = outputs[-1] if outputs.ndim == 2 else outputs
        return jax.nn.log_softmax(row)[target]

    def along(params: Params, away: Any) -> tuple[Any, Any, jax.Array]:
        """The gradient at the input, its mean along the path, and log p at m and at the input."""

        def add(totals: Any, point: Any) -> tuple[Any, jax.Array]:
            part, *weights = point
            shifts = jax.tree.map(lambda v: (part - 1) * v, away)
            value, gradient = jax.value_and_grad(score)(shifts, params)
            plus = lambda total, w: jax.tree.map(lambda a, g: a + w * g, total, gradient)
            return tuple(map(plus, totals, weights)), value

        middles = (np.arange(PATH_STEPS) + 0.5) / PATH_STEPS
        weights = np.eye(PATH_STEPS + 2)[-1], np.r_[np.full(PATH_STEPS, 1 / PATH_STEPS), 0, 0]
        points = np.stack([np.r_[middles, 0, 1], *weights]).astype(np.float32)
        (plain, path), values = jax.lax.scan(add, (zeros, zeros), tuple(map(jnp.asarray, points)))
        return plain, path, values[-2:]

    plain, path, ends = jax.jit(along)(inside.params, away)
    nothing, value = ends[0], ends[1]
    lack = _occlusions(score, inside.params, away, value)  # traced while the path is computed
    times = lambda g, x: jax.tree.map(lambda a, b: (a * b).sum(-1), g, x)
    found = {
        "gradient_x_input": name_values(jax.device_get(times(plain, x))),
        "integrated_gradients": name_values(jax.device_get(times(path, away))),
        "occlusion": name_values(jax.device_get(lack)),
    }
    by_site = {site: {kind: found[kind][site] for kind in found} for site in found["occlusion"]}
    total = sum(float(kinds["integrated_gradients"].sum()) for kinds in by_site.values())
    facts = {"target": target, "log_probability": float(value), "of_mean": float(nothing)}
    return {**facts, "gap": total - float(value - nothing), "inputs": by_site}


def _same(inside: Inside, zeros: Any) -> list[Any]:
    """The recorded values in the form of `sites`."""

    def pick(tree: Any, form: Any) -> Any:
        return {k: pick(tree[k], v) if isinstance(v, dict) else tree[k] for k, v in form.items()}

    return [pick(tree, form) for tree, form in zip(inside.recorded, zeros, strict=True)]


def _occlusions(score: Any, params: Params, away: Any, value: jax.Array) -> Any:
    """log p less that with the mean in place of one step, for each step of each embedding."""
    leaves, structure = jax.tree.flatten(away)

    def without(site: int, step: jax.Array) -> jax.Array:
        shifts = [jnp.zeros_like(leaf) for leaf in leaves]
        shifts[site] = shifts[site].at[:, step].set(-leaves[site][:, step])
        return score(structure.unflatten(shifts), params)

    found = []
    for site, leaf in enumerate(leaves):
        steps = jnp.arange(leaf.shape[1])
        each = jax.jit(lambda steps, site=site: jax.lax.map(lambda s: without(site, s), steps))
        found.append((value - each(steps))[None])
    return structure.unflatten(found)


def look_at_attribution(inside: Inside, names: Names = None) -> Section | None:
    """Attribution of the last prediction to the inputs; None without classes or without embeddings
    of several steps, which differ from their mean."""
    zeros = sites(inside, "embed")
    values = isinstance(inside.model.spec.outputs, ValueOutput)
    longest = max((leaf.shape[1] for leaf in jax.tree.leaves(zeros)), default=0)
    if inside.outputs.ndim > 2 or values or longest < 2:
        return None
    found = attributions(inside)
    number = found["target"]
    name = names[number] if names is not None and number < len(names) else str(number)
    section = Section(
        "attribution",
        "Attribution",
        f"How much each input decides the likeliest prediction at the end, {visible(name)!r} "
        f"(log p {found['log_probability']:.3f} nats; {found['of_mean']:.3f} with the mean "
        "embedding at all steps). Positive values speak for it. Integrated gradients add up to the "
        f"difference of the two, with an error of {found['gap']:.1g}.",
        numbers=found,
    )
    for site, kinds in found["inputs"].items():
        labels = inside.example.source if site.startswith("source") else inside.steps
        size = len(next(iter(kinds.values())))
        labels = labels if len(labels) == size else [str(n) for n in range(size)]
        title = f"attribution of {visible(name)!r} to the inputs"
        section.add_figure(f"attribution.{site}", draw_bars_over_text, kinds, labels, "nats", title)
        section.lines += [Line(f"{kind} (nats), {site}", labels, v) for kind, v in kinds.items()]
    return section
