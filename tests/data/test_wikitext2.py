"""WikiText-2 from a folder, from a server, and as it was published."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import io
import itertools
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from seqmodels.config.data import TextDataConfig
from seqmodels.data.datasets import wikitext2
from seqmodels.data.datasets.wikitext2 import WikiText2
from tests.data.helpers import data_root
from tests.data.sets import mistake, open_text

ARTICLES = {
    "train": [
        " \n = One = \n \n The <unk> of it . \n = no heading = \n \n = = Part = = \n \n More . \n",
        " \n = Two @-@ and = \n \n Sen\u014d . \n \n",
    ],
    "validation": [" \n = Three = \n \n Held out . \n \n"],
    "test": [" \n = Four = \n \n Tested . \n \n"],
}
NAMES = {
    "train": "wiki.train.tokens",
    "validation": "wiki.valid.tokens",
    "test": "wiki.test.tokens",
}
CONTENTS = {split: "".join(texts).encode() for split, texts in ARTICLES.items()}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The articles above are what was published, and no files are there."""
    sums = {
        NAMES[split]: (len(content), hashlib.sha256(content).hexdigest())
        for split, content in CONTENTS.items()
    }
    published = dataclasses.replace(wikitext2.WIKITEXT2, files=sums)
    monkeypatch.setattr(wikitext2, "WIKITEXT2", published)
    monkeypatch.delenv("SEQMODELS_DATA_DIR", raising=False)


def write(folder: Path, *, compressed: bool = False) -> Path:
    folder.mkdir(parents=True)
    for split, content in CONTENTS.items():
        if compressed:
            (folder / f"{NAMES[split]}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / NAMES[split]).write_bytes(content)
    return folder


def archive(**changed: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("wikitext-2/", "")
        for split, content in {**CONTENTS, **changed}.items():
            file.writestr(f"wikitext-2/{NAMES[split]}", content)
    return packed.getvalue()


def opened(tmp_path: Path, **fields: Any) -> Any:
    return open_text("wikitext2", cache_dir=str(tmp_path / "cache"), **fields)


def prepare(tmp_path: Path, **fields: Any) -> None:
    WikiText2.prepare(TextDataConfig(cache_dir=str(tmp_path / "cache"), **fields))


COLUMNS = {split: {"text": texts} for split, texts in ARTICLES.items()}


class Server(http.server.ThreadingHTTPServer):
    """Serves `answers` by path and keeps who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, bytes] = {}
        self.agents: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.agents.append(self.headers["User-Agent"])
        answer = server.answers.get(self.path)
        self.send_response(403 if answer is None else 200)
        self.send_header("Content-Length", str(len(answer or b"")))
        self.end_headers()
        self.wfile.write(answer or b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(small: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        urls = (serving.url("/first.zip"), serving.url("/second.zip"))
        published = dataclasses.replace(wikitext2.WIKITEXT2, urls=urls)
        monkeypatch.setattr(wikitext2, "WIKITEXT2", published)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield serving
        serving.shutdown()
        thread.join()


def test_files_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (compressed, named) in enumerate(itertools.product((False, True), repeat=2)):
        root = tmp_path / str(number)
        folder = write(root / "data" / "wikitext2", compressed=compressed)
        with monkeypatch.context() as patch:
            if not named:
                patch.setenv("SEQMODELS_DATA_DIR", str(root))
            source = opened(root, path=str(folder) if named else None)
            assert source.splits() == COLUMNS
    (info,) = root.glob("cache/tfds/wikitext2/articles_*/1.0.0/dataset_info.json")
    built: Any = tfds.builder_from_directory(str(info.parent)).as_data_source(split="train")
    assert [example["text"].decode() for example in built] == ARTICLES["train"]


def test_downloaded_once_and_verified(tmp_path: Path, server: Server) -> None:
    line = mistake(opened(tmp_path).splits)
    assert "not here yet; `python launch.py prepare --config=...` downloads it" in line
    assert not server.agents  # nothing is downloaded unasked
    server.answers["/second.zip"] = archive()
    prepare(tmp_path)
    assert opened(tmp_path).splits() == COLUMNS
    assert server.agents == ["seqmodels"] * 2  # the first refused
    prepare(tmp_path)
    assert opened(tmp_path).fingerprint() == wikitext2.WIKITEXT2.fingerprint()
    assert len(server.agents) == 2


def test_what_is_not_the_published_text_is_refused(tmp_path: Path, server: Server) -> None:
    server.answers = {"/first.zip": archive(test=b"other"), "/second.zip": archive()[:-30]}
    line = mistake(lambda: prepare(tmp_path))
    assert line.startswith("data.name=wikitext2: cannot download it (http://127.0.0.1")
    assert "first.zip: wiki.test.tokens is not the published file: 5 bytes of sha256 d9298a" in line
    assert "second.zip: File is not a zip file" in line
    server.answers = {"/second.zip": archive().replace(b"wiki.valid", b"wiki.other")}
    line = mistake(lambda: prepare(tmp_path))
    assert "first.zip: HTTP Error 403: Forbidden" in line
    assert "second.zip: has no wiki.valid.tokens" in line
    folder = write(tmp_path / "files")
    read = lambda: opened(tmp_path, path=str(folder)).splits()
    changed = CONTENTS["train"].replace(b" \n", b"\n")
    (folder / NAMES["train"]).write_bytes(changed)
    line = mistake(read)
    assert line.startswith(f"{folder}: wiki.train.tokens is not the published file: {len(changed)}")
    (folder / NAMES["train"]).unlink()
    (folder / f"{NAMES['train']}.gz").write_bytes(gzip.compress(CONTENTS["train"])[:-9])
    assert f"{NAMES['train']}.gz: cannot read (Compressed file ended" in mistake(read)
    (folder / f"{NAMES['train']}.gz").unlink()
    assert mistake(read) == (
        f"data.path={folder}: has no wiki.train.tokens; it must hold the files of wikitext2: "
        + ", ".join(NAMES.values())
    )
    assert mistake(lambda: prepare(tmp_path, path=str(folder))) == mistake(read)
    assert "is not a folder" in mistake(lambda: opened(tmp_path, path=str(folder / "none")))


def test_a_damaged_copy_is_built_again_of_the_files(tmp_path: Path) -> None:
    source = opened(tmp_path, path=str(write(tmp_path / "files")))
    assert source.splits() == COLUMNS
    (record,) = tmp_path.glob("cache/tfds/*/*/*/*-train.array_record-*")
    record.write_bytes(record.read_bytes().replace(b"One", b"Own"))
    assert source.splits() == COLUMNS


def test_the_published_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merity et al., 2016, table 1; the vocabulary is theirs and <eos>."""
    monkeypatch.undo()
    monkeypatch.setenv("SEQMODELS_DATA_DIR", str(data_root()))
    splits = {name: columns["text"] for name, columns in opened(tmp_path).splits().items()}
    words = {
        name: "".join(texts).replace("\n", " <eos> ").split() for name, texts in splits.items()
    }
    assert len({*words["train"]}) == 33_278
    assert {*words["validation"]} | {*words["test"]} <= {*words["train"]}
    assert {name: len(found) for name, found in words.items()} == {
        "train": 2_088_628,
        "validation": 217_646,
        "test": 245_569,
    }
    assert {name: len(texts) for name, texts in splits.items()} == {
        "train": 600,
        "validation": 60,
        "test": 60,
    }
