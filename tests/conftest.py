"""The rules of the suite: annotations are checked, warnings are errors, ranks are not promoted."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

# Before anything imports them: every annotated call of these rooms is checked at run time.
_CHECKED = [f"seqmodels.{room}" for room in ("ops", "layers", "models", "tasks")]
_hook = install_import_hook(_CHECKED, "beartype.beartype")

import jax  # noqa: E402

_ROOT = Path(__file__).parents[1]
_MAPPINGS, _MOST_MAPPINGS = Path("/proc/self/maps"), 15_000
# Rooms whose tests run apart from the others, and under which marker.
_MARKED = {"faults": "hard", "mutants": "hard", "peers": "peers"}
# Files that take longest: they start first, so that no worker waits for another at the end.
_SLOWEST = ("training/test_finetuning.py",)
# Threads that live as long as the process: pools of the libraries, kept on purpose.
_LASTING = ("pydevd", "execnet", "jax_", "Dummy", "asyncio", "ThreadPoolExecutor", "orbax")


def pytest_configure() -> None:
    os.environ.setdefault("SEQMODELS_CACHE_DIR", str(_ROOT / ".cache" / "data"))
    cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_ROOT / ".cache" / "xla"))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the rooms, and puts together what runs in one process, the slowest first."""
    order: dict[str, tuple[int, int]] = {}
    for item in items:
        path = item.path.relative_to(_ROOT / "tests")
        if path.parts[0] in _MARKED:
            item.add_marker(_MARKED[path.parts[0]])
        group = _group(item)
        item.add_marker(pytest.mark.xdist_group(group))
        rank = _SLOWEST.index(group) if group in _SLOWEST else len(_SLOWEST)
        order.setdefault(group, (rank, len(order)))
    items.sort(key=lambda item: order[_group(item)])


def _group(item: pytest.Item) -> str:
    """What runs in one process: the tests of a file, for its fixtures; those of one conformance
    case, for what it compiles; the mutants of one test, for that test."""
    path = item.path.relative_to(_ROOT / "tests")
    if path.parts[0] in ("conformance", "mutants") and isinstance(item, pytest.Function):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if name := parameters.get("group", parameters.get("name")):
            return f"{path.parts[0]} {name}"
    return path.as_posix()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Drops compiled programs after a group, and before they are too many for the process.

    Each of them is mapped into memory a few times, and Linux allows 65,530 mappings: the next
    program to be compiled would end the process.
    """
    result = yield
    ends = nextitem is None or _group(nextitem) != _group(item)
    if ends or _num_mappings() > 2 * _MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()
    return result


def _num_mappings() -> int:
    return _MAPPINGS.read_bytes().count(b"\n") if _MAPPINGS.exists() else 0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A test ends the threads that it starts."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.daemon]
    left = [t for t in left if t.is_alive() and not t.name.startswith(_LASTING)]
    assert not left, left


_COMPILED = "/jax/core/compile/backend_compile_duration"
_compilations: list[str] = []
_listens: list[bool] = []


def _listen(event: str, _: float, **kwargs: Any) -> None:
    if event == _COMPILED:
        _compilations.append(str(kwargs))


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Every compilation since the fixture was asked for, those found in the cache on disk too."""
    if not _listens:
        jax.monitoring.register_event_duration_secs_listener(_listen)
        _listens.append(True)
    _compilations.clear()
    yield _compilations
