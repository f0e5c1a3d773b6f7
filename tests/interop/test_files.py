"""Files of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.interop.architectures import ARCHITECTURES
from seqmodels.interop.files import Tensors, open_tensors, write_safetensors
from seqmodels.interop.settings import Settings
from seqmodels.interop.tables import match


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/hostname", "sub/in.safetensors"])
def test_a_shard_outside_its_folder_is_refused(shard: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    index = {"weight_map": {"wte.weight": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="outside the folder"), open_tensors(folder):
        pass


DROPOUT: dict[str, tuple[dict[str, Any], float, tuple[str, ...]]] = {
    "GPT2LMHeadModel": (
        {"resid_pdrop": 0.2, "embd_pdrop": 0.2, "attn_pdrop": 0.0},
        0.2,
        ("attn_pdrop=0.0 is not used: dropout_rate=0.2, from resid_pdrop, is",),
    ),
    "BertModel": (
        {"hidden_dropout_prob": 0.3},
        0.3,
        (
            "attention_probs_dropout_prob=0.1 is not used: dropout_rate=0.3, from "
            "hidden_dropout_prob, is",
        ),
    ),
    "BertForSequenceClassification": (
        {"classifier_dropout": 0.5, "id2label": {"0": "a", "1": "b"}},
        0.1,
        ("classifier_dropout=0.5 is not used: dropout_rate=0.1, from hidden_dropout_prob, is",),
    ),
    "BertForMaskedLM": ({"classifier_dropout": None}, 0.1, ()),
    "ViTModel": (
        {"attention_probs_dropout_prob": 0.1},
        0.0,
        (
            "attention_probs_dropout_prob=0.1 is not used: dropout_rate=0.0, from "
            "hidden_dropout_prob, is",
        ),
    ),
    "LlamaModel": (
        {"attention_dropout": 0.1},
        0.1,
        (
            "attention_dropout=0.1: dropout_rate=0.1 acts on embeddings and the output of each "
            "part too",
        ),
    ),
    "MistralModel": ({}, 0.0, ()),
}


@pytest.mark.parametrize("name", DROPOUT)
def test_dropout_rates_that_differ_are_named(name: str) -> None:
    """Our models have one rate."""
    values, rate, notes = DROPOUT[name]
    conversion = ARCHITECTURES[name](Settings(Path("config.json"), values), {}, name)
    assert vars(conversion.model)["dropout_rate"] == rate
    assert conversion.notes == notes


def test_names_of_a_compiled_module_lose_their_prefix(tmp_path: Path) -> None:
    arrays = {"_orig_mod.a.weight": np.ones((2, 3)), "b._orig_mod.weight": np.zeros(4)}
    write_safetensors(tmp_path / "state.safetensors", arrays)
    with open_tensors(tmp_path / "state.safetensors") as tensors:
        assert tensors.shapes == {"a.weight": (2, 3), "b.weight": (4,)}
        np.testing.assert_array_equal(tensors.read("a.weight"), np.ones((2, 3)))


def test_no_head_is_initialised_that_is_larger_than_the_file() -> None:
    """A number of labels is the only size that no tensor of a folder need confirm."""
    values = {
        "hidden_size": 4,
        "num_attention_heads": 2,
        "intermediate_size": 4,
        "vocab_size": 5,
        "num_hidden_layers": 1,
        "max_position_embeddings": 3,
        "num_labels": 10**6,
    }
    name = "BertForSequenceClassification"
    conversion = ARCHITECTURES[name](Settings(Path("config.json"), values), {}, name)
    shapes = {
        name: shape
        for rule in conversion.make_rules(conversion.model)
        if not rule.path.startswith("head")
        for name, shape in rule.expected()
    }
    tensors = Tensors("model.safetensors", shapes, lambda name: np.zeros(shapes[name]))
    with pytest.raises(UserError, match="asks for 5,000,000 more parameters"):
        match(conversion, conversion.model, tensors)
    settings = Settings(Path("config.json"), {**values, "num_labels": 10**9})
    with pytest.raises(UserError, match="num_labels=1000000000 is not supported"):
        ARCHITECTURES[name](settings, {}, name)
