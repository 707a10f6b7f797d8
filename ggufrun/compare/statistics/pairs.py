"""Two rows of one text against each other: whose KL divergence is smaller, by how much, or whether it is a tie"""

from typing import Final

import numpy as np

from ggufrun.compare.results import Pair, Scores
from ggufrun.compare.statistics.bootstrap import Bootstrap
from ggufrun.compare.statistics.drawn import LEAST_CHUNKS, Drawn

_TIE: Final = 0.5  # a draw in which both are the same says as much for the one as for the other

Named = tuple[str, Scores]


def pair(a: Named, b: Named, bootstrap: Bootstrap, noise: float | None) -> Pair | None:
    """By the positions that both have; None where they have none in common.

    They are tied where the interval of the difference holds 0, or the difference is below the noise. `p_a_better` is
    the share of draws in which the first is nearer to the reference.
    """
    difference = a[1].kld - b[1].kld
    where = np.isfinite(difference)
    if not where.any():
        return None
    drawn = bootstrap.mean(difference, where)
    figure = drawn.figure()
    holds_0 = figure.lo is not None and figure.hi is not None and figure.lo <= 0 <= figure.hi
    tied = holds_0 or abs(figure.value) <= (noise or 0)
    return Pair(a[0], b[0], figure, _p_smaller(drawn), tied)


def _p_smaller(drawn: Drawn) -> float | None:
    if drawn.chunks < LEAST_CHUNKS:
        return None
    differences = drawn.draws[np.isfinite(drawn.draws)]
    return float(np.mean(differences < 0) + _TIE * np.mean(differences == 0))
