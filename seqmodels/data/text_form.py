"""Forms of a text: as written, or in lower case and cut into words and marks."""

from __future__ import annotations

import re

from seqmodels.config.features import TextForm

_WORD_OR_MARK = re.compile(r"['\u2019]s\b|\w+|[^\w\s]")


def normalise_text(text: str, form: TextForm) -> str:
    """Returns a text in a form: "A man's hat." is "a man 's hat ." in lower_words."""
    return text if form is TextForm.WRITTEN else lower_words(text)


def lower_words(text: str) -> str:
    """Returns words and marks in lower case, separated by one space each."""
    return " ".join(_WORD_OR_MARK.findall(text.lower()))


def hash_form(fingerprint: str, form: TextForm) -> str:
    """Returns the fingerprint of texts once they are in a form: it includes the form's rule."""
    if form is TextForm.WRITTEN:
        return fingerprint
    return f"{fingerprint} {form} {_WORD_OR_MARK.pattern}"
