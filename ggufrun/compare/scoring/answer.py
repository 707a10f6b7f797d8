"""One greedy answer while it is written, and how far it goes along with the reference's. Nothing is decoded here"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ggufrun.compare.scoring.distribution import Distribution
from ggufrun.compare.scoring.files import Written

ALTERNATIVES: Final = 8  # tokens of each position that are kept


@dataclass(slots=True)
class Answer:
    """`other`: the reference's answer, what ended it included, for as long as this one goes along."""

    prompt: list[int]
    other: list[int] | None = None
    tokens: list[int] = field(default_factory=list)
    p_top: list[float] = field(default_factory=list)
    alternatives: list[tuple[list[int], list[float]]] = field(default_factory=list)
    end: int = -1
    end_p: float = math.nan
    agreed: int = 0
    p_of_reference: float = math.nan
    is_done: bool = False

    def go_on(self, row: Distribution | None, most: int, is_end: Callable[[int], bool]) -> None:
        """Take the likeliest token. An answer ends where the logits are not finite."""
        if row is None:
            self.is_done = True
            return
        self._compare(row, is_end)
        if is_end(row.top):
            self.end, self.end_p, self.is_done = row.top, row.p(row.top), True
            return
        self.tokens.append(row.top)
        self.p_top.append(row.p(row.top))
        likeliest = row.top_tokens(ALTERNATIVES).tolist()
        self.alternatives.append((likeliest, [row.p(token) for token in likeliest]))
        self.is_done = len(self.tokens) == most

    def _compare(self, row: Distribution, is_end: Callable[[int], bool]) -> None:
        if self.other is None or len(self.tokens) == len(self.other):
            return
        token = self.other[len(self.tokens)]
        if is_end(row.top) and is_end(token):
            return
        if row.top == token:
            self.agreed += 1
        else:
            self.p_of_reference, self.other = row.p(token), None


def others(follow: Written) -> list[list[int] | None]:
    """The answers of the reference, with what ended them."""
    ends = [[end] if end >= 0 else [] for end in follow.end.tolist()]
    return [tokens + end for tokens, end in zip(follow.answers(), ends, strict=True)]


def written(answers: Sequence[Answer]) -> Written:
    alternatives = [each for answer in answers for each in answer.alternatives]
    count = len(alternatives[0][0]) if alternatives else ALTERNATIVES  # a vocabulary may have fewer
    return Written(
        tokens=np.array([token for each in answers for token in each.tokens], np.int32),
        offsets=np.cumsum([0, *(len(each.tokens) for each in answers)], dtype=np.int64),
        p_top=np.array([p for each in answers for p in each.p_top], np.float32),
        top_ids=np.array([ids for ids, _ in alternatives], np.int32).reshape(-1, count),
        top_p=np.array([p for _, p in alternatives], np.float32).reshape(-1, count),
        end=np.array([each.end for each in answers], np.int32),
        end_p=np.array([each.end_p for each in answers], np.float32),
        agreed=np.array([each.agreed for each in answers], np.int32),
        p_of_reference=np.array([each.p_of_reference for each in answers], np.float32),
    )
