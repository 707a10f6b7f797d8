"""Percentiles of positions, interpolated linearly as llama-perplexity does, and their 95 % intervals

An interval is told by counting (Woodruff 1952): how many positions lie beyond the true percentile is chance, with a
mean that is known, and with the spread of whatever depends on its neighbours in a chunk. The interval has all values
that as few or as many positions lie beyond as that allows. In the tail a count is skewed, so it is taken for a gamma
variable (a binomial one, for its small share, is nearly that), and by Student's t of the chunks, as far as `drawn` goes
as well. The percentiles of a bootstrap know only the positions that there are: their upper ends come out too low.
`benchmarks.intervals` measures both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from ggufrun.compare.results import Figure, Floats
from ggufrun.compare.statistics.bootstrap import Bootstrap, Mask
from ggufrun.compare.statistics.drawn import LEAST_CHUNKS, skewed, student

BEYOND: Final = 10  # positions: with fewer on its far side a percentile's interval would be far too narrow


def percentiles(values: Floats, where: Mask, levels: Sequence[float], bootstrap: Bootstrap) -> list[Figure]:
    """Of `values` at the positions of `where`, of which there is at least one. `levels` from 0 to 1.

    Without an interval where there are fewer than 8 chunks, or where the true one may lie beyond all positions.
    """
    kept = values[where]
    names, of = np.unique(bootstrap.of[where], return_inverse=True)
    points = np.quantile(kept, levels)
    positions = _Positions(kept, np.sort(kept), of, np.bincount(of).astype(np.float64))
    if len(names) < LEAST_CHUNKS:
        return [Figure(float(point)) for point in points]
    return [positions.figure(level, float(point)) for level, point in zip(levels, points, strict=True)]


@dataclass(frozen=True, slots=True)
class _Positions:
    values: Floats
    sorted: Floats
    of: npt.NDArray[np.intp]  # each one's chunk
    sizes: Floats  # of the chunks

    def figure(self, level: float, point: float) -> Figure:
        """The value itself is always inside of its interval."""
        total, high = len(self.values), level >= 0.5
        share = 1 - level if high else level
        if share * total + 1e-9 < BEYOND:
            return Figure(point)
        few, many = self._counts(share, self.values > point if high else self.values < point)
        if few < 0.5:  # less than the outermost position stands for
            return Figure(point)
        lo, hi = (total - many, total - few) if high else (few, many)
        return Figure(point, min(self._at(lo), point), max(self._at(hi), point))

    def _counts(self, share: float, beyond: Mask) -> tuple[float, float]:
        """How many positions lie beyond the true percentile, at least and at most."""
        chunks = len(self.sizes)
        unit = self._factor(beyond) * (1 - share)
        mean, z = share * len(self.values) / unit, skewed(chunks) * student(chunks - 1)
        return unit * _gamma(mean, -z), unit * _gamma(mean + 1, z)

    def _factor(self, beyond: Mask) -> float:
        """How much larger the variance of such a count is than of independent positions: Kish's design effect.

        By the spread between chunks, and never below 1, which a few chunks may show by chance.
        """
        total, chunks = len(self.values), len(self.sizes)
        found = float(np.count_nonzero(beyond)) / total
        independent = found * (1 - found) * total
        if not independent:
            return 1.0
        counts = np.bincount(self.of, beyond, minlength=chunks)
        spread = float(((counts - found * self.sizes) ** 2).sum()) * chunks / (chunks - 1)
        return max(1.0, spread / independent)

    def _at(self, count: float) -> float:
        """The value that so many positions do not exceed; each stands for the middle of its own place."""
        return float(np.interp(count - 0.5, np.arange(len(self.sorted)), self.sorted))


def _gamma(shape: float, z: float) -> float:
    """The quantile of a gamma variable at a normal one's `z`, by Wilson and Hilferty: within 1 % for shapes from 5."""
    root = max(0.0, 1 - 1 / (9 * shape) + z / (3 * sqrt(shape)))
    return float(shape * root**3)
