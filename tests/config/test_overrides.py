"""Single fields from the command line."""

from __future__ import annotations

import enum

import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.overrides import apply_overrides
from seqmodels.config.serialization import differences, leaves
from tests.config.examples import MODELS, make

VARIANTS = ["a", "b:cpu"]


@pytest.mark.parametrize(
    ("name", "text", "change"),
    [
        ("model.num_layers", "8", "4 -> 8"),
        ("model.use_bias", None, "false -> true"),
        ("model.tie_embeddings", "false", "true -> false"),
        ("optimizer.clip_norm", "none", "1.0 -> none"),
        ("optimizer.clip_norm", "2", "1.0 -> 2.0"),
        ("optimizer.peak_lr", "1", "0.001 -> 1.0"),
        ("optimizer.peak_lr", "3e-4", "0.001 -> 0.0003"),
        ("data.path", "x=y z.txt", "none -> x=y z.txt"),
        ("training.mesh_data", "2", "none -> 2"),
        ("training.ema_decay", ".99", "none -> 0.99"),
        ("model.position", "rotary", "learned -> rotary"),
    ],
)
def test_a_field_is_set(name: str, text: str | None, change: str) -> None:
    config = make()
    apply_overrides(config, [(name, text)], VARIANTS)
    assert differences(make(), config) == [f"{name}: {change}"]


def test_the_last_of_several_counts() -> None:
    config = make()
    overrides = [("optimizer.clip_norm", "none"), ("training.seed", "1"), ("training.seed", "2")]
    apply_overrides(config, [*overrides, ("optimizer.clip_norm", "3")], VARIANTS)
    assert (config.training.seed, config.optimizer.clip_norm) == (2, 3.0)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_every_field_takes_its_own_value_back(model: object) -> None:
    """Types that the flags do not understand would show here."""
    for name, kind, value in leaves(make(model)):  # type: ignore[arg-type]
        config = make(model)  # type: ignore[arg-type]
        text = value.value if isinstance(value, enum.Enum) else str(value).lower()
        apply_overrides(config, [(name, text)], VARIANTS)
        assert differences(make(model), config) == []  # type: ignore[arg-type]
        if isinstance(value, enum.Enum):
            for member in kind:
                assert member.value.replace("-", "_") == member.name.lower()
                apply_overrides(config, [(name, member.value)], VARIANTS)
                assert {n: v for n, _, v in leaves(config)}[name] is member


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("model.nm_layers", "1", "model (kind gpt) has no such field; did you mean 'num_layers'?"),
        ("model.cell", "lstm", "model (kind gpt) has no such field; one of: num_layers"),
        ("modle.num_layers", "1", "no such section; did you mean 'model.num_layers'?"),
        ("seed", "1", "no such section; did you mean 'training.seed'?"),
        ("model.seed", "1", "no such field; did you mean 'training.seed'?"),
        ("zzz.qq", "1", "no such section; one of: model, data, task"),
        ("model.num_layers.x", "1", "model.num_layers is not a section"),
        ("model", "gpt", "a section cannot be replaced"),
        ("model", "gpt", "a, b:cpu"),
        ("model.num_layers", "1.5", "=1.5: must be an integer"),
        ("model.num_layers", "none", "=none: must be an integer"),
        ("model.num_layers", None, "needs a value"),
        ("model.use_bias", "maybe", "=maybe: must be true or false"),
        ("model.position", "rotery", "sinusoidal, rotary, alibi; did you mean 'rotary'?"),
        ("optimizer.peak_lr", "abc", "=abc: must be a number"),
        ("training.mesh_data", "x", "=x: must be an integer, or none"),
    ],
)
def test_a_mistake_is_one_line(name: str, text: str | None, line: str) -> None:
    config = make()
    with pytest.raises(UserError) as caught:
        apply_overrides(config, [(name, text)], VARIANTS)
    assert str(caught.value).startswith(f"--config.{name}")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert config == make()
