"""The standard library as a corpus: which files, which split, built once."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

import pytest

from seqmodels.data.datasets.built import paragraphs
from seqmodels.data.datasets.python_source import read_library, split_files
from tests.data.sets import mistake, open_text

SHARED = "def a_function(of_some_length, that_two_files_have):\n    return of_some_length"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A standard library of a few hundred files, and what is none of it."""
    root = tmp_path / "lib"
    contents: dict[str, bytes] = {
        "zeta.py": "# zeta ž\n".encode(),
        "alpha.py": b"# -*- coding: latin-1 -*-\n# caf\xe9\r\n",
        "package/__init__.py": b"",
        "package/module.py": b"# module\n",
        "copy.py": b"\n# module\n\n",
        "package/tests/test_module.py": b"# test\n",
        "test/test_other.py": b"# test too\n",
        "idlelib/idle_test/test_idle.py": b"# idle\n",
        "site-packages/numpy.py": b"# numpy\n",
        "__pycache__/alpha.py": b"# cache\n",
        "config-3.11-x86_64/makefile.py": b"# linker\n",
        "_sysconfigdata__linux_.py": b"# paths\n",
        "pydoc_data/topics.py": b"# docs\n",
        "notes.txt": b"no source",
        "broken.py": b"# caf\xe9\n",
        "unknown.py": b"# coding: no-such-thing\n",
    }
    contents |= {f"encodings/cp{n}.py": f"# table {n}\n".encode() for n in range(99)}
    contents |= {f"many/m{n:03}.py": f"# many {n}\n".encode() for n in range(300)}
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_files_of_the_library_and_no_others(
    library: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = read_library(library)
    names = [name for name in texts if not name.startswith(("encodings/", "many/"))]
    # package/module.py is a copy of copy.py, package/__init__.py holds nothing.
    assert names == ["alpha.py", "copy.py", "zeta.py"]
    assert list(texts) == sorted(texts) and len(texts) == 3 + 99 + 300
    assert texts["alpha.py"] == "# -*- coding: latin-1 -*-\n# café\r\n"
    notes = [record.getMessage() for record in caplog.records]
    assert [note.split(":")[1] for note in notes] == [
        " broken.py is left out",
        " unknown.py is left out",
    ]


def test_whole_files_are_held_out_and_stay_so(library: Path) -> None:
    texts = read_library(library)
    splits = split_files(texts)
    assert list(splits) == ["train", "validation", "test"]
    assert sorted(text for kept in splits.values() for text in kept) == sorted(texts.values())
    assert all(len(splits[split]) > 10 for split in splits)
    assert {texts[name] for name in texts if name.startswith("encodings/")} <= set(splits["train"])
    # One file more changes the place of no other.
    more = split_files({**texts, "another.py": "# another\n"})
    for split, kept in splits.items():
        assert [text for text in more[split] if text != "# another\n"] == kept
    # What two files share is not tested on.
    held = splits["validation"][0]
    (name,) = (name for name, text in texts.items() if text == held)
    changed = {**texts, name: f"{held}\n\n{SHARED}\n", "zeta.py": f"{SHARED}\n\n# zeta\n"}
    assert changed[name] in split_files(changed)["train"]


def test_no_paragraph_of_this_python_is_shared_between_splits() -> None:
    texts = read_library(Path(sysconfig.get_path("stdlib")))
    splits = split_files(texts)
    seen = {name: set().union(*map(paragraphs, kept)) for name, kept in splits.items()}
    assert not seen["train"] & seen["validation"]
    assert not (seen["train"] | seen["validation"]) & seen["test"]
    sizes = {name: sum(map(len, kept)) for name, kept in splits.items()}
    assert sizes["train"] > 8_000_000
    assert all(0.01 < sizes[name] / sizes["train"] < 0.1 for name in ("validation", "test"))
    assert not any("site-packages" in name or "/test" in name for name in texts)


def test_built_once_and_again_where_the_library_changes(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(library))

    def opened() -> Any:
        return open_text("python_source", cache_dir=str(tmp_path / "cache"))

    first = opened()
    expected = split_files(read_library(library))
    assert {split: columns["text"] for split, columns in first.splits().items()} == expected
    assert len(expected["train"]) > 300
    assert opened().fingerprint() == first.fingerprint()
    (library / "zeta.py").write_text("# another zeta\n")
    changed = opened()
    assert changed.fingerprint() != first.fingerprint()
    assert "# another zeta\n" in changed.splits()["train"]["text"]
    assert len(list(tmp_path.glob("cache/tfds/python_source/files_*"))) == 2
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "none"))
    line = mistake(opened)
    assert "data.name=python_source: " in line and line.endswith("none holds no .py files")
