"""McNemar's exact test: whether items flipped to one side between two rows more often than chance does it"""

from math import comb


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p: twice the binomial tail, at even odds, of the smaller of both counts; 1 where nothing flipped.

    The largest term is a quotient of whole numbers, which Python rounds correctly at any length; the others of the
    tail follow from it.
    """
    if min(gained, lost) < 0:
        raise ValueError(f"{gained} gained, {lost} lost")
    fewer, flipped = min(gained, lost), gained + lost
    if 2 * fewer >= flipped - 1:  # the tail is a half, or more
        return 1.0
    total = term = 1.0
    for count in range(fewer, 0, -1):
        term *= count / (flipped - count + 1)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, 2 * total * (comb(flipped, fewer) / (1 << flipped)))
