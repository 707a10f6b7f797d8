"""Percentiles of positions, also in every draw of a bootstrap: interpolated linearly, as llama-perplexity does

A draw repeats positions as often as their chunk was drawn. Nothing is repeated or sorted again for it: the positions
are sorted once and cut into blocks, whose weights in all draws are one matrix product; what remains is one block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from ggufrun.compare.results import Floats
from ggufrun.compare.statistics.bootstrap import Bootstrap, Mask
from ggufrun.compare.statistics.drawn import Drawn

_Ints = npt.NDArray[np.intp]
BEYOND: Final = 10  # positions: with fewer on its far side a percentile's interval would be far too narrow


def percentiles(values: Floats, where: Mask, levels: Sequence[float], bootstrap: Bootstrap) -> list[Drawn]:
    """Of `values` at the positions of `where`, of which there is at least one. `levels` from 0 to 1.

    Those too near to the ends of so many positions have no interval: no draw has what lies further out.
    """
    kept, of = values[where], bootstrap.of[where]
    order = np.argsort(kept, kind="stable")
    repeated = _Repeated.of(kept[order], of[order], bootstrap.counts)
    chunks = len(np.unique(of))
    points = np.quantile(kept, levels)
    inside = [min(level, 1 - level) * len(kept) + 1e-9 >= BEYOND for level in levels]
    return [
        Drawn(float(point), repeated.quantile(level), chunks if is_inside else 0)
        for point, level, is_inside in zip(points, levels, inside, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Sorted numbers, and how often they are there in each draw."""

    sorted: Floats
    chunk: _Ints  # [blocks, size]: of each number; what is missing in the last block has a chunk that is never drawn
    counts: Floats  # [draws, chunks + 1]
    ends: Floats  # [draws, blocks]: how many numbers a draw has up to the end of each block

    @staticmethod
    def of(numbers: Floats, of: _Ints, counts: Floats) -> "_Repeated":
        draws, none = counts.shape
        size = max(8, isqrt(len(numbers)) // 2)  # about where the work in blocks and between them is least
        blocks = -(-len(numbers) // size)
        chunk = np.full(blocks * size, none, dtype=np.intp)
        chunk[: len(of)] = of
        block = np.arange(len(chunk)) // size
        sizes = np.bincount(block * (none + 1) + chunk, minlength=blocks * (none + 1)).reshape(blocks, none + 1)
        padded = np.hstack([counts, np.zeros((draws, 1))])
        # Not `@`: the threads of BLAS wait for each other, which takes longer than this wherever cores are busy.
        ends = np.cumsum(np.einsum("dc,bc->db", padded, sizes.astype(np.float64)), axis=1)
        return _Repeated(numbers, chunk.reshape(blocks, size), padded, ends)

    def quantile(self, level: float) -> Floats:
        """In each draw; nan in one that has no number at all."""
        total = self.ends[:, -1]
        place = np.maximum(total - 1, 0) * level
        below = np.floor(place)
        low, high = self._at(below), self._at(np.minimum(below + 1, np.maximum(total - 1, 0)))
        return np.where(total > 0, low + (high - low) * (place - below), np.nan)

    def _at(self, rank: Floats) -> Floats:
        """The number with so many before it, in each draw."""
        draw = np.arange(len(rank))
        block = np.minimum((self.ends <= rank[:, None]).sum(axis=1), len(self.chunk) - 1)
        before = np.where(block > 0, self.ends[draw, block - 1], 0.0)
        within = before[:, None] + np.cumsum(self.counts[draw[:, None], self.chunk[block]], axis=1)
        index = block * self.chunk.shape[1] + (within <= rank[:, None]).sum(axis=1)
        found: Floats = self.sorted[np.minimum(index, len(self.sorted) - 1)]
        return found
