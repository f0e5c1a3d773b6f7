"""`abc_file`: the user's own ABC files; a document is a tune."""

from __future__ import annotations

from seqmodels.data.datasets.dataset import Documents
from seqmodels.data.datasets.text_file import TextFile
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of


class ABCFile(TextFile):
    """ABC files, cut into tunes where a line begins with 'X:'. Column: text, a tune per row.

    With data.path a hash of a tune's notes decides its split, so that no two splits have tunes of
    the same notes; with a path per split, the user does.
    """

    def fingerprint(self) -> str:
        return f"tunes {super().fingerprint()}"

    def rule(self) -> tuple[str, ...]:
        return ("tunes",)

    def documents(self) -> Documents:
        tunes = {
            field: [
                tune
                for file, text in zip(self._files[field], texts, strict=True)
                for tune in tunes_of(text, str(file))
            ]
            for field, texts in self.texts().items()
        }
        return self._own.arrange(tunes, deal_tunes)
