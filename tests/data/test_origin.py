"""Files that others published: from a folder, from a server, and as they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.data.datasets import origin
from seqmodels.data.datasets.origin import Published

CONTENTS = {"a.txt": b"one\n", "b.txt": b"two\n"}
FILES = {name: (len(x), hashlib.sha256(x).hexdigest()) for name, x in CONTENTS.items()}


def archive(contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"set/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return packed.getvalue()


class Web:
    """Answers by URL, and what was asked for."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.answers:
            raise OSError("HTTP Error 404")
        return self.answers[url]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    found = Web({})
    monkeypatch.setattr(origin, "fetch", found)
    monkeypatch.delenv("SEQMODELS_DATA_DIR", raising=False)
    return found


def test_downloaded_once_and_verified(tmp_path: Path, web: Web) -> None:
    published = Published("set", FILES, ("http://x/set.tar.gz", "http://y/files"), ".gz")
    assert published.find(None, tmp_path) is None
    with pytest.raises(UserError, match="`python launch.py prepare --config=...` downloads it"):
        published.read(None)
    web.answers = {"http://x/set.tar.gz": archive({**CONTENTS, "b.txt": b"other"})}
    with pytest.raises(UserError) as raised:
        published.prepare(None, tmp_path)
    assert "set.tar.gz: b.txt is not the published file: more than 4 bytes" in str(raised.value)
    assert "http://y/files: HTTP Error 404" in str(raised.value)
    assert published.find(None, tmp_path) is None
    web.answers |= {f"http://y/files/{n}.gz": gzip.compress(x) for n, x in CONTENTS.items()}
    published.prepare(None, tmp_path)
    folder = published.find(None, tmp_path)
    assert published.read(folder) == CONTENTS
    count = len(web.asked)
    published.prepare(None, tmp_path)
    assert len(web.asked) == count
    web.answers = {"http://x/set.tar.gz": archive(CONTENTS)}
    published.prepare(None, tmp_path / "other")
    assert published.read(published.find(None, tmp_path / "other")) == CONTENTS


def test_files_of_a_folder(tmp_path: Path, web: Web) -> None:
    published = Published("set", FILES, ())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(CONTENTS["a.txt"]))
    with pytest.raises(UserError, match=r"has no b.txt; it must hold the files of set: a.txt, b"):
        published.find(str(tmp_path), tmp_path)
    (tmp_path / "b.txt").write_bytes(b"two")
    folder = published.find(str(tmp_path), tmp_path)
    with pytest.raises(UserError, match=r"b.txt is not the published file: 3 bytes"):
        published.read(folder)
    assert published.only(["a.txt"]).read(folder) == {"a.txt": CONTENTS["a.txt"]}
    with pytest.raises(UserError, match="is not a folder"):
        published.find(str(tmp_path / "none"), tmp_path)


def test_a_small_download_that_unpacks_to_much_is_read_in_part(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bomb: 64 MB of zeros in 64 kB; of each kind of download no more is unpacked than needed."""
    bomb = bytes(1 << 26)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in CONTENTS:
            file.writestr(name, bomb)
    web.answers = {
        "http://x/set.zip": packed.getvalue(),
        "http://x/set.tar.gz": archive({"z.txt": bomb, **CONTENTS}),
        **{f"http://x/{name}.gz": gzip.compress(bomb) for name in CONTENTS},
    }
    monkeypatch.setattr(origin, "_MAX_UNPACKED", 1 << 20)
    published = Published(
        "set", FILES, ("http://x/set.zip", "http://x/set.tar.gz", "http://x"), ".gz"
    )
    tracemalloc.start()
    with pytest.raises(UserError) as raised:
        published.prepare(None, tmp_path)
    (tmp_path / "a.txt.gz").write_bytes(web.answers["http://x/a.txt.gz"])
    one = published.only(["a.txt"])
    with pytest.raises(UserError, match="more than 4 bytes"):
        one.read(one.find(str(tmp_path), tmp_path))
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    assert str(raised.value).count("a.txt is not the published file: more than 4 bytes") == 2
    assert "http://x/set.tar.gz: " in str(raised.value)
