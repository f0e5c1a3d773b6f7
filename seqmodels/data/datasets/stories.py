"""`stories`: who went where and took what, and where something is now. Built in; reads no file.

After the second of the bAbI tasks (Weston et al., 2015, arXiv:1502.05698), with a rule and words of
our own.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits

PLACES = ("bathroom", "garden", "hallway", "kitchen", "office", "park")
"""The answers."""
NUM_STORIES = {"train": 20_000, "validation": 1_000, "test": 1_000}
_PEOPLE = ("anna", "ben", "clara", "david", "emma", "felix")
_THINGS = ("apple", "ball", "book", "key", "lamp", "milk")
_GO = ("went to", "moved to", "walked to")
_TAKE = ("took", "picked up")
_DROP = ("dropped", "put down")
_FEWEST, _MOST = 5, 9
_NUM_DRAWS = 9 + 4 * _MOST

Pick = Callable[[Sequence[str]], str]


class Stories(BuiltInDataset):
    """Story i of a split is a function of i: five to nine sentences and a question.

        anna went to the park . anna took the key . ben moved to the office . anna walked to the
        kitchen . where is the key ?        kitchen

    Columns: text, label. There are three people and two things. A person whose place is known may
    take a thing that lies there or that has not been named yet, and may drop a thing that they
    hold. A thing is where it lies, or where its holder is. A little more than half of the questions
    ask for a thing: the sentences of who took it and of where they went decide them.
    """

    description = "little stories, made up"

    def fingerprint(self) -> str:
        rule = (PLACES, NUM_STORIES, _PEOPLE, _THINGS, _GO, _TAKE, _DROP, _FEWEST, _MOST, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        splits: Splits = {}
        for split, count in NUM_STORIES.items():
            draws = order.draw(0, f"stories of {split}", 0, count * _NUM_DRAWS)
            made = [tell(iter(row.tolist())) for row in draws.reshape(count, _NUM_DRAWS)]
            labels = [answer for _, answer in made]
            splits[split] = {"text": [text for text, _ in made], "label": labels}
        return splits

    def classes(self, column: str) -> tuple[str, ...] | None:
        return PLACES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"{split} story {row}"


@dataclasses.dataclass
class _World:
    """Places of people, holders of things, and places of things that nobody holds."""

    people: list[str]
    things: list[str]
    place: dict[str, str] = dataclasses.field(default_factory=dict)
    holder: dict[str, str] = dataclasses.field(default_factory=dict)
    lying: dict[str, str] = dataclasses.field(default_factory=dict)

    def find(self, what: str) -> str | None:
        """The place of a person or a thing; None where the story does not say."""
        if what in self.holder:
            return self.place[self.holder[what]]
        return self.place.get(what, self.lying.get(what))

    def happen(self, pick: Pick) -> str:
        """Something happens; returns the sentence."""
        who = pick(self.people)
        here = self.place.get(who)
        held = [thing for thing, one in self.holder.items() if one == who]
        free = [t for t in self.things if t not in self.holder and self.lying.get(t, here) == here]
        acts = ["go", *["take", "take"] * bool(here and free), *["drop"] * bool(held)]
        match pick(acts):
            case "go":
                self.place[who] = pick([place for place in PLACES if place != here])
                return f"{who} {pick(_GO)} the {self.place[who]} ."
            case "take":
                thing = pick(free)
                self.lying.pop(thing, None)
                self.holder[thing] = who
                return f"{who} {pick(_TAKE)} the {thing} ."
        thing = pick(held)
        del self.holder[thing]
        self.lying[thing] = self.place[who]
        return f"{who} {pick(_DROP)} the {thing} ."


def tell(numbers: Iterator[int]) -> tuple[str, str]:
    """Tells a story by `numbers`, `_NUM_DRAWS` at most; returns it with its question, and the
    answer."""
    pick = lambda choices: choices[next(numbers) % len(choices)]
    people: list[str] = [*_PEOPLE]
    things: list[str] = [*_THINGS]
    while len(people) > 3:
        people.remove(pick(people))
    while len(things) > 2:
        things.remove(pick(things))
    world = _World(people, things)
    length = _FEWEST + next(numbers) % (_MOST - _FEWEST + 1)
    sentences = [world.happen(pick) for _ in range(length)]
    known = [one for one in (*people, *things, *things) if world.find(one) is not None]
    asked = pick(known)
    answer = world.find(asked)
    assert answer is not None
    name = asked if asked in people else f"the {asked}"
    return f"{' '.join(sentences)} where is {name} ?", answer
