"""The median of repeated measurements, with its interval: speeds and times, which have outliers to one side"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ggufrun.compare.results import Figure
from ggufrun.compare.statistics.drawn import Drawn

# From the smallest to the largest of five holds the median in 94 of 100 cases; of four in 88, of three in 75.
LEAST_REPETITIONS: Final = 5


def median_interval(values: Sequence[float], *, draws: int = 2000, seed: int = 0) -> Figure:
    """The bootstrap's interval, of at least one value; none of fewer than five, whatever their spread."""
    if not values:
        raise ValueError("no values")
    measured = np.asarray(values, dtype=np.float64)
    picked = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    drawn = Drawn(float(np.median(measured)), np.median(measured[picked], axis=1), len(values))
    return drawn.figure(least=LEAST_REPETITIONS)
