"""How the kernels in C++ are compiled and kept, and what happens where they cannot be."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.native import library
from seqmodels.ops.lstm import LSTMState, lstm
from seqmodels.runs.provenance import (
    code_digests,
    differing_origin,
    note_origin,
    read_origins,
)
from tests.test_house import MAX_LINES

pytestmark = pytest.mark.xdist_group("native")  # one process compiles them


def test_sources_keep_the_ceilings_of_the_house() -> None:
    """ruff measures the lines of Python alone."""
    for path in library.SOURCES.glob("*.[ch]*"):
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= MAX_LINES, path.name
        assert not [n for n, line in enumerate(lines, 1) if len(line) > 100], path.name


def test_a_compiled_library_is_kept_under_what_it_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = library.compile_library()
    assert path.stat().st_mode & 0o777 == 0o755
    monkeypatch.setenv("CXX", "/bin/false")  # a compiler is asked for its version alone
    monkeypatch.setattr(library, "_find_compiler", lambda: "/bin/false")
    with pytest.raises(library.NativeError, match="/bin/false"):
        library.compile_library()  # another compiler, another name
    monkeypatch.undo()
    before = path.stat().st_mtime_ns
    assert library.compile_library() == path
    assert path.stat().st_mtime_ns == before
    monkeypatch.setattr(library, "_processor", lambda: "another one")
    monkeypatch.setattr(library, "FLAGS", ("--no-such-flag",))
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path))
    with pytest.raises(library.NativeError, match="no-such-flag"):
        library.compile_library()


def test_a_run_notes_which_kernels_took_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library.SWITCH, "1")
    note_origin(tmp_path, 0, "one CPU")
    (entry,) = read_origins(tmp_path)
    assert entry["versions"]["kernels"] == library.compile_library().stem
    assert not differing_origin(tmp_path, 0, 5, "one CPU")
    monkeypatch.setenv(library.SWITCH, "0")
    (line,) = differing_origin(tmp_path, 0, 5, "one CPU")
    assert line == f"kernels {library.compile_library().stem} -> none"
    assert "seqmodels/native/lstm.cc" in code_digests()


def test_a_library_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(library, "compile_library", lambda: broken)
    monkeypatch.setattr(library, "_loaded", library._loaded.__wrapped__)
    with pytest.raises(library.NativeError, match="broken.so"):
        library.load()


def test_what_failed_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def fail() -> Path:
        tried.append(1)
        raise library.NativeError("no good")

    monkeypatch.setattr(library, "compile_library", fail)
    monkeypatch.setattr(library, "_loaded", functools.cache(library._loaded.__wrapped__))
    for _ in range(2):
        with pytest.raises(library.NativeError, match="no good"):
            library.load()
    assert len(tried) == 1


@pytest.mark.parametrize("problem", ["no compiler", "a compiler that fails", "no directory"])
def test_without_a_library_the_loop_runs_and_the_reason_is_logged_once(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path / "cache"))
    if problem == "no compiler":
        monkeypatch.setenv("CXX", "no-such-compiler")
    elif problem == "a compiler that fails":
        compiler = tmp_path / "compiler"
        compiler.write_text("#!/bin/sh\necho 'lstm.cc:1: error: no good' >&2\nexit 1\n", "utf-8")
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", str(compiler))
        # It is asked for its version first.
        monkeypatch.setattr(library, "_version", lambda _: "1")
    else:
        (tmp_path / "cache").write_text("a file", "utf-8")
    monkeypatch.setenv(library.SWITCH, "1")
    monkeypatch.setattr(library, "_loaded", library._loaded.__wrapped__)
    x, state = jnp.ones((16, 9, 3)), LSTMState(jnp.zeros((16, 5)), jnp.zeros((16, 5)))
    arguments = (x, state, jnp.ones((3, 20)), jnp.ones((5, 20)), jnp.ones(20))
    with caplog.at_level(logging.WARNING):
        y, _ = lstm(*arguments)
        lstm(*arguments)
    np.testing.assert_array_equal(y, lstm(*arguments, implementation="loop")[0])
    reason = {
        "no compiler": "no-such-compiler: no such compiler",
        "a compiler that fails": "lstm.cc:1: error: no good",
        "no directory": str(tmp_path / "cache"),
    }[problem]
    (line,) = [r.getMessage() for r in caplog.records if "kernels in C++" in r.getMessage()]
    assert reason in line
    with pytest.raises(library.NativeError, match=reason):
        lstm(*arguments, implementation="native")
    if problem == "a compiler that fails":
        assert not list((tmp_path / "cache" / "kernels").iterdir())  # nothing half written
