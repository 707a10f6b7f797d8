"""Ranges of depth: how many tokens a position has before it. What is measured in them is `quality`'s

64 wide as far as a chunk of 512 tokens goes, whose second half is scored: four of them. Behind that, where only chats
and long documents have positions, two to each doubling.
"""

from itertools import pairwise
from typing import Final

_WIDTH: Final = 64
_EVEN: Final = 512  # up to here


def ranges(deepest: int) -> list[tuple[int, int]]:
    """From 0 until `deepest` is inside one; each from its first depth up to, and without, its second."""
    edges = list(range(0, _EVEN + 1, _WIDTH))
    while edges[-1] <= deepest:
        edges += [edges[-1] * 3 // 2, edges[-1] * 2]
    return [(lo, hi) for lo, hi in pairwise(edges) if lo <= deepest]
