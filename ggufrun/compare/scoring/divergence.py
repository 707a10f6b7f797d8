"""How far a model's distribution at one position is from what is kept of the reference's"""

import math
from dataclasses import dataclass

import numpy as np

from ggufrun.compare.scoring.base import Kept, LogP, lumped
from ggufrun.compare.scoring.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Divergence:
    """Numbers of one position; as in `results.Scores`."""

    nll: float
    kld: float
    dp: float
    same_top: bool


NOT_FINITE = Divergence(math.nan, math.nan, math.nan, False)


def diverge(row: Distribution | None, reference: Kept | None, token: int) -> Divergence:
    """`token`: the one that came. Of a model that is the reference all are exactly 0 and true, but its nll."""
    if row is None or reference is None:
        return NOT_FINITE
    nll = -row.log_p(token)
    return Divergence(
        nll=nll,
        kld=kl_divergence(reference.log_p, lumped(row, reference.ids)),
        dp=math.exp(-nll) - math.exp(-reference.nll),
        same_top=row.top == reference.top,
    )


def kl_divergence(log_p: LogP, log_q: LogP) -> float:
    """sum p ln(p/q), each term with the q - p that adds up to nothing: so none is negative, however it is rounded."""
    p = log_p.astype(np.float64)
    x = log_q - p
    return float((np.exp(p) * (np.expm1(x) - x)).sum())
