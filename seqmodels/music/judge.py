"""Quality of tunes: whether they parse, fill their bars, and are not copies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.tasks import Metric
from seqmodels.files import read_file
from seqmodels.music.abc_notation import Tune
from seqmodels.music.abc_reader import read_tune, read_tunes
from seqmodels.music.abc_text import body_of, cut_tunes
from seqmodels.music.copying import copied
from seqmodels.music.performance import perform
from seqmodels.music.sound import render

METRICS = (
    Metric("parsed", "share of tunes", lower_is_better=False),
    Metric("full", "share of tunes", lower_is_better=False),
    Metric("copied_whole", "share of tunes"),
    Metric("copied_share", "share of a tune"),
    Metric("longest_copy_mean", "characters"),
    Metric("longest_copy", "characters"),
)
"""What `judge` measures; the last four only in a comparison with training tunes."""


def read_samples(path: Path) -> tuple[list[Tune], int]:
    """Reads the tunes of an ABC file or of the JSON that `generate` writes.

    Returns:
      The tunes, and how many were left out because a generated text ends inside them.

    Raises:
      UserError: the file cannot be read, or holds no tune.
    """
    text = read_file(path)
    if path.suffix != ".json":
        tunes, unfinished = read_tunes(text), 0
    else:
        try:
            texts = json.loads(text)["texts"]
            if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(f"{path}: not an output of `generate`: no list `texts`") from None
        whole = [text[: _end_of_last(text)] for text in texts]
        unfinished = sum(one != text for one, text in zip(whole, texts, strict=True))
        tunes = [tune for one in whole for tune in read_tunes(one)]
    if not tunes:
        problem = (
            "complete tune; some are cut off" if unfinished else "tune: no line begins with X:"
        )
        raise UserError(f"{path}: has no {problem}")
    return tunes, unfinished


def _end_of_last(text: str) -> int:
    """Start of the last tune of a text if the text cuts it off, otherwise the end of the text."""
    last = text.rfind("\nX:") + 1
    return len(text) if "\n\n" in text[last:].lstrip("\n") else last


def first_tune(text: str) -> Tune:
    """Reads the first tune of a sampled text, which must be complete."""
    parts = cut_tunes(text)
    tune = read_tune(parts[0][1] if parts else text)
    ends = len(parts) > 1 or "\n\n" in text
    if not ends:
        tune.complain("unfinished", tune.line + text.count("\n"), "is cut off")
    return tune


def judge(tunes: Sequence[Tune], training: Sequence[str] = ()) -> dict[str, Any]:
    """Computes the shares of tunes that parse, that also have full bars, and that are copies.

    Args:
      tunes: sampled tunes.
      training: tunes that the model was trained on; empty for no comparison.

    Returns:
      A dict with num_tunes, parsed, full (shares), problems (number of tunes by kind) and, with
      training, copied_whole (share), copied_share (mean) and longest_copy (characters; mean, max).
    """
    kinds = Counter(kind for tune in tunes for kind in {p.kind for p in tune.problems})
    values: dict[str, Any] = {
        "num_tunes": len(tunes),
        "parsed": sum(tune.parses for tune in tunes) / len(tunes),
        "full": sum(tune.is_full for tune in tunes) / len(tunes),
        "problems": dict(sorted(kinds.items())),
    }
    if training:
        bodies = [body_of(tune) for tune in training]
        found = [copied(body_of(tune.text), bodies) for tune in tunes]
        mean = lambda name: sum(one[name] for one in found) / len(found)
        values |= {
            "copied_whole": mean("whole"),
            "copied_share": mean("share"),
            "longest_copy_mean": mean("longest"),
            "longest_copy": max(one["longest"] for one in found),
        }
    return values


def list_unplayed(tunes: Sequence[Tune]) -> list[str]:
    """Returns a line for each instruction, such as D.C., that is not played in some tunes."""
    where: dict[str, list[str]] = {}
    for tune in tunes:
        for mark, line in tune.unplayed.items():
            where.setdefault(mark, []).append(f"line {line}, {tune.name}")
    return [
        f"{mark} is not played; {len(found)} tunes have it, the first: {found[0]}"
        if len(found) > 1
        else f"{mark} is not played: {found[0]}"
        for mark, found in where.items()
    ]


def render_tunes(tunes: Sequence[Tune], folder: Path, most: int) -> list[dict[str, Any]]:
    """Writes ABC, MIDI, WAV and a picture for each of the first `most` tunes that parse.

    Returns:
      For each its number in `tunes` (from 1), name, seconds, crotchets and files.
    """
    chosen = [(number, tune) for number, tune in enumerate(tunes, 1) if tune.parses][:most]
    rows = []
    for number, tune in chosen:
        played, name = perform(tune), f"{number:03}"
        files = render(played, tune.name, folder, name)
        (folder / f"{name}.abc").write_text(tune.text, encoding="utf-8")
        values = {"seconds": played.seconds, "crotchets": float(played.length * 4)}
        rows.append({"number": number, "tune": tune.name, **values, "abc": f"{name}.abc", **files})
    return rows
