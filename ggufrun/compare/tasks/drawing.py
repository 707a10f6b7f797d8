"""Draws items of several kinds by turns, so that no kind outweighs the others because there is more of it"""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def by_turns(groups: Sequence[Sequence[T]], source: random.Random) -> Iterator[T]:
    """Every item once: one of each group, then another of each that has more. Within a group the order is random."""
    shuffled = [source.sample(group, len(group)) for group in groups]
    for turn in range(max(map(len, shuffled), default=0)):
        for group in shuffled:
            if turn < len(group):
                yield group[turn]
