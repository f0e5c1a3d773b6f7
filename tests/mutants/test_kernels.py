"""Wrong versions of the kernels in C++, each of which a test of tests/native must reject."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seqmodels.native import library
from tests.native import test_attention as attention
from tests.native import test_lstm as lstm

pytestmark = pytest.mark.xdist_group("native")

_LSTM = (lstm.test_values_and_gradients_are_those_of_the_loop, ((100, 3, 33, 7), True))
_BLOCKS = attention.test_values_and_gradients_are_those_of_blocks
_FINITE = (attention.test_what_is_not_finite_reaches_those_who_see_it_and_no_gradient, ())

MUTANTS: dict[str, tuple[str, str, str, Callable[..., None], tuple[Any, ...]]] = {
    "documents start from the first state of the chunk": (
        *("lstm.cc", "set(row, restart);", "set(row, first_states);"),
        *_LSTM,
    ),
    "the gradient does not pass over padding": (
        *("lstm.cc", "Copy(by_h, kept.get() + row * stride, s);", "{}"),
        *_LSTM,
    ),
    "the slope of the forget gate is missing": (
        *("lstm.cc", "by_c * before * f * (1.0f - f)", "by_c * before * f"),
        *_LSTM,
    ),
    "U has the gradient of the states after the step": (
        *("lstm.cc", ": hs + (position - 1) * s.units", ": hs + position * s.units"),
        *_LSTM,
    ),
    "keys that some queries of a block see are skipped": (
        *("attention.cc", "(mask.causal && farthest < 0)", "(mask.causal && nearest < 0)"),
        *(_BLOCKS, attention.CASES[2]),
    ),
    "a window has one key more": (
        *("attention.cc", "(distance < window)", "(distance <= window)"),
        *(_BLOCKS, attention.CASES[4]),
    ),
    "a panel of two documents is seen as a whole": (
        *("attention.cc", "one && key + kPanel", "key + kPanel"),
        *(_BLOCKS, attention.CASES[5]),
    ),
    "a group of heads has the keys of the first group": (
        *("attention.cc", "at = n * s.keys * s.width, shared", "at = 0 * s.keys, shared"),
        *(_BLOCKS, attention.CASES[2]),
    ),
    "a query without a result has a gradient": (
        *("attention.cc", "if (broken) inverse[query] = 0.0f;", ""),
        *_FINITE,
    ),
    "large numbers are not clamped": (
        *("functions.h", "x > 9.0f ? 9.0f * one : x", "x"),
        *(lstm.test_large_numbers_saturate_and_nan_stays_in_its_row, ()),
    ),
}


@pytest.fixture
def rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sources, from which the kernels of this test are compiled."""
    sources = tmp_path / "sources"
    shutil.copytree(library.SOURCES, sources)
    monkeypatch.setattr(library, "SOURCES", sources)
    quick = ["-O1" if flag == "-O3" else flag for flag in library.FLAGS]
    monkeypatch.setattr(library, "FLAGS", tuple(quick))
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path / "cache"))
    library._loaded.cache_clear()
    yield sources
    library._loaded.cache_clear()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_kernel_is_rejected(name: str, rebuilt: Path) -> None:
    file, old, new, test, arguments = MUTANTS[name]
    source = (rebuilt / file).read_text("utf-8")
    assert source.count(old) >= 1, "a stale mutant"
    (rebuilt / file).write_text(source.replace(old, new), "utf-8")
    try:
        library.load()
    except library.NativeError as error:
        if "no such compiler" not in str(error):
            raise
        pytest.skip(str(error))
    with pytest.raises(AssertionError):
        test(*arguments)
