"""Shares of counts with their 95 % intervals: right answers of a task, and votes between two rows"""

from math import sqrt

from ggufrun.compare.results import Figure
from ggufrun.compare.statistics.drawn import Z


def wilson(right: int, of: int) -> Figure:
    """The share of `right`, and Wilson's score interval, which holds for few items and near 0 and 1, too.

    Of nothing the middle, and all that is possible: 0.5 between 0 and 1.
    """
    if not 0 <= right <= of:
        raise ValueError(f"{right} right of {of}")
    if of == 0:
        return Figure(0.5, 0.0, 1.0)
    middle = right + Z**2 / 2
    spread = Z * sqrt(right * (of - right) / of + Z**2 / 4)
    lo = (middle - spread) / (of + Z**2) if right else 0.0
    hi = (middle + spread) / (of + Z**2) if right < of else 1.0
    return Figure(right / of, lo, hi)


def win_rate(left: int, right: int, ties: int = 0) -> Figure:
    """How often the left one wins where somebody saw a difference: ties are left out, as in the sign test.

    A tie says nothing about which is better. Counted as half a win for both, many ties would narrow the interval
    around 0.5 as if they were evidence; say their number beside it.
    """
    if ties < 0:
        raise ValueError(f"{ties} ties")
    return wilson(left, left + right)
