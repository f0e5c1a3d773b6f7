"""Kinds are known where they are defined: no other code asks which kind of thing it has.

Such a place would be forgotten when a kind is added. What differs between kinds is declared on the
config class or on the line of the registry, or is done by the task or the feature itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqmodels import registry
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import FeatureConfig
from seqmodels.config.serialization import field_types

ROOT = Path(__file__).parents[1]
OWNERS = (
    "seqmodels/tasks/",
    "seqmodels/data/features/",
    "seqmodels/config/serialization.py",
    "seqmodels/registry/",
)
OTHER_KINDS = {"dtype", "problem"}
"""numpy's dtypes have kinds, and so have the problems of a tune."""


def kind_classes() -> set[str]:
    """Names of the config classes of all kinds, and of those between them and their base."""
    bases = {*field_types(ExperimentConfig).values(), FeatureConfig}
    tables = (registry.MODELS, registry.TASKS, registry.FEATURES, registry.DATA)
    configs = [registry.resolve(entry.config) for table in tables for entry in table.values()]
    classes = {base for config in configs for base in config.__mro__} - bases
    return {cls.__name__ for cls in classes if cls.__name__.endswith("Config")}


def names_in(node: ast.AST) -> set[str]:
    """Names and attributes of an expression: {"GPTConfig"} of `transformers.GPTConfig`."""
    found = [getattr(part, "id", getattr(part, "attr", None)) for part in ast.walk(node)]
    return {name for name in found if name is not None}


def reads_kind(node: ast.AST) -> bool:
    """Whether an expression is the kind of something, as in `config.task.kind`."""
    if not isinstance(node, ast.Attribute) or node.attr != "kind":
        return False
    owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
    return owner not in OTHER_KINDS


def questions(source: str, classes: set[str]) -> Iterator[tuple[int, str]]:
    """(line, code) of every place that asks which kind of thing it has."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name("isinstance" | "issubclass"), args=[_, asked]):
                found = names_in(asked) & classes
            case ast.Compare(left, ops, comparators):
                sides = [left, *comparators]
                of_type = any(isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq) for op in ops)
                found = any(map(reads_kind, sides)) or (
                    of_type and set().union(*map(names_in, sides)) & classes
                )
            case ast.Match(subject):
                found = reads_kind(subject)
            case ast.MatchClass(cls):
                found = names_in(cls) & classes
            case _:
                continue
        if found:
            yield node.lineno, ast.unparse(node).splitlines()[0]


def implementations() -> set[str]:
    """'module.Class' of every task, feature and kind of data."""
    tables = (registry.TASKS, registry.FEATURES, registry.DATA)
    return {entry.implementation.replace(":", ".") for table in tables for entry in table.values()}


def imported(source: str, wanted: set[str]) -> Iterator[tuple[int, str]]:
    """(line, 'module.Class') of every class of `wanted` that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from ((node.lineno, name) for name in names & wanted)


def sources() -> list[Path]:
    files = [p for room in ("seqmodels", "experiments") for p in (ROOT / room).rglob("*.py")]
    names = {path: path.relative_to(ROOT).as_posix() for path in [*files, ROOT / "launch.py"]}
    return sorted(path for path, name in names.items() if not name.startswith(OWNERS))


def test_nothing_asks_for_a_kind() -> None:
    classes, paths = kind_classes(), sources()
    assert {"GPTConfig", "CellConfig", "TaggingConfig", "TextDataConfig", "TagsConfig"} <= classes
    assert not {"ModelConfig", "TaskConfig", "DataConfig", "FeatureConfig"} & classes
    assert len(paths) > 150
    found = [
        f"{path.relative_to(ROOT)}:{line}: {code}"
        for path in paths
        for line, code in questions(path.read_text(), classes)
    ]
    assert not found, "\n".join(found)


def test_nothing_names_the_class_of_a_kind() -> None:
    """Only the registry does, which imports by name, and what makes features without a data set: a
    stream of text, which is tokens, and an imported run."""
    wanted, paths = implementations(), sources()
    assert {"seqmodels.tasks.tagging.Tagging", "seqmodels.data.text.TextData"} <= wanted
    places = {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}
    found = {name for name, text in places.items() if list(imported(text, wanted))}
    assert found == {"seqmodels/data/text.py", "seqmodels/interop/importing.py"}


def test_an_import_of_a_class_is_found() -> None:
    line = "def late():\n    from seqmodels.data.features.tokens import EOS, Tokens as T\n"
    assert list(imported(line, implementations())) == [(2, "seqmodels.data.features.tokens.Tokens")]


@pytest.mark.parametrize(
    "line",
    [
        "wide = isinstance(config.model, GPTConfig)",
        "wide = isinstance(config.model, (transformers.GPTConfig, RecurrentConfig))",
        "wide = isinstance(task, TaggingConfig | ClassificationConfig)",
        "wide = issubclass(cls, CellConfig)",
        "wide = type(config.data) is TextDataConfig",
        "wide = config.task.kind == 'tagging'",
        "wide = 'tagging' != config.task.kind",
        "wide = task.kind in ('tagging', 'translation')",
        "wide = feature.config.kind not in TABLE",
        "match config.task.kind:\n    case 'tagging':\n        wide = True",
        "match config.task:\n    case TaggingConfig():\n        wide = True",
    ],
)
def test_a_question_is_found(line: str) -> None:
    assert len(list(questions(f"config = None\n{line}\n", kind_classes()))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "model = registry.MODELS[config.kind]",
        "wide = isinstance(spec.inputs, TokenInput)",
        "wide = isinstance(value, ModelConfig)",
        "wide = x.dtype.kind == 'f'",
        "raise ValueError(f'task.kind={config.task.kind}')",
        "match config.form:\n    case ConvolutionForm.TCN:\n        wide = True",
    ],
)
def test_what_is_not_such_a_question(line: str) -> None:
    assert not list(questions(line, kind_classes()))
