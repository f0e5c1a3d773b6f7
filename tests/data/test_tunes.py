"""Data sets of tunes: scales made by rule, irish_abc, and the user's own files."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets import irish_abc
from seqmodels.data.datasets.dataset import Documents, hash_documents
from seqmodels.data.datasets.irish_abc import split_tunes
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of
from seqmodels.music.abc_reader import read_tunes
from seqmodels.music.abc_text import body_of
from tests.data.helpers import data_root
from tests.data.sets import mistake, open_text
from tests.data.test_wikitext2 import Server

SPLITS = ("train", "validation", "test")


def tune(number: int, body: str, title: str = "A") -> str:
    return f"X:{number}\nT:{title}\nM:4/4\nL:1/8\nK:D\n{body}\n\n"


LETTERS = "ABCDEFGabcdefg"
MANY = [
    tune(i, f"{a}4{b}4|{b}8|") for i, (a, b) in enumerate((a, b) for a in LETTERS for b in LETTERS)
]


def opened(tmp_path: Path, name: str, **fields: Any) -> Any:
    return open_text(name, cache_dir=str(tmp_path / "cache"), **fields)


def texts_of(splits: Any) -> Documents:
    return {split: columns["text"] for split, columns in splits.items()}


def counts(splits: Any) -> dict[str, int]:
    return {split: len(columns["text"]) for split, columns in splits.items()}


def bodies(documents: Documents) -> dict[str, set[str]]:
    return {split: {body_of(t) for t in tunes} for split, tunes in documents.items()}


def test_no_body_is_in_two_splits() -> None:
    copies = [tune(i, f"{t.split('K:D')[1].strip()}!", "B") for i, t in enumerate(MANY)]
    dealt = deal_tunes([*MANY, *copies], 0.1, 0.05)
    found = bodies(dealt)
    assert {split: len(tunes) for split, tunes in dealt.items()} == {
        "train": 2 * 166,
        "validation": 2 * 20,
        "test": 2 * 10,
    }
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == len(MANY)


def test_the_split_of_a_tune_does_not_depend_on_the_order() -> None:
    one, other = bodies(deal_tunes(MANY, 0.1, 0.1)), bodies(deal_tunes(MANY[::-1], 0.1, 0.1))
    assert one == other
    assert set(deal_tunes(MANY, 0.1, 0.0)) == {"train", "validation"}
    with pytest.raises(UserError, match="test_fraction=0.1: 2 different tunes are too few to"):
        deal_tunes(MANY[:2], 0.1, 0.1)


def test_tunes_with_rare_characters_are_trained_on() -> None:
    odd = [tune(i, f"C8|D8|E{i}|", f"odd {chr(0x4E00 + i)}") for i in range(3, 9)]
    splits = split_tunes([*MANY, *odd])
    assert set(odd) <= set(splits["train"])
    assert splits["validation"] and splits["test"]
    assert sorted(t for parts in splits.values() for t in parts) == sorted([*MANY, *odd])


def test_oddities_are_counted_and_the_first_is_named(caplog: pytest.LogCaptureFixture) -> None:
    text = tune(1, "C8|") + tune(2, "C8|C7|C8|") + tune(3, "C8|k")
    with caplog.at_level(logging.WARNING):
        kept = tunes_of(text, "mine.abc", keep_broken=True)
    assert kept == [tune(1, "C8|"), tune(2, "C8|C7|C8|"), tune(3, "C8|k")]
    (record,) = caplog.records
    assert record.getMessage() == (
        "mine.abc: 2 of 3 tunes have oddities and stay as they are; the first: line 13, "
        "tune 2 'A': bar 2 has 7/8 of 1"
    )
    caplog.clear()
    tunes_of(tune(1, "C8|"), "mine.abc")
    assert not caplog.records


def test_what_is_not_abc_is_refused() -> None:
    with pytest.raises(UserError, match=r"mine.abc: not ABC: no line begins with X:"):
        tunes_of("All the world's a stage,\n", "mine.abc")
    text = tune(1, "C8|C7|C8|") + tune(2, "C8|C7|C8|k")
    with pytest.raises(UserError, match=r"^mine.abc: line 13, tune 2 'A': 'k' is not ABC$"):
        tunes_of(text, "mine.abc", strict=True)
    with pytest.raises(UserError, match=r"not ABC; 1 more of its tunes do not parse$"):
        tunes_of(text + tune(3, "k"), "mine.abc", strict=True)
    with pytest.raises(UserError, match=r"^mine.abc: line 6, tune 1 'A': 'k' is not ABC; 1 more"):
        tunes_of(tune(1, "k") + tune(2, "k"), "mine.abc")


def test_a_tune_that_does_not_parse_is_left_out_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = "".join(tune(i, "C8|k" if i % 2 else "C8|") for i in range(1, 45))
    with caplog.at_level(logging.WARNING):
        kept = tunes_of(text, "mine.abc")
    assert kept == [tune(i, "C8|") for i in range(2, 45, 2)]
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith(
        "mine.abc: 22 of 44 tunes do not parse and are left out: line 6, tune 1 'A': 'k' is not "
        "ABC; line 20, tune 3 'A': 'k' is not ABC; "
    )
    assert line.endswith("; and 2 more")


def test_defaults_of_the_file_are_in_every_tune() -> None:
    """Section 2.2.2: who extracts tunes inserts the fields of the file header."""
    text = "%abc-2.1\nM:3/4\nL:1/4\n+: % continued\nO:Here\n\nwords\n\nX:1\nT:A\nT:B\nK:D\nCDE|\n\n"
    text += "Abba | egg\n\nX:2\nT:C\nL:1/8\nK:D\nCDEFGA|\n"
    assert tunes_of(text, "mine.abc") == [
        "X:1\nT:A\nT:B\nM:3/4\nL:1/4\nO:Here\nK:D\nCDE|\n\n",
        "X:2\nT:C\nM:3/4\nO:Here\nL:1/8\nK:D\nCDEFGA|\n\n",
    ]


def test_scales_are_full_and_differ() -> None:
    documents = texts_of(open_text("scales").splits())
    assert {split: len(tunes) for split, tunes in documents.items()} == {
        "train": 1087,
        "validation": 55,
        "test": 58,
    }
    texts = [t for parts in documents.values() for t in parts]
    assert {text.split("\n")[0] for text in texts} == {f"X:{i}" for i in range(1, 1201)}
    assert all(t.is_full for text in texts[::9] for t in read_tunes(text))
    found = bodies(documents)
    assert sum(map(len, found.values())) == len(set().union(*found.values()))
    assert hash_documents(documents).startswith("f5924f90")


def test_own_files(tmp_path: Path) -> None:
    # A byte order mark before the first X: loses no tune.
    (tmp_path / "a.abc").write_text("\ufeff" + "".join(MANY[:100]).replace("\n", "\r\n"))
    (tmp_path / "b.abc").write_text("a word before\n" + "".join(MANY[100:]))
    both = {"path": str(tmp_path / "*.abc")}
    source = open_text("abc_file", **both)
    assert counts(source.splits()) == {"train": 176, "validation": 10, "test": 10}
    more = open_text("abc_file", test_fraction=0.2, **both)
    assert counts(more.splits())["test"] == 39
    assert more.fingerprint() != source.fingerprint()
    assert source.fingerprint() != open_text("text_file", **both).fingerprint()
    paths = {
        f"{s}_path": str(tmp_path / n) for s, n in zip(SPLITS, ("a.abc", "b.abc"), strict=False)
    }
    assert counts(open_text("abc_file", **paths).splits()) == {"train": 100, "validation": 96}
    tested = {"train_path": paths["train_path"], "test_path": paths["validation_path"]}
    cut = texts_of(open_text("abc_file", validation_fraction=0.1, **tested).splits())
    assert {split: len(tunes) for split, tunes in cut.items()} == {
        "train": 90,
        "validation": 10,
        "test": 96,
    }
    assert not bodies(cut)["train"] & bodies(cut)["validation"]
    (tmp_path / "b.abc").write_text(tune(1, "C8|") + tune(2, "C8|k"))
    assert counts(open_text("abc_file", **paths).splits()) == {"train": 100, "validation": 1}
    line = mistake(open_text("abc_file", strict=True, **paths).splits)
    assert line == f"{tmp_path}/b.abc: line 13, tune 2 'A': 'k' is not ABC"
    fields = dict(TextDataConfig(name="text_file", path="a", strict=True).problems())
    assert fields == {"strict": "is only for data.name=abc_file, not text_file"}
    line = mistake(lambda: open_text("abc_file"))
    assert "data.name=abc_file: data.path, or data.train_path must" in line


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves, and what it serves at /right/irish.abc is what was published."""
    text = "".join(MANY)
    files = {"irish.abc": (len(text), hashlib.sha256(text.encode()).hexdigest())}
    splits = hash_documents(split_tunes(tunes_of(text, "")))
    monkeypatch.setattr(irish_abc, "SPLITS_HASH", splits)
    monkeypatch.delenv("SEQMODELS_DATA_DIR", raising=False)
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        urls = (serving.url("/other"), serving.url("/right"))
        published = dataclasses.replace(irish_abc.IRISH_ABC, files=files, urls=urls)
        monkeypatch.setattr(irish_abc, "IRISH_ABC", published)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield serving
        serving.shutdown()
        thread.join()


