"""The cluster bootstrap: whole chunks are drawn with replacement, with all their positions; and means over them

Positions of one text depend on each other, and taking them one by one makes intervals far too small. All rows of a
comparison are seen through the same draws, so that what is hard in the text cancels out between two rows (paired).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ggufrun.compare.results import Floats
from ggufrun.compare.statistics.drawn import Drawn

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    counts: Floats  # [draws, chunks]: how often each chunk was drawn; whole numbers, as floats for BLAS
    of: npt.NDArray[np.intp]  # [positions]: each one's chunk, an index into the above

    @staticmethod
    def over(chunk: npt.NDArray[np.int32], draws: int, seed: int) -> "Bootstrap":
        """`chunk`, by position, in any numbering; at least one position."""
        names, of = np.unique(chunk, return_inverse=True)
        chunks = len(names)
        counts = np.random.default_rng(seed).multinomial(chunks, np.full(chunks, 1 / chunks), size=draws)
        return Bootstrap(counts.astype(np.float64), of.astype(np.intp))

    @property
    def chunks(self) -> int:
        return int(self.counts.shape[1])

    def mean(self, values: npt.NDArray[np.generic], where: Mask) -> Drawn:
        """Over the positions of `where`, of which there is at least one: the ratio of drawn sums to drawn counts."""
        of, kept = self.of[where], values[where].astype(np.float64)
        sizes = np.bincount(of, minlength=self.chunks)
        sums = np.bincount(of, kept, minlength=self.chunks)
        return Drawn(float(kept.mean()), ratio(self.counts @ sums, self.counts @ sizes), int(np.count_nonzero(sizes)))


def ratio(above: Floats, below: Floats) -> Floats:
    """nan where nothing is below."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
