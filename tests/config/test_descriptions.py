"""The meanings of config fields that `--help` prints."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import seqmodels.config
from seqmodels.config.descriptions import describe_fields, describe_meaning
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config


def config_classes() -> Iterator[type]:
    for module in pkgutil.iter_modules(seqmodels.config.__path__):
        for value in vars(importlib.import_module(f"seqmodels.config.{module.name}")).values():
            is_class = isinstance(value, type) and dataclasses.is_dataclass(value)
            if is_class and value.__name__.endswith("Config"):
                yield value


def test_every_field_has_a_meaning() -> None:
    classes = {*config_classes()} - {ExperimentConfig}
    assert len(classes) > 30
    silent = [
        f"{cls.__name__}.{field.name}"
        for cls in sorted(classes, key=lambda cls: cls.__name__)
        for field in dataclasses.fields(cls)
        if not describe_fields(cls).get(field.name)
    ]
    assert not silent


@dataclasses.dataclass
class Base:
    """A base.

    Attributes:
      first, second: of two; third: of one.
      fourth: begins here and
        goes on here; it has no colon: or has it. See `x`.

    What follows is not of a field:
      sixth: nothing.
    """

    first: int = 0
    second: int = 0
    third: int = 0
    fourth: int = 0


@dataclasses.dataclass
class Derived(Base):
    """A class whose own words count.

    Attributes:
      second: is its own.
      fifth: is new.
    """

    fifth: int = 0


def test_entries_are_taken_apart() -> None:
    assert describe_fields(Derived) == {
        "first": "of two",
        "second": "is its own",
        "third": "of one",
        "fourth": "begins here and goes on here; it has no colon: or has it. See `x`",
        "fifth": "is new",
    }


def test_a_class_may_say_nothing() -> None:
    config = dataclasses.make_dataclass("Silent", [("a", int)])(a=1)
    assert describe_meaning(config, "a") == ""


def test_the_choices_of_a_field_are_explained() -> None:
    config = load_config("demo_gpt")
    assert "wsd, warmup-stable-decay" in describe_meaning(config, "optimizer.schedule")
    assert describe_meaning(config, "training.num_steps") == "total number of optimizer steps"