def test_irish_abc_is_downloaded_once_and_verified(tmp_path: Path, server: Server) -> None:
    prepare = lambda: irish_abc.IrishABC.prepare(TextDataConfig(cache_dir=str(tmp_path / "cache")))
    line = mistake(opened(tmp_path, "irish_abc").splits)
    assert "not here yet; `python launch.py prepare" in line
    assert not server.agents
    server.answers["/other/irish.abc"] = b"X:1\nother"
    line = mistake(prepare)
    assert "other: irish.abc is not the published file: 9 bytes of sha" in line
    assert "abc_file reads other files" in line
    server.answers["/right/irish.abc"] = "".join(MANY).encode()
    asked = len(server.agents)
    prepare()
    splits = opened(tmp_path, "irish_abc").splits()
    assert counts(splits)["validation"] == 10
    prepare()
    assert opened(tmp_path, "irish_abc").splits() == splits
    assert len(server.agents) == asked + 2


def test_a_damaged_copy_of_irish_abc_is_made_again(tmp_path: Path, server: Server) -> None:
    file = tmp_path / "irish.abc"
    file.write_text("".join(MANY))
    source = opened(tmp_path, "irish_abc", path=str(tmp_path))
    splits = source.splits()
    (record,) = tmp_path.glob("cache/tfds/*/*/*/*-train.array_record-*")
    record.write_bytes(record.read_bytes().replace(b"K:D", b"K:E", 1))
    assert source.splits() == splits
    assert opened(tmp_path / "other", "irish_abc", path=str(file)).splits() == splits
    line = mistake(lambda: opened(tmp_path, "irish_abc", path=str(tmp_path / "none")))
    assert "there is no such file or folder; " in line and " irish_abc: irish.abc" in line


def test_the_published_irish_abc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A real collection: of 804 tunes 12 have slips, as wrong bars and fields that hold music."""
    monkeypatch.setenv("SEQMODELS_DATA_DIR", str(data_root()))
    with caplog.at_level(logging.WARNING):
        splits = opened(tmp_path, "irish_abc").splits()
    assert "12 of 804 tunes have oddities" in caplog.text
    assert counts(splits) == {"train": 724, "validation": 40, "test": 40}
    symbols = {split: set("".join(tunes)) for split, tunes in texts_of(splits).items()}
    assert len(symbols["train"]) == 83
    assert symbols["validation"] | symbols["test"] <= symbols["train"]
