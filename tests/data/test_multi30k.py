"""Multi30k: every language, from its origin or a folder; texts in lower case, cut into words."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.features import TextForm, TokensConfig
from seqmodels.data.datasets import multi30k, origin
from seqmodels.data.datasets.dataset import normalise_text
from seqmodels.data.datasets.multi30k import Multi30k
from tests.data.helpers import data_root
from tests.data.sets import mistake, open_columns

CONTENTS = {
    f"{part}.{language}": "".join(f"{text}, {part} {i}.\n" for i in range(rows)).encode()
    for part, rows in (("train", 6), ("val", 2), ("test_2016_flickr", 3))
    for language, text in (("en", "A man's hat"), ("de", "Ein Männerhut"), ("fr", "Un chapeau"))
}


class Web:
    """The origin, with the contents above; keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        folder, _, name = url.rpartition("/")
        assert folder == multi30k.MULTI30K.urls[0] and name.endswith(".gz")
        return gzip.compress(CONTENTS[name.removesuffix(".gz")])


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    files = {n: (len(x), hashlib.sha256(x).hexdigest()) for n, x in CONTENTS.items()}
    assert files.keys() == multi30k.FILES.keys()
    small = dataclasses.replace(multi30k.MULTI30K, files=files)
    monkeypatch.setattr(multi30k, "MULTI30K", small)
    monkeypatch.delenv("SEQMODELS_DATA_DIR", raising=False)
    found = Web()
    monkeypatch.setattr(origin, "fetch", found)
    return found


def open_captions(folder: Path, *languages: str, **fields: Any) -> Any:
    columns = dict(zip(("source", "targets", "inputs"), languages, strict=False))
    return open_columns("multi30k", columns, cache_dir=str(folder / "cache"), **fields)


def prepare(folder: Path, *languages: str) -> None:
    features: Any = {
        role: TokensConfig(column=language)
        for role, language in zip(("source", "targets"), languages, strict=False)
    }
    cache = str(folder / "cache")
    Multi30k.prepare(ExamplesDataConfig(name="multi30k", cache_dir=cache, **features))


def test_only_the_languages_asked_for_are_downloaded_and_once(tmp_path: Path, web: Web) -> None:
    line = mistake(open_captions(tmp_path, "de", "en").splits)
    assert "`python launch.py prepare --config=...` downloads it" in line
    prepare(tmp_path, "de", "en")
    names = [url.rpartition("/")[2] for url in web.asked]
    parts = ("train", "val", "test_2016_flickr")
    assert names == [f"{part}.{language}.gz" for part in parts for language in ("de", "en")]
    splits = open_captions(tmp_path, "de", "en").splits()
    assert {name: [len(x) for x in columns.values()] for name, columns in splits.items()} == {
        "train": [6, 6],
        "validation": [2, 2],
        "test": [3, 3],
    }
    prepare(tmp_path, "de", "en")
    assert len(web.asked) == 6
    prepare(tmp_path, "fr", "en")
    assert [url.rpartition("/")[2] for url in web.asked[6:]] == [
        f"{part}.{language}.gz" for part in parts for language in ("fr", "en")
    ]


def test_a_folder_and_files_that_are_others(tmp_path: Path, web: Web) -> None:
    for name, content in CONTENTS.items():
        if not name.endswith("fr"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    path = {"path": str(tmp_path)}
    source = open_captions(tmp_path, "de", "en", **path)
    texts = source.splits()["test"]
    assert list(texts) == ["de", "en"]
    assert texts["de"][1] == "Ein Männerhut, test_2016_flickr 1."
    assert texts["en"][1] == "A man's hat, test_2016_flickr 1."
    assert source.locate("validation", 1) == "val.de, line 2" and not web.asked
    assert list(open_captions(tmp_path, "en", **path).splits()["train"]) == ["en"]
    prints = [open_captions(tmp_path, *of, **path).fingerprint() for of in (("de", "en"), ("en",))]
    assert prints[0] == source.fingerprint() != prints[1]
    line = mistake(lambda: open_captions(tmp_path, "fr", "en", **path))
    assert "has no train.fr and no val.fr" in line
    line = mistake(lambda: open_captions(tmp_path, "dee", "en", **path))
    assert line == "data.source.column=dee: is not a language of Multi30k; did you mean 'de'?"
    (tmp_path / "val.en.gz").write_bytes(gzip.compress(b"A man\n"))
    line = mistake(open_captions(tmp_path, "de", "en", **path).splits)
    assert "val.en is not the published file: 6 bytes" in line


def test_every_language_has_the_published_captions(tmp_path: Path) -> None:
    data_root()
    splits = open_captions(tmp_path, "de", "en", "fr").splits()
    counts = {name: [len(x) for x in columns.values()] for name, columns in splits.items()}
    assert counts == {"train": [29_000] * 3, "validation": [1014] * 3, "test": [1000] * 3}
    for pair in itertools.permutations(("de", "en", "fr"), 2):
        pairs = {
            name: set(zip(*(columns[language] for language in pair), strict=True))
            for name, columns in splits.items()
        }
        assert not pairs["test"] & (pairs["train"] | pairs["validation"])
    assert all(text for columns in splits.values() for texts in columns.values() for text in texts)
    turned = open_captions(tmp_path, "en", "de").splits()
    for name, columns in turned.items():
        assert columns == {language: splits[name][language] for language in ("en", "de")}
    first = splits["validation"]
    assert (first["de"][0], first["en"][0]) == (
        "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen",
        "A group of men are loading cotton onto a truck",
    )


FORMS = {
    # Vowel signs, viramas and joiners of Indic scripts, vowels of Arabic, tones of Thai.
    "हिन्दी में लिखा है।": "हिन्दी में लिखा है ।",
    "తెలుగు, বাংলা": "తెలుగు , বাংলা",
    "كَتَبَ الْوَلَدُ.": "كَتَبَ الْوَلَدُ .",
    "ภาษาไทย ง่าย": "ภาษาไทย ง่าย",
    "می\u200cخواهم کتاب": "می\u200cخواهم کتاب",
    "ന\u0d4d\u200d!": "ന\u0d4d\u200d !",
    "Cafe\u0301s \u0130stanbul": "cafe\u0301s i\u0307stanbul",
    "man's's\u0301 Haus\u00adtür": "man 's ' s\u0301 haus\u00adtür",
    "\u1781\u17d2\u1789\u17bb\u17c6\u200b\u179f": "\u1781\u17d2\u1789\u17bb\u17c6 \u179f",
    "👍🏽❤\ufe0f👨\u200d👩\u200d👧!": "👍🏽 ❤\ufe0f 👨\u200d👩\u200d👧 !",
    "A man's hat.": "a man 's hat .",
    "Un groupe d'hommes, au-dessus": "un groupe d ' hommes , au - dessus",
    "Männer\u00a0 (2)  „Hut“": "männer ( 2 ) „ hut “",
    "the dog\u2019s sofa": "the dog \u2019s sofa",
}


def test_lower_words() -> None:
    for text, expected in FORMS.items():
        found = normalise_text(text, TextForm.LOWER_WORDS)
        assert found == expected == normalise_text(found, TextForm.LOWER_WORDS)
        assert normalise_text(text, TextForm.WRITTEN) == text
