"""The rules of the house: who imports whom, what importing costs, which fields live, how long."""

from __future__ import annotations

import ast
import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqmodels import registry
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import CellConfig
from seqmodels.config.serialization import field_types
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

ROOT = Path(__file__).parents[1]
FOLDERS = ("seqmodels", "experiments", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
SOURCES.append(ROOT / "launch.py")
MAX_LINES, MAX_FUNCTION_LINES = 400, 50

LOW = {"types", "protocols", "config", "registry", "files"}
MODELS = LOW | {"native", "ops", "layers", "models"}
TASKS = MODELS | {"data", "decoding", "tasks"}
RUNS = TASKS | {"distributed", "runs"}
EVALUATION = RUNS | {"evaluation", "music", "allocator"}
MAY_IMPORT = {
    **{name: set[str]() for name in ("types", "registry", "allocator")},
    "protocols": {"types"},
    "config": {"registry"},
    "files": {"config"},
    "music": {"config", "files"},
    "native": {"config", "files"},
    "ops": LOW | {"native"},
    "layers": LOW | {"ops"},
    "models": MODELS,
    "decoding": MODELS,
    "data": LOW | {"music"},
    "tasks": TASKS,
    "distributed": LOW | {"layers"},
    "runs": RUNS,
    "evaluation": EVALUATION,
    **dict.fromkeys(("training", "interop", "sweeps", "benchmark"), EVALUATION | {"training"}),
    "look": EVALUATION,
    "planning": EVALUATION | {"training", "benchmark"},
}
ROOM_OF_TABLE = {"MODELS": "models", "CELLS": "layers", "TASKS": "tasks"}
"""Where the classes of a table of the registry live: looking one up is importing its room."""
LIGHT_LIBRARIES = {"jax", "flax", "optax", "jaxtyping", "numpy", "seqmodels"}
LIGHT_ROOMS = dict.fromkeys(("native", "ops", "layers", "models"), LIGHT_LIBRARIES)
LIGHT_ROOMS["benchmark"] = LIGHT_LIBRARIES | {"torch", "rich", "matplotlib"}  # where installed


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def nodes(text: str) -> list[ast.AST]:
    """Every node of a source; each source is parsed once."""
    return list(ast.walk(ast.parse(text)))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, wherever it does."""
    for node in nodes(path.read_text()):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "seqmodels").parts[0].removesuffix(".py")


def lookups(path: Path) -> Iterator[str]:
    """Tables of the registry that a file reads, of those in ROOM_OF_TABLE."""
    for node in nodes(path.read_text()):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "registry":
            yield from {node.attr} & set(ROOM_OF_TABLE)


def wrong_imports(path: Path) -> Iterator[str]:
    """What a source imports and must not."""
    found = list(imports(path))
    names = {name.partition(".")[0] for name in found}
    yield from names & {"tensorflow"}
    if path.name == "launch.py":
        return
    yield from names & {"launch"}
    if "seqmodels" not in path.relative_to(ROOT).parts:
        return
    yield from names & {"experiments", "tests"}
    room = room_of(path)
    if room == "__init__":
        return
    if room in LIGHT_ROOMS:  # which run on bare machines
        yield from names - LIGHT_ROOMS[room] - sys.stdlib_module_names
    used = {name.split(".")[1] for name in found if name.startswith("seqmodels.")}
    if room != "config":  # which resolves the classes of configs alone
        used |= {ROOM_OF_TABLE[table] for table in lookups(path)}
    yield from used - MAY_IMPORT[room] - {room}


def test_imports_point_one_way() -> None:
    sources = [path for path in SOURCES if "tests" not in path.parts]
    assert len(sources) > 100
    wrong = {name_of(path): sorted(wrong_imports(path)) for path in sources}
    assert not {name: found for name, found in wrong.items() if found}


@pytest.mark.parametrize(
    ("place", "line", "found"),
    [
        ("seqmodels/ops/new.py", "from seqmodels.layers import mlp", ["layers"]),
        ("seqmodels/models/new.py", "import pandas", ["pandas"]),
        ("seqmodels/data/new.py", "import tests.devices", ["tests"]),
        ("seqmodels/data/new.py", "from seqmodels import registry; registry.TASKS", ["tasks"]),
        ("seqmodels/training/new.py", "import tensorflow as tf", ["tensorflow"]),
        ("experiments/new.py", "import launch", ["launch"]),
    ],
)
def test_a_wrong_import_is_found(
    place: str, line: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(f"import jax\n\n\ndef late() -> None:\n    {line}\n")
    assert list(wrong_imports(path)) == found


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def modules(*folders: str) -> list[str]:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return sorted(name.removesuffix(".__init__") for name in names)


def test_importing_touches_no_device() -> None:
    code = f"""
import importlib, sys
for name in {modules("seqmodels", "experiments")}:
    importlib.import_module(name)
assert "tensorflow" not in sys.modules
import jax
assert not jax._src.xla_bridge._backends
"""
    done = run_python(code, JAX_PLATFORMS="bogus")
    assert done.returncode == 0, done.stderr


def test_the_front_door_imports_no_jax() -> None:
    code = """
import importlib, sys
import launch
for module in launch.COMMANDS.values():
    importlib.import_module(module)
import seqmodels.config.validate, seqmodels.registry, seqmodels
heavy = {"jax", "flax", "optax", "orbax", "tensorflow_datasets", "jaxtyping", "matplotlib"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_the_registry_resolves() -> None:
    for table in (*SECTIONS.values(), "CELLS", "DATASETS"):
        for name, entry in vars(registry)[table].items():
            assert isinstance(registry.resolve(entry.implementation), type), name
            assert entry.summary, name
            if table in SECTIONS.values():
                config = registry.resolve(entry.config)
                assert dataclasses.is_dataclass(config), name
                assert vars(config)["kind"] == name


@functools.cache
def config_classes() -> list[type]:
    tables = (registry.MODELS, registry.TASKS, registry.DATA, registry.FEATURES)
    entries = [entry for table in tables for entry in table.values()]
    found = dict.fromkeys(registry.resolve(entry.config) for entry in entries)
    return [*found, ExperimentConfig, OptimizerConfig, TrainingConfig, EvaluationConfig]


SECTIONS = {
    "model": "MODELS",
    "data": "DATA",
    "task": "TASKS",
    "feature": "FEATURES",
}


@functools.cache
def sections() -> dict[str, set[type]]:
    """The classes that each section of an experiment may hold."""
    found = {
        n: {registry.resolve(e.config) for e in vars(registry)[t].values()}
        for n, t in SECTIONS.items()
    }
    types = field_types(ExperimentConfig)
    return {**{n: {t} for n, t in types.items() if n not in SECTIONS}, **found}


def paired(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of what an assignment gives names to."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part in zip(target.elts, value.elts, strict=True):
            yield from paired(*part)
    elif isinstance(target, ast.Name):
        yield target.id, value


@functools.cache
def owners(config: type, field: str) -> set[str]:
    """Names of a config class and of those of its bases that have a field."""
    bases = [b for b in config.__mro__ if dataclasses.is_dataclass(b)]
    having = {b.__name__ for b in bases if field in {f.name for f in dataclasses.fields(b)}}
    return having | {config.__name__}


def own_reads(text: str) -> Iterator[tuple[type, str]]:
    """(class, field) of what the methods of the config classes in a file read of themselves."""
    for node in nodes(text):
        if isinstance(node, ast.ClassDef):
            heirs = [c for c in config_classes() if node.name in {b.__name__ for b in c.__mro__}]
            for part in ast.walk(node):
                if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                    yield from ((heir, part.attr) for heir in heirs)


@functools.cache
def fields_read(text: str) -> set[tuple[type, str]]:
    """(class, field) of every attribute that a file reads of what may be a config of that class.

    That is: of something called like the section, as in `config.training.seed` or `training.seed`;
    of a name that the file gives to such a section, or annotates with the class; of `self` in the
    class; or of `config` where the file names the class, or a base of it that has the field.
    """
    by_section = {name: set(types) for name, types in sections().items()}
    for node in nodes(text):
        if isinstance(node, ast.Assign):
            for name, value in paired(node.targets[0], node.value):
                section = getattr(value, "attr", None)
                if section in sections():
                    by_section.setdefault(name, set()).update(sections()[section])
    known = {b.__name__ for c in config_classes() for b in c.__mro__}
    for node in nodes(text):
        if isinstance(node, ast.arg) and node.annotation is not None:
            annotated = {ast.unparse(node.annotation)} & known
            heirs = {c for c in config_classes() if annotated & {b.__name__ for b in c.__mro__}}
            by_section.setdefault(node.arg, set()).update(heirs)
    words = {n.id for n in nodes(text) if isinstance(n, ast.Name)} & known
    read = set(own_reads(text))
    for node in nodes(text):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        owner = node.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        name = name.lstrip("_")
        named = {c for c in config_classes() if words & owners(c, node.attr)}
        named = named if name == "config" else set()
        read |= {(c, node.attr) for c in by_section.get(name, set()) | named}
    return read


def fields_of_cells() -> set[tuple[type, str]]:
    """(class, field) that `make_cell` hands to cells, which tests/models/test_cells.py holds to."""
    names = {name for entry in registry.CELLS.values() for name in entry.reads}
    names |= {"hidden_dim", "learned_initial_state"}
    return {(c, n) for c in config_classes() if issubclass(c, CellConfig) for n in names}


def dead_fields(texts: list[str], *added: str) -> set[str]:
    read = {pair for text in texts for pair in fields_read(text)} | fields_of_cells()
    return {
        f"{c.__name__}.{n}"
        for c in config_classes()
        for n in (*field_types(c), *added)
        if (c, n) not in read
    }


def without_checks(text: str) -> str:
    """A config module without the functions that only check values: reading is not an effect."""
    lines = text.splitlines()
    for node in nodes(text):
        if isinstance(node, ast.FunctionDef) and node.name.endswith("problems"):
            blank = f"{' ' * node.col_offset}pass"
            lines[node.lineno - 1 : node.end_lineno] = [blank] * (node.end_lineno - node.lineno + 1)
    return "\n".join(lines)


@functools.cache
def readers() -> list[str]:
    """The sources that give a field its effect; the module of a registered class counts as one that
    names the config of that class."""
    checks = ("validate", "overrides", "serialization", "files", "fields", "errors")
    texts = []
    for path in SOURCES:
        place, text = path.relative_to(ROOT).parts, path.read_text()
        if place[0] == "tests" or "configs" in place:
            continue
        if place[:2] == ("seqmodels", "config"):
            if path.stem in checks:
                continue
            text = without_checks(text)
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for table in SECTIONS.values():
            for entry in vars(registry)[table].values():
                if entry.implementation.startswith(f"{module}:"):
                    text += "\n" + entry.config.partition(":")[2]
        texts.append(text)
    return texts


def test_every_config_field_is_read() -> None:
    """A field that no code outside config/ reads does nothing, whatever it is set to."""
    assert not dead_fields(readers())


def test_a_field_that_nobody_reads_is_found() -> None:
    """Even where fields of other classes, or attributes of other things, have its name."""
    texts = readers()
    for added in ("name", "path", "order", "size", "batch_size"):
        without = {c for c in config_classes() if added not in field_types(c)} - {ExperimentConfig}
        found = dead_fields(texts, added)
        missed = {c.__name__ for c in without} - {name.partition(".")[0] for name in found}
        assert not missed, added
        assert {name.partition(".")[2] for name in found} == {added}


def test_a_field_that_is_read_no_longer_is_found() -> None:
    texts = [text.replace("config.warmup_steps", "100") for text in readers()]
    assert dead_fields(texts) == {"OptimizerConfig.warmup_steps"}


def own_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring and without the functions inside it."""
    span = lambda node: set(range(node.lineno, node.end_lineno + 1))
    lines = span(function)
    if ast.get_docstring(function) is not None:
        lines -= span(function.body[0])
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef) and node is not function:
            lines -= span(node)
    return len(lines)


def too_long(path: Path) -> Iterator[str]:
    text = path.read_text()
    if (lines := text.count("\n")) > MAX_LINES:
        yield f"{name_of(path)}: {lines} lines"
    for node in nodes(text):
        if isinstance(node, ast.FunctionDef) and own_lines(node) > MAX_FUNCTION_LINES:
            yield f"{name_of(path)}: {node.name} has {own_lines(node)} lines"


def test_ceilings() -> None:
    assert not [place for path in SOURCES for place in too_long(path)]


def test_rooms_are_not_deeper_than_agreed() -> None:
    for path in (ROOT / "seqmodels").rglob("*.py"):
        parts = path.relative_to(ROOT / "seqmodels").parts
        deeper = parts[:2] in (("data", "datasets"), ("data", "features"))
        assert len(parts) <= (3 if deeper else 2), name_of(path)


def test_the_shortened_tests_exist() -> None:
    """Those of which `make test` runs some cases only (conftest.py)."""
    tree = ast.parse((ROOT / "tests" / "conftest.py").read_text())
    (table,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_FIRST_CASES"
    )
    for name, tests in table.items():
        source = (ROOT / "tests" / name).read_text()
        assert not [test for test in tests if f"def {test}(" not in source], name
