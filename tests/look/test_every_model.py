"""Every model of the registry is looked into from one interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqmodels.look import attention, gradients, parameters, predictions, recurrence
from seqmodels.look.drawing import draw
from seqmodels.look.inside import Inside, look_inside
from seqmodels.look.page import render
from seqmodels.look.sections import Section
from seqmodels.protocols import Example
from seqmodels.types import Batch, VocabOutput
from tests.conformance.case import case
from tests.conformance.cases import CONFIGS, TRAINED, VARIANTS

ATTENDS = ("gpt", "transformer", "bert", "vit", "aaren", "seq2seq", "patch_transformer")
RECURS = ("recurrent", "recurrent_encoder", "seq2seq", "segment_rnn")
CASES = [pytest.param(n, marks=pytest.mark.grid) for n in (*CONFIGS, *VARIANTS) if n in TRAINED]


def inside_of(name: str) -> Inside:
    """All inner values of the first row of a case."""
    c = case(name)
    inputs = np.asarray(c.inputs)[:1]
    is_text = np.issubdtype(inputs.dtype, np.integer)
    steps = [str(x) for x in range(inputs.shape[1])]
    source = np.asarray(c.own[0])[:1] if c.call.encodes else None
    weights = np.ones(inputs.shape[:2], np.float32)
    targets = inputs if is_text else np.zeros(inputs.shape[:2], np.int32)
    batch = Batch(inputs, targets, weights, source=source)
    has_targets = is_text and isinstance(c.spec.outputs, VocabOutput)
    labels = [] if source is None else [f"s{n}" for n in range(source.shape[1])]
    example = Example(batch, steps, source=labels, targets=steps if has_targets else [])
    return look_inside(c.model, c.params, example)


def look(name: str) -> tuple[Inside, dict[str, Section]]:
    """All that is found in the first row of a case."""
    inside = inside_of(name)
    looks: list[Any] = [
        attention.look_at_attention(inside),
        recurrence.look_at_recurrence(inside),
        gradients.look_at_gradients(inside),
        predictions.look_at_predictions(inside),
        predictions.look_at_attribution(inside),
        parameters.look_at_embeddings(inside),
        parameters.look_at_parameters(inside),
    ]
    return inside, {section.name: section for section in looks if section is not None}


@pytest.mark.parametrize("name", CASES)
def test_a_model_is_looked_into(name: str) -> None:
    inside, found = look(name)
    config = case(name).config
    assert ("attention" in found) == bool(inside.named("pattern"))
    if name in ATTENDS:
        assert "attention" in found
    if name in RECURS:
        assert "recurrence" in found, config
        assert "gradient_flow" in found
    for section in found.values():
        for line in section.lines:
            assert len(line.labels) == len(line.values), line.name
        for matrix in section.matrices:
            assert matrix.values.shape == (len(matrix.rows), len(matrix.columns)), matrix.name
    page = render(name, [], list(found.values()), draw(list(found.values())))
    assert page.count("<section") == len(found)
