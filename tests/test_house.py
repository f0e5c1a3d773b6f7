"""The rules of the house: who imports whom, what importing costs, which fields live, how long."""

from __future__ import annotations

import ast
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqmodels import registry
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import field_types
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

ROOT = Path(__file__).parents[1]
FOLDERS = ("seqmodels", "experiments", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
SOURCES.append(ROOT / "launch.py")
MAX_LINES, MAX_FUNCTION_LINES = 400, 50

LOW = {"types", "config", "registry"}
MAY_IMPORT = {
    "types": set(),
    "registry": set(),
    "config": {"registry"},
    "ops": LOW,
    "layers": LOW | {"ops"},
    "models": LOW | {"ops", "layers"},
    "data": LOW,
    "tasks": LOW | {"ops", "data"},
}
EVERY_ROOM = LOW | set(MAY_IMPORT) | {"training", "evaluation"}
"""Rooms above the registry may use all of those, one another's included."""
LIGHT_ROOMS = {"ops", "layers", "models", "benchmark"}
LIGHT_LIBRARIES = {"jax", "flax", "optax", "jaxtyping", "numpy", "seqmodels"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "seqmodels").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in SOURCES if "tests" not in p.parts], ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    names = {name.partition(".")[0] for name in imports(path)}
    assert "tensorflow" not in names
    if path.name == "launch.py":
        return
    assert "launch" not in names
    if "seqmodels" not in path.relative_to(ROOT).parts:
        return
    assert not names & {"experiments", "tests"}
    room = room_of(path)
    if room == "__init__":
        return
    if room in LIGHT_ROOMS:
        foreign = names - LIGHT_LIBRARIES - sys.stdlib_module_names
        assert not foreign, f"{room} runs on bare machines: {foreign}"
    used = {name.split(".")[1] for name in imports(path) if name.startswith("seqmodels.")}
    allowed = MAY_IMPORT.get(room, EVERY_ROOM) | {room}
    assert used <= allowed, f"{room} must not import {used - allowed}"


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


@pytest.mark.parametrize("table", ["MODELS", "TASKS", "DATASETS"])
def test_the_registry_resolves(table: str) -> None:
    for name, entry in vars(registry)[table].items():
        assert isinstance(registry.resolve(entry.implementation), type)
        config = registry.resolve(entry.config)
        assert dataclasses.is_dataclass(config)
        if table != "DATASETS":
            assert vars(config)["kind"] == name
        assert entry.summary


def config_classes() -> list[type]:
    tables = (registry.MODELS, registry.TASKS, registry.DATASETS)
    entries = [entry for table in tables for entry in table.values()]
    found = dict.fromkeys(registry.resolve(entry.config) for entry in entries)
    return [*found, ExperimentConfig, OptimizerConfig, TrainingConfig, EvaluationConfig]


def test_every_config_field_is_read() -> None:
    """A field that no code outside config/ reads does nothing, whatever it is set to."""
    read = set()
    for path in SOURCES:
        place = path.relative_to(ROOT).parts
        if "tests" in place or "configs" in place or place[:2] == ("seqmodels", "config"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
    dead = {f"{c.__name__}.{n}" for c in config_classes() for n in field_types(c) if n not in read}
    assert not dead


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


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_ceilings(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert own_lines(node) <= MAX_FUNCTION_LINES, node.name


def test_rooms_are_not_deeper_than_agreed() -> None:
    for path in (ROOT / "seqmodels").rglob("*.py"):
        parts = path.relative_to(ROOT / "seqmodels").parts
        assert len(parts) <= (3 if parts[:2] == ("data", "datasets") else 2), name_of(path)
