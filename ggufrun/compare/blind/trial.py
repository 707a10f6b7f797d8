"""A blind test as a value: answers of two models to the same prompts, which side each is on, and the votes

Every change is a new value. Which contender is shown on the left is a coin of the seed and the prompt's number, so a
test that goes on another day shows the same sides.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ggufrun.errors import OptionError

Contender = Literal["a", "b"]
Vote = Literal["left", "right", "tie"]
Verdict = Literal["a", "b", "tie"]


def other(contender: Contender) -> Contender:
    return "b" if contender == "a" else "a"


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt, behind what was said `before` it (roles and texts). An answer is None until it is made.

    `error`: why there is none of one of them.
    """

    prompt: str
    before: tuple[tuple[str, str], ...] = ()
    a: str | None = None
    b: str | None = None
    error: str = ""
    verdict: Verdict | None = None

    @property
    def answered(self) -> bool:
        return self.a is not None and self.b is not None

    @property
    def same(self) -> bool:
        """Nobody could tell these apart."""
        return self.a is not None and self.b is not None and self.a.split() == self.b.split()

    @property
    def votable(self) -> bool:
        return self.answered and not self.same and not self.error


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be voted on. `number` of `of`: among all that are shown."""

    number: int
    of: int
    prompt: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes. `same`: answers that were alike and so not shown; `failed`: prompts that one could not answer."""

    a: int
    b: int
    ties: int
    same: int
    failed: int
    left: int  # votes for whatever stood on the left: far from half, somebody votes by the side

    @property
    def decided(self) -> int:
        return self.a + self.b


@dataclass(frozen=True, slots=True)
class BlindTest:
    """`a` and `b` are the contenders' names, `settings` how their answers were made."""

    a: str
    b: str
    items: tuple[Item, ...]
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def begun(
        cls, a: str, b: str, items: Sequence[Item], *, seed: int, settings: Mapping[str, Any] | None = None
    ) -> "BlindTest":
        """Raises OptionError without items."""
        if not items:
            raise OptionError("A blind test needs prompts.", "Give a file of them, or chat first.")
        return cls(a, b, tuple(items), seed, settings or {})

    def missing(self, contender: Contender) -> list[int]:
        """Numbers of the prompts that it has still to answer."""
        return [at for at, item in enumerate(self.items) if not item.error and getattr(item, contender) is None]

    def answered(self, at: int, contender: Contender, text: str) -> "BlindTest":
        item = self.items[at]
        return self._with(at, replace(item, a=text) if contender == "a" else replace(item, b=text))

    def failed(self, at: int, why: str) -> "BlindTest":
        return self._with(at, replace(self.items[at], error=why))

    def next(self) -> Shown | None:
        """None: there is nothing left to vote on."""
        shown = self._votable()
        at = next((at for at in shown if self.items[at].verdict is None), None)
        if at is None:
            return None
        item = self.items[at]
        pair = (item.a or "", item.b or "")
        left, right = pair if self.left_of(at) == "a" else pair[::-1]
        return Shown(shown.index(at) + 1, len(shown), item.prompt, left, right)

    def voted(self, vote: Vote) -> "BlindTest":
        """For what `next` shows. Where that is nothing, it is as it was."""
        at = next((at for at in self._votable() if self.items[at].verdict is None), None)
        if at is None:
            return self
        return self._with(at, replace(self.items[at], verdict=self._verdict(at, vote)))

    def undone(self) -> "BlindTest":
        """Without the last vote: it is to be given again. Where there is none, it is as it was."""
        voted = [at for at in self._votable() if self.items[at].verdict is not None]
        return self._with(voted[-1], replace(self.items[voted[-1]], verdict=None)) if voted else self

    def tally(self) -> Tally:
        votes = Counter(item.verdict for item in self.items)
        same = sum(item.same for item in self.items if not item.error)
        failed = sum(bool(item.error) for item in self.items)
        left = sum(item.verdict == self.left_of(at) for at, item in enumerate(self.items))
        return Tally(votes["a"], votes["b"], votes["tie"], same, failed, left)

    def left_of(self, at: int) -> Contender:
        """Who is shown on the left of the prompt with this number."""
        return "a" if random.Random(f"{self.seed}:{at}").random() < 0.5 else "b"

    def _votable(self) -> list[int]:
        return [at for at, item in enumerate(self.items) if item.votable]

    def _verdict(self, at: int, vote: Vote) -> Verdict:
        if vote == "tie":
            return "tie"
        left = self.left_of(at)
        return left if vote == "left" else other(left)

    def _with(self, at: int, item: Item) -> "BlindTest":
        return replace(self, items=(*self.items[:at], item, *self.items[at + 1 :]))
