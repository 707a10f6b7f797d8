"""Scores of a made-up text, whose positions depend on each other within a chunk as real ones do"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ggufrun.compare.results import Floats, Scores

Ints = npt.NDArray[np.int32]


def chunks_of(sizes: Sequence[int] | npt.NDArray[np.int64]) -> Ints:
    """The chunk of each position."""
    return np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)


def clustered(
    rng: np.random.Generator, chunk: Ints, *, between: float, within: float, runs: int | None = None
) -> Floats:
    """Normal numbers around 0, [positions] or [runs, positions]: one share for each chunk, one for each position."""
    shape = () if runs is None else (runs,)
    shares = rng.normal(0, between, (*shape, int(chunk.max()) + 1))
    return shares[..., chunk] + rng.normal(0, within, (*shape, len(chunk)))


def scores(kld: Floats, chunk: Ints, *, seed: int = 0, nll: Floats | None = None, parts: int = 1) -> Scores:
    """Of this KL divergence; the rest is made up. Chunks count on through the parts."""
    rng = np.random.default_rng(seed)
    starts = np.flatnonzero(np.diff(chunk, prepend=-1))
    depth = np.arange(len(chunk)) - np.repeat(starts, np.bincount(chunk)[np.bincount(chunk) > 0])
    return Scores(
        nll=rng.exponential(2, len(chunk)) if nll is None else nll,
        kld=kld,
        dp=rng.normal(0, 0.05, len(chunk)),
        same_top=rng.random(len(chunk)) < 0.9,
        chunk=chunk,
        depth=(256 + depth).astype(np.int32),
        part=(chunk % parts).astype(np.int32),
    )
