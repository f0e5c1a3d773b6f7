"""Common parts of the data sets of ABC tunes: a document is a tune."""

from __future__ import annotations

import hashlib
import logging

from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import SPLITS, Documents
from seqmodels.music.abc_notation import Problem, Tune
from seqmodels.music.abc_reader import read_tunes
from seqmodels.music.abc_text import body_of

_log = logging.getLogger(__name__)
_MOST_SHOWN = 20  # tunes that a warning names


def deal_tunes(tunes: list[str], validation: float, test: float) -> Documents:
    """Assigns tunes to train, validation and test by a hash of their notes.

    Tunes of the same notes are in one split, whatever their titles, numbers and layout. A held-out
    split has its fraction of the distinct bodies, at least one where the fraction is above 0.

    Args:
      tunes: in the order of the file, which each split keeps.
      validation, test: fractions.

    Raises:
      UserError: there are fewer tunes than splits.
    """
    bodies = [body_of(tune) for tune in tunes]
    drawn = sorted(set(bodies), key=lambda body: hashlib.sha256(body.encode()).digest())
    sizes = [max(1, round(part * len(drawn))) if part else 0 for part in (validation, test)]
    if sum(sizes) >= len(drawn):
        raise UserError(
            f"data.validation_fraction={validation} and data.test_fraction={test}: {len(drawn)} "
            f"different tunes are too few to hold {sum(sizes)} of them out"
        )
    held = dict.fromkeys(drawn[: sizes[0]], SPLITS[1])
    held |= dict.fromkeys(drawn[sizes[0] : sum(sizes)], SPLITS[2])
    splits: Documents = {split: [] for split in SPLITS}
    for tune, body in zip(tunes, bodies, strict=True):
        splits[held.get(body, SPLITS[0])].append(tune)
    return {split: found for split, found in splits.items() if found}


def tunes_of(
    text: str, where: str, *, strict: bool = False, keep_broken: bool = False
) -> list[str]:
    """Cuts the text of a file into tunes, each followed by one blank line.

    A tune has the fields of the file header that its own header lacks. Tunes that do not parse are
    left out; a warning names them. Another reports how many tunes have bars that their metre does
    not fill, and the first of them; they stay as they are.

    Args:
      text: of the file.
      where: its path, for messages.
      strict: whether a tune that does not parse is an error.
      keep_broken: whether tunes that do not parse stay.

    Raises:
      UserError: there is no tune, or none that parses, or with `strict` one does not; names file,
        line and tune.
    """
    tunes = read_tunes(text)
    if not tunes:
        raise UserError(f"{where}: not ABC: no line begins with X:, as each tune must")
    broken = [tune for tune in tunes if not tune.parses]
    if broken and not keep_broken:
        if strict or len(broken) == len(tunes):
            raise UserError(f"{where}: {_why(broken[0])}{_others(broken)}")
        shown = [str(_why(tune)) for tune in broken[:_MOST_SHOWN]]
        if len(broken) > len(shown):
            shown.append(f"and {len(broken) - len(shown)} more")
        _log.warning(
            "%s: %d of %d tunes do not parse and are left out: %s",
            *(where, len(broken), len(tunes), "; ".join(shown)),
        )
    kept = tunes if keep_broken else [tune for tune in tunes if tune.parses]
    odd = [tune for tune in kept if not tune.is_full]
    if odd:
        _log.warning(
            "%s: %d of %d tunes have oddities and stay as they are; the first: %s",
            *(where, len(odd), len(kept), odd[0].problems[0]),
        )
    return [tune.text.strip("\r\n") + "\n\n" for tune in kept]


def _why(tune: Tune) -> Problem:
    """The first problem for which a tune does not parse."""
    return next(problem for problem in tune.problems if problem.kind != "bar")


def _others(broken: list[Tune]) -> str:
    return f"; {len(broken) - 1} more of its tunes do not parse" if len(broken) > 1 else ""
