"""`order_sentences`: praise and blame that turn on order and negation. Built in; reads no file."""

from __future__ import annotations

import hashlib
import itertools

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits

CLASSES = ("negative", "positive")
NUM_SENTENCES = {"train": 20_000, "validation": 1_000, "test": 1_000}
_GOOD = ("good", "brilliant", "moving", "funny", "clever", "fresh", "warm", "witty")
_BAD = ("bad", "dull", "clumsy", "stale", "silly", "flat", "hollow", "cold")
_THINGS = ("film", "plot", "acting", "ending", "music", "dialogue", "camera work", "first half")
_DEGREES = ("really", "exactly", "at heart", "all that", "very", "so very")
_FLIPS = ("nobody here would claim that", "it is a lie that")
_PLAIN = ("", "", "everybody here would claim that", "it is a fact that")
_ENDINGS = ("", "at all", "to my mind", "if you ask me")
_NUM_DRAWS = 10


class OrderSentences(BuiltInDataset):
    """Sentence i of a split is a function of i; 2i and 2i + 1 have the same words.

    Columns: text, label.

    A sentence speaks of one thing twice, once with a word of praise and once with one of blame, and
    denies one of the two: "the plot was really good , and it was not all that dull at all".
    Its class is what is not denied, or the other one where, in an eighth of the sentences, a clause
    in front denies the whole.

    Sentence 2i + 1 has the words of praise and blame exchanged, so that it means the opposite: a
    model that sees words without their order is right half the time. Between "not" and the word
    that it denies there is a degree, which the other word has too. So neither a word nor two
    neighbours by themselves depend on the class, and no linear map of both does better than chance.

    A pair of words of praise and blame belongs to one split: 5 of the 64 to validation, 5 to test.
    """

    description = "sentences of order and negation, made up"

    def fingerprint(self) -> str:
        rule = (NUM_SENTENCES, _GOOD, _BAD, _THINGS, _DEGREES, _FLIPS, _PLAIN, _ENDINGS, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        words = split_words()
        splits: Splits = {}
        for split, count in NUM_SENTENCES.items():
            draws = order.draw(0, f"sentences of {split}", 0, (count + 1) // 2 * _NUM_DRAWS)
            made = [
                write(words[split], numbers.tolist(), swap)
                for numbers in draws.reshape(-1, _NUM_DRAWS)
                for swap in (False, True)
            ][:count]
            labels = [CLASSES[good] for _, good in made]
            splits[split] = {"text": [text for text, _ in made], "label": labels}
        return splits

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"{split} sentence {row}"


def split_words() -> dict[str, list[tuple[str, str]]]:
    """Returns the pairs of a word of praise and one of blame of each split."""
    pairs = list(itertools.product(_GOOD, _BAD))
    shuffled = [pairs[i] for i in order.permutation(0, "split of order_sentences", 0, len(pairs))]
    return {"train": shuffled[10:], "validation": shuffled[:5], "test": shuffled[5:10]}


def write(words: list[tuple[str, str]], numbers: list[int], swap: bool) -> tuple[str, bool]:
    """Writes a sentence; returns it and whether it is praise.

    Args:
      words: pairs to choose from.
      numbers: `_NUM_DRAWS` numbers that make the choices.
      swap: whether the words of praise and blame change places.
    """
    pick = lambda choices, number: choices[number % len(choices)]
    pair, thing = pick(words, numbers[0]), pick(_THINGS, numbers[1])
    first, second = pick(_DEGREES, numbers[2]), pick(_DEGREES, numbers[3])
    praise_first, denies_first = ((number >> 11) % 2 == 1 for number in numbers[4:6])
    flips = (numbers[6] >> 11) % 8 == 0
    praise_first ^= swap
    front = pick(_FLIPS if flips else _PLAIN, numbers[7])
    one, other = pair if praise_first else pair[::-1]
    denial = ("not ", "") if denies_first else ("", "not ")
    link, ending = pick(("and", "but"), numbers[8]), pick(_ENDINGS, numbers[9])
    text = f"{front} the {thing} was {denial[0]}{first} {one} , {link} it was {denial[1]}{second}"
    praises = (denies_first != praise_first) != flips
    return " ".join(f"{text} {other} {ending}".split()), praises
