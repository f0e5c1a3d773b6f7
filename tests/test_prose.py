"""Plain English: phrases that no docstring, comment, message or page may have.

The list is that of CONTRIBUTING.md. A phrase is looked for in docstrings, comments and string
literals of the code, and in the text of the pages outside of code blocks.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("seqmodels", "experiments")
PHRASES = {
    r"\b(?<!there )(?<!There )(is|are) no "
    r"(?!longer|more|less|fewer|other|different|better|worse)\w": "is not a",
    r"\bgoes? on\b": "continues",
    r"\bwent on\b": "continued",
    r"\bgone on with\b": "continued",
    r"\banew\b": "again",
    r"\balike\b": "the same way",
    r"\btold\b": "reported",
    r"\btells?\b": "reports, returns, says",
    r"\bheeds?\b": "depends on",
    r"\bat hand\b": "available",
    r"\b(?<!one )(?<!that )stands? (for|in|behind|before|beside|there)\b": "is",
    r"\bbrought into\b": "converted to",
    r"\bdeals? (them )?out\b": "distributes",
    r"\ba (lstm|lru|mlp|ngram|rnn|aaren|irnn)\b": "an",
    r"\ban (gru|gpt|bert|vit|seq2seq|transformer)\b": "a",
    r"\bbehind\b": "after",
    r"\bof like length\b": "of similar length",
    r"\b(one|a name|a line|an? \w+) a (row|side|split|line|step|device|process)\b": "per",
}
STARTS = re.compile(r"(What|Where)\b")
HERE = Path(__file__).name


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every docstring, string literal and comment of a file."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def docstrings_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, docstring) of a module, its classes and its functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


def page_texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of a page, code blocks left out."""
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and not line.startswith("    "):
            yield number, line


def offences() -> Iterator[str]:
    """file:line: phrase, and what to write instead."""
    files = [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))]
    files.append(ROOT / "launch.py")
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    found = [(p, t) for p in files for t in texts_of(p)]
    found += [(p, t) for p in pages if p.name != "CONTRIBUTING.md" for t in page_texts(p)]
    for path, (line, text) in found:
        for phrase, better in PHRASES.items():
            for match in re.finditer(phrase, text):
                at = line + text.count("\n", 0, match.start())
                yield f"{path.relative_to(ROOT)}:{at}: {match[0]!r}: {better}"
    for path in files:
        for line, text in docstrings_of(path):
            if STARTS.match(text):
                yield f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]!r}: a noun or a verb"


def test_prose_is_plain_english() -> None:
    found = list(offences())
    assert not found, "\n".join(found)
