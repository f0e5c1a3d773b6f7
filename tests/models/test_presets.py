"""Models of published sizes have the published numbers of parameters, without taking memory."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from seqmodels.config.files import load_config
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.training.mesh import unboxed
from seqmodels.types import DataSpec, TokenInput, VocabOutput


def count(params: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(params))


def abstract(reference: str, spec: DataSpec) -> Any:
    model = build_model(load_config(reference).model, spec)
    return unboxed(jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0)))


def language(vocab_size: int) -> DataSpec:
    return DataSpec(TokenInput(vocab_size), VocabOutput(vocab_size))


PUBLISHED = {
    "gpt:gpt1": (40_478, 116_534_784),
    "gpt:gpt2_124m": (50_257, 124_439_808),
    "gpt:gpt2_355m": (50_257, 354_823_168),
    "gpt:gpt2_774m": (50_257, 774_030_080),
    "gpt:gpt2_1558m": (50_257, 1_557_611_200),
    "zaremba_lstm:small": (10_000, 4_651_600),
    "zaremba_lstm:medium": (10_000, 19_775_200),
    "zaremba_lstm:large": (10_000, 66_022_000),
    "music_lab": (83, 5_353_299),
}
"""Vocabulary and parameters. GPT-1 and GPT-2: the sizes of the released weights. Zaremba et al.
state 20 and 66 million; exact from the equations, with one bias a gate. music_lab: the lab's own
count."""


@pytest.mark.parametrize("reference", PUBLISHED)
def test_a_preset_has_its_published_size(reference: str) -> None:
    vocab_size, expected = PUBLISHED[reference]
    assert count(abstract(reference, language(vocab_size))) == expected
