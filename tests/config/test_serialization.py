"""Configs survive JSON exactly; what does not fit says where."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import CONFIG_DIRECTORY, config_names, config_summary, load_config
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.serialization import (
    describe_field,
    describe_type,
    differences,
    from_json,
    leaves,
    optional_of,
    to_json,
)
from seqmodels.config.validate import validate
from tests.config.examples import MODELS, make

SHIPPED = [f"{name}:{v}" for name in config_names() for v in config_summary(name)[1]]


def scramble(config: ExperimentConfig, seed: int) -> None:
    """Sets every field to another value of its type."""
    rng = random.Random(seed)
    for name, kind, _ in list(leaves(config)):
        section, field = name.split(".")
        inner = optional_of(kind)
        value: Any
        if inner is not None and rng.random() < 0.3:
            value = None
        elif (inner or kind) is float:
            value = rng.choice([rng.random(), 1e-300, 3.0, 0.1 + 0.2])
        elif (inner or kind) is int:
            value = rng.choice([0, -5, 2**60])
        elif (inner or kind) is bool:
            value = rng.random() < 0.5
        elif (inner or kind) is str:
            value = rng.choice(["", "none", '日本 "x"\n', "3"])
        else:
            value = rng.choice(list(kind))
        setattr(vars(config)[section], field, value)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
@pytest.mark.parametrize("seed", range(5))
def test_round_trip(model: Any, seed: int) -> None:
    config = make(copy.copy(model))
    scramble(config, seed)
    again = from_json(json.loads(json.dumps(to_json(config))))
    assert again == config
    assert [type(v) for _, _, v in leaves(again)] == [type(v) for _, _, v in leaves(config)]
    assert differences(config, again) == []


@pytest.mark.parametrize("reference", SHIPPED)
def test_shipped_configs_are_valid_and_survive(reference: str) -> None:
    config = load_config(reference)
    validate(config)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize("name", config_names())
def test_shipped_configs_carry_a_lab_note(name: str) -> None:
    summary, variants = config_summary(name)
    assert summary
    assert variants
    text = (CONFIG_DIRECTORY / f"{name}.py").read_text()
    assert f"python launch.py train --config={name}" in text


def edit(path: str, value: Any) -> dict[str, Any]:
    """The JSON of a config with one key set, or removed where the value is `...`."""
    values = to_json(make())
    *parents, last = path.split(".")
    inner = values
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("model.num_layer", 3, "model.num_layer is not known; did you mean 'num_layers'?"),
        ("optimiser", {}, "optimiser is not known; did you mean 'optimizer'?"),
        ("training.seed", ..., "training.seed is missing"),
        ("evaluation", ..., "evaluation is missing"),
        ("model.kind", ..., "model.kind is missing"),
        ("model.kind", "gtp", "model.kind='gtp' is not known; did you mean 'gpt'?"),
        ("model", 3, "model must be an object, not 3"),
        ("training.seed", 1.5, "training.seed=1.5: must be an integer"),
        ("training.seed", True, "training.seed=True: must be an integer"),
        ("training.seed", None, "training.seed=None: must be an integer"),
        ("model.use_bias", 0, "model.use_bias=0: must be true or false"),
        (
            "model.position",
            "x",
            "model.position='x': must be one of: none, learned, sinusoidal, rotary, alibi",
        ),
        ("optimizer.clip_norm", "1", "optimizer.clip_norm='1': must be a number, or none"),
    ],
)
def test_json_that_does_not_fit_says_where(path: str, value: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        from_json(edit(path, value))
    assert str(caught.value) == f"config: {line}"


def test_differences_name_fields_and_values() -> None:
    old, new = make(), make()
    new.optimizer.clip_norm = None
    new.training.seed = 7
    assert differences(old, new) == [
        "optimizer.clip_norm: 1.0 -> none",
        "training.seed: 0 -> 7",
    ]
    lines = differences(make(MODELS[0]), make(MODELS[1]))
    assert lines[0] == "model.kind: ngram -> recurrent"
    assert "model.order: 6 -> absent" in lines
    assert "model.num_layers: absent -> 1" in lines


def test_types_are_described() -> None:
    kinds = {name: describe_type(kind) for name, kind, _ in leaves(make())}
    assert kinds["model.num_layers"] == "an integer"
    assert kinds["optimizer.clip_norm"] == "a number, or none"
    config = make(RecurrentConfig())
    cells = describe_field(config, "model.cell", str)
    assert cells.startswith("one of: rnn, rnn_relu, irnn, lstm,") and cells.endswith("lru, aaren")
    assert kinds["data.tokenizer"] == "one of: character, byte, word, bpe, huggingface, run, shared"
