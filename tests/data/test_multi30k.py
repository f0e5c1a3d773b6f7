"""Multi30k: every direction, from its origin or a folder; texts in lower case, cut into words."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.data import Language, PairsDataConfig, TextForm, TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.data.datasets import multi30k, origin, pair_source
from seqmodels.data.datasets.dates import Dates
from seqmodels.data.datasets.multi30k import Multi30k
from seqmodels.data.datasets.pair_source import bring
from seqmodels.data.pairs import PairData
from seqmodels.data.pipeline import load_data, prepare
from tests.data.helpers import data_root

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


def test_a_folder_and_files_that_are_others(tmp_path: Path, web: Web) -> None:
    for name, content in CONTENTS.items():
        if not name.endswith("fr"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    config = settings(tmp_path, path=str(tmp_path))
    source = Multi30k.source(config)
    texts = source.pairs()["test"]
    assert texts[0][1] == "Ein Männerhut, test_2016_flickr 1."
    assert texts[1][1] == "A man's hat, test_2016_flickr 1."
    assert source.name("validation", 1) == "val.de, line 2" and not web.asked
    other = Multi30k.source(dataclasses.replace(config, source_language=Language.EN))
    assert other.fingerprint() != source.fingerprint()
    with pytest.raises(UserError, match=r"has no train.fr and no val.fr"):
        Multi30k.source(dataclasses.replace(config, source_language=Language.FR))
    (tmp_path / "val.en.gz").write_bytes(gzip.compress(b"A man\n"))
    with pytest.raises(UserError, match="val.en is not the published file: 6 bytes"):
        Multi30k.source(config).pairs()


def test_every_direction_has_the_published_pairs(tmp_path: Path) -> None:
    data_root()
    found = {}
    for source, target in itertools.permutations(Language, 2):
        config = settings(tmp_path, source_language=source, target_language=target)
        found[source, target] = Multi30k.source(config).pairs()
    for (source, target), splits in found.items():
        counts = {name: [len(side) for side in sides] for name, sides in splits.items()}
        assert counts == {"train": [29_000] * 2, "validation": [1014] * 2, "test": [1000] * 2}
        assert found[target, source] == {name: sides[::-1] for name, sides in splits.items()}
        pairs = {name: set(zip(*sides, strict=True)) for name, sides in splits.items()}
        assert not pairs["test"] & (pairs["train"] | pairs["validation"])
        assert all(text for sides in splits.values() for side in sides for text in side)
    first = found[Language.DE, Language.EN]["validation"]
    assert (first[0][0], first[1][0]) == (
        "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen",
        "A group of men are loading cotton onto a truck",
    )


FORMS = {
    "A man's hat.": "a man 's hat .",
    "Un groupe d'hommes, au-dessus": "un groupe d ' hommes , au - dessus",
    "Männer\u00a0 (2)  „Hut“": "männer ( 2 ) „ hut “",
    "the dog\u2019s sofa": "the dog \u2019s sofa",
}


@pytest.mark.parametrize("text", FORMS)
def test_lower_words(text: str) -> None:
    found = bring(text, TextForm.LOWER_WORDS)
    assert found == FORMS[text] == bring(found, TextForm.LOWER_WORDS)
    assert bring(text, TextForm.WRITTEN) == text


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
