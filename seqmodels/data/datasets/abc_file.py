"""`abc_file`: the user's own ABC files; a document is a tune."""

from __future__ import annotations

from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.dataset import Documents
from seqmodels.data.datasets.text_file import TextFile
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of

_RULE = 2
"""Version of what belongs to a tune, and of which tunes parse."""


class ABCFile(TextFile):
    """ABC files, cut into tunes where a line begins with 'X:'. Column: text, a tune per row.

    A tune has the fields of the file header, where there is one. Text outside tunes, and tunes that
    do not parse, are left out.

    With data.path a hash of a tune's notes decides its split, so that no two splits have tunes of
    the same notes; with a path per split, the user does.
    """

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config)
        self._strict = config.strict

    def fingerprint(self) -> str:
        rule = f"tunes {_RULE} strict" if self._strict else f"tunes {_RULE}"
        return f"{rule} {super().fingerprint()}"

    def rule(self) -> tuple[str, ...]:
        return ("tunes",)

    def documents(self) -> Documents:
        tunes = {
            field: [
                tune
                for file, text in zip(self._files[field], texts, strict=True)
                for tune in tunes_of(text, str(file), strict=self._strict)
            ]
            for field, texts in self.texts().items()
        }
        return self._own.arrange(tunes, deal_tunes)
