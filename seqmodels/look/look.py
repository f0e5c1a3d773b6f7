"""All that can be seen in a run on one example, and the files that show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.files import replacing, write_picture
from seqmodels.look.attention import look_at_attention
from seqmodels.look.drawing import Pictures
from seqmodels.look.gradients import look_at_gradients
from seqmodels.look.inside import Inside, look_inside
from seqmodels.look.page import render
from seqmodels.look.parameters import look_at_embeddings, look_at_parameters
from seqmodels.look.predictions import look_at_attribution, look_at_predictions
from seqmodels.look.recurrence import look_at_recurrence
from seqmodels.look.sections import Section, plain
from seqmodels.protocols import Given
from seqmodels.runs.run import Run, open_data
from seqmodels.types import VocabOutput

MOST_IN_JSON = 4096
"""Numbers of an array that is written as text; a larger one goes to `look.npz`."""


def look_at_run(
    run: Run,
    given: Given,
    what: Sequence[str],
    *,
    required: bool,
    compare: bool = True,
    found: Callable[[Section], object] = lambda section: None,
) -> tuple[Inside, list[Section]]:
    """Looks inside a run.

    Args:
      given: the user's input.
      what: names of `LOOKS`.
      required: whether each of them was asked for by name, so that a model without it is refused.
      compare: whether predictions are shown next to those of a counted model, which needs the data.
      found: is called with each section when it is complete.

    Raises:
      UserError: the input cannot be read, or the model lacks something that is required.
    """
    if run.features is None:
        raise UserError(f"--workdir={run.workdir}: this imported run has no features to read with")
    try:
        example = run.task.example(run.model, run.params, run.features, run.config, given)
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith("--") else f"the input: {message}") from None
    inside, sections = look_inside(run.model, run.params, example), []
    context = _Context(run, inside, output_names(run), compare and "predictions" in what)
    for name in what:
        section = LOOKS[name](context)
        if section is None and required:
            raise UserError(f"--what={name}: this {run.config.model.kind} has none to look at here")
        if section is not None:
            sections.append(section)
            found(section)
    return inside, sections


class _Context:
    """All that the looks need; the counted model is made only where it is asked for."""

    def __init__(self, run: Run, inside: Inside, names: list[str] | None, compare: bool) -> None:
        self.run, self.inside, self.names, self._compare = run, inside, names, compare

    def rival(self) -> Any:
        """A counted model of the same targets; None without its data."""
        if not self._compare or self.run.config.model.fitted:
            return None
        try:
            data = open_data(self.run.workdir, self.run.config, self.run.task)
        except UserError:
            return None
        return self.run.task.rival(data, self.run.config)


LOOKS: dict[str, Callable[[_Context], Section | None]] = {
    "attention": lambda c: look_at_attention(c.inside),
    "recurrence": lambda c: look_at_recurrence(c.inside),
    "gradient_flow": lambda c: look_at_gradients(c.inside, c.run.config.training.seed),
    "predictions": lambda c: look_at_predictions(c.inside, c.names, c.rival()),
    "attribution": lambda c: look_at_attribution(c.inside, c.names),
    "embeddings": lambda c: look_at_embeddings(c.inside, c.names),
    "parameters": lambda c: look_at_parameters(c.inside),
}


def output_names(run: Run) -> list[str] | None:
    """The names of a run's classes or tokens; None where its outputs are numbers."""
    assert run.features is not None
    feature = run.features.get("targets") or run.features["inputs"]
    if isinstance(run.spec.outputs, VocabOutput):
        # A masked language model adds a token after those of the feature.
        known = min(feature.input.vocab_size, run.spec.outputs.vocab_size)
        return feature.labels(np.arange(known))
    try:
        return list(feature.names())
    except TypeError:
        return None


def write_look(
    folder: Path,
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    pictures: Pictures,
) -> list[Path]:
    """Writes look.html, look.json, look.npz for large arrays, and a PNG of each figure.

    Returns:
      Their paths, the page first.

    Raises:
      UserError: a file cannot be written.
    """
    arrays: dict[str, Any] = {}
    numbers = {s.name: _split(s.numbers, s.name, arrays) for s in sections}
    page = render(title, lead, sections, pictures)
    text = json.dumps(plain({"title": title, **numbers}), ensure_ascii=False, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("look.json", text), ("look.html", page)):
            with replacing(folder / name) as partial:
                partial.write_text(content, encoding="utf-8")
        if arrays:
            with replacing(folder / "look.npz") as partial, partial.open("wb") as file:
                np.savez_compressed(file, **arrays)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    names = ("look.html", "look.json", *(("look.npz",) if arrays else ()))
    paths = [folder / name for name in names]
    for part, drawn in pictures.items():
        for name, png in drawn.items():
            path = folder / f"{part}-{name.replace('/', '-')}.png"
            paths.append(write_picture(path, lambda to, png=png: to.write_bytes(png)))
    return paths


def _split(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """The numbers of a section, with the name in `look.npz` in place of a large array."""
    if isinstance(value, dict):
        return {str(key): _split(one, f"{name}/{key}", arrays) for key, one in value.items()}
    if isinstance(value, np.ndarray) and value.size > MOST_IN_JSON:
        arrays[name] = value
        return {"npz": name, "shape": list(value.shape)}
    return value
