"""Multi30k: every direction, from its origin or a folder; texts in lower case, cut into words."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from seqmodels.data.pairs import PairData

from seqmodels.config.data import Language, PairsDataConfig, TextForm, TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.data.datasets import multi30k, origin, pair_source
from seqmodels.data.datasets.dates import Dates
from seqmodels.data.pipeline import load_data, prepare

CONTENTS = {
    f"{part}.{language}": "".join(f"{text}, {part} {i}.\n" for i in range(rows)).encode()
    for part, rows in (("train", 6), ("val", 2), ("test_2016_flickr", 3))
    for language, text in (("en", "A man's hat"), ("de", "Ein Männerhut"), ("fr", "Un chapeau"))
}


def settings(folder: Path, **fields: Any) -> PairsDataConfig:
    words = {"tokenizer": TokenizerKind.WORD, "form": TextForm.LOWER_WORDS}
    return PairsDataConfig(name="multi30k", cache_dir=str(folder / "cache"), **words, **fields)


def experiment(config: PairsDataConfig) -> ExperimentConfig:
    return ExperimentConfig(TransformerConfig(), config, TranslationConfig())


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


def test_only_the_two_languages_are_downloaded_and_once(tmp_path: Path, web: Web) -> None:
    config = experiment(settings(tmp_path))
    with pytest.raises(UserError, match="`python launch.py prepare --config=...` downloads it"):
        load_data(config)
    summary = prepare(config)
    names = [url.rpartition("/")[2] for url in web.asked]
    parts = ("train", "val", "test_2016_flickr")
    assert names == [f"{part}.{language}.gz" for part in parts for language in ("de", "en")]
    assert {n: split["pairs"] for n, split in summary["splits"].items()} == {
        "train": 6,
        "validation": 2,
        "test": 3,
    }
    data = load_data(config)
    assert isinstance(data, PairData) and len(web.asked) == 6
    prepare(experiment(settings(tmp_path, source_language=Language.FR)))
    assert [url.rpartition("/")[2] for url in web.asked[6:]] == [
        f"{part}.{language}.gz" for part in parts for language in ("fr", "en")
    ]


def test_another_rule_of_words_is_another_fingerprint() -> None:
    """Else the token store would go on with words that were cut by the old one."""
    source = Dates.source(PairsDataConfig())
    find = lambda form: pair_source.Formed(source, form).fingerprint()
    before = [find(form) for form in TextForm]
    assert before == [find(form) for form in TextForm]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_source, "_WORD_OR_MARK", re.compile(r"\S+"))
        same = [old == find(form) for old, form in zip(before, TextForm, strict=True)]
    assert same == [True, False]


def test_what_is_tokenised_has_the_form(tmp_path: Path, web: Web) -> None:
    config = settings(tmp_path, shared_vocabulary=False)
    prepare(experiment(config))
    data = load_data(experiment(config))
    assert sorted(data.encoding.target.to_json()["words"])[:4] == ["'s", ",", ".", "0"]
    assert {"männerhut", "ein"} < set(data.encoding.source.to_json()["words"])
    written = load_data(experiment(dataclasses.replace(config, form=TextForm.WRITTEN)))
    assert written.fingerprint != data.fingerprint
    assert "man's" in written.encoding.target.to_json()["words"]
