"""The rules of the suite: annotations are checked, warnings are errors, ranks are not promoted."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

# Before anything imports seqmodels: every annotated call of it is checked at run time.
_hook = install_import_hook("seqmodels", "beartype.beartype")

import jax  # noqa: E402

_ROOT = Path(__file__).parents[1]
_MAPPINGS, _MOST_MAPPINGS = Path("/proc/self/maps"), 30_000
_TESTS = itertools.count()
# Directories whose tests run apart from the others, and under which marker.
_MARKED = {"faults": "hard", "mutants": "hard", "peers": "peers"}
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
    for item in items:
        path = item.path.relative_to(_ROOT / "tests")
        room = path.parts[0]
        if room in _MARKED:
            item.add_marker(_MARKED[room])
        item.add_marker(pytest.mark.xdist_group(_group(item, room) or path.as_posix()))


def _group(item: pytest.Item, room: str) -> str | None:
    """What runs in one process: a conformance case, for what it compiles; a mutant by itself.

    None: the whole file, for its fixtures.
    """
    if room not in ("conformance", "mutants") or not isinstance(item, pytest.Function):
        return None
    name = getattr(item, "callspec", None) and item.callspec.params.get("name")
    return name and f"{room} {name}"


def pytest_runtest_logfinish() -> None:
    """Lets go of compiled programs before they are too many for the process.

    Each of them is mapped into memory a few times, and Linux allows 65,530 mappings: the next
    program to be compiled would end the process.
    """
    due = next(_TESTS) % 10 == 0 and _MAPPINGS.exists()
    if due and _MAPPINGS.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        jax.clear_caches()


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
