"""Export of a run's parameters to the formats of other libraries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqmodels.interop.directories import new_directory
from seqmodels.interop.exported_tokenizer import exported_tokenizer
from seqmodels.interop.files import CONFIG, WEIGHTS, write_safetensors
from seqmodels.interop.formats import Format
from seqmodels.interop.tables import flatten
from seqmodels.runs.run import Run
from seqmodels.runs.specs import spec_to_json
from seqmodels.runs.workdir import write_json
from seqmodels.types import ClassOutput


def export_run(run: Run, form: Format, to: Path) -> dict[str, Any]:
    """Writes a folder or a file, completely or not at all.

    Returns:
      A dict with to, architecture, step, num_tensors and notes.

    Raises:
      UserError: `to` exists already or cannot be written.
    """
    spec, model = spec_to_json(run.spec), run.config.model
    form.check(model.kind, spec)
    arrays = to_tensors(run.params, form.rules(model, spec))
    notes = []
    with new_directory(to, "--to") as partial:
        if form.describe is None:
            # A single file is written inside the directory and then replaces it.
            write_safetensors(partial / "file", arrays)
            alone = partial.with_name(f"{partial.name}.file")
            os.replace(partial / "file", alone)
            partial.rmdir()
            os.replace(alone, partial)
        else:
            write_safetensors(partial / WEIGHTS, arrays)
            config = {**form.describe(model, spec), **_classes(run)}
            if (tokenizer := exported_tokenizer(run)) is not None:
                config |= tokenizer.write(partial, config)
            else:
                notes.append("no tokenizer files: the run's tokenizer is not from Hugging Face")
            write_json(partial / CONFIG, config)
    return {
        "to": str(to),
        "architecture": form.architecture(model, spec),
        "step": run.step,
        "num_tensors": len(arrays),
        "notes": notes,
    }


def _classes(run: Run) -> dict[str, Any]:
    """The names of the classes of a model that has classes."""
    if not isinstance(run.spec.outputs, ClassOutput):
        return {}
    names = tuple(f"LABEL_{n}" for n in range(run.spec.outputs.num_classes))
    if run.features is not None:
        names = run.features["targets"].names()
    ids = {name: n for n, name in enumerate(names)}
    return {"id2label": {str(n): name for name, n in ids.items()}, "label2id": ids}


def to_tensors(params: Any, rules: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Makes the tensors of a format; biases that the model does not have become 0."""
    flat = flatten(jax.device_get(params))
    arrays: dict[str, np.ndarray] = {}
    for rule in rules:
        if rule.path in flat:
            arrays |= rule.write(np.asarray(flat[rule.path], np.float32))
        else:
            assert rule.path.endswith("bias"), rule.path
            arrays |= {name: np.zeros(shape, np.float32) for name, shape in rule.expected()}
    return arrays
