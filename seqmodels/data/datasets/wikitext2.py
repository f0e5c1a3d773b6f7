"""WikiText-2 (Merity et al., 2016, arXiv:1609.07843): 720 articles of Wikipedia, cut into words.

Rare words are <unk> in the text already. With data.tokenizer=word there are 33,278 different
tokens, <eos> among them, and the splits have 2,088,628, 217,646 and 245,569 tokens: the ones that
published perplexities are of. A document is an article; blank lines count as lines.

The files are those of the folder data.path, else of $SEQMODELS_DATA_DIR/data/wikitext2 where that
exists, else those that `prepare` downloads. Wherever they come from, they must be the published
ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.built import BuiltSource, BuiltText
from seqmodels.data.datasets.dataset import Documents
from seqmodels.data.datasets.origin import Published
from seqmodels.data.store import cache_directory

_FILES = {
    "train": "wiki.train.tokens",
    "validation": "wiki.valid.tokens",
    "test": "wiki.test.tokens",
}
WIKITEXT2 = Published(
    "wikitext2",
    {
        "wiki.train.tokens": (
            10_797_148,
            "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
        ),
        "wiki.valid.tokens": (
            1_121_681,
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
        ),
        "wiki.test.tokens": (
            1_256_449,
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
        ),
    },
    (
        "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
        "https://wikitext.smerity.com/wikitext-2-v1.zip",
    ),
)
"""The origin, which reportedly refuses since 2024, and the mirror of one of the authors. Not tested
against the servers."""

_ARTICLE = re.compile(r"(?:^|(?<=\n))(?= \n = (?!=)[^\n]*(?<!=) = \n \n)")
"""The beginning of an article: a blank line, then a top-level heading between blank lines."""


class WikiText2(BuiltText):
    """One example per article, in the order of the files. Column: text."""

    name = "wikitext2"
    about = "WikiText-2: articles of Wikipedia, cut into words; CC BY-SA 3.0."
    unit = "articles"

    @classmethod
    def open(cls, config: DataConfig) -> BuiltSource:
        """Returns the data set, prepared in the cache.

        Raises:
          UserError: data.path is not a folder with the three files.
        """
        cache = cache_directory(config)
        folder = WIKITEXT2.find(config.path, cache)
        description = f"WikiText-2 of {folder or ', '.join(WIKITEXT2.urls)}"
        documents = lambda: cut_articles(WIKITEXT2.read(folder))
        key = WIKITEXT2.fingerprint()
        return BuiltSource(cls, key, documents, _is_published, description, cache / "tfds")

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Downloads the files unless they are there."""
        WIKITEXT2.prepare(config.path, cache_directory(config))


def cut_articles(contents: Mapping[str, bytes]) -> Documents:
    """Cuts each file before the headings of its articles."""
    return {
        split: [part for part in _ARTICLE.split(contents[name].decode()) if part]
        for split, name in _FILES.items()
    }


def _is_published(documents: Documents) -> bool:
    try:
        joined = {name: "".join(documents[split]).encode() for split, name in _FILES.items()}
        WIKITEXT2.check(joined, "what was built")
    except (UserError, KeyError):
        return False
    return True
