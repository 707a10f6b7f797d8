"""All figures of the rows over one text, each with its interval, and every two rows against each other

The bootstrap's draws are the same for all rows, and the same in every run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from ggufrun.compare.results import Depth, Figure, Floats, Pair, Quality, Scores
from ggufrun.compare.statistics.bootstrap import Bootstrap, Mask
from ggufrun.compare.statistics.depths import ranges
from ggufrun.compare.statistics.pairs import pair
from ggufrun.compare.statistics.percentiles import percentiles

_LEVELS: Final = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Qualities:
    of: Mapping[str, Quality]  # by row; a row without a finite position is not among them
    pairs: tuple[Pair, ...]  # of the rows but the reference, each two once, in the order of the rows


def quality(
    rows: Mapping[str, Scores],
    reference: str,
    *,
    parts: Sequence[str],
    noise: float | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Qualities:
    """`rows`: scores of the same positions, by name. `parts`: the names that `Scores.part` counts in.

    `noise`: a difference of mean KL divergence that is not above it is a tie (`mean_kld` of the noise row).
    """
    base = rows[reference]
    for name, scores in rows.items():
        if not all(np.array_equal(getattr(scores, key), getattr(base, key)) for key in ("chunk", "depth", "part")):
            raise ValueError(f"{name} and {reference} were not scored over the same positions")
    where = {name: finite(scores) & np.isfinite(base.nll) for name, scores in rows.items()}
    there = {name: scores for name, scores in rows.items() if where[name].any()}
    if not there:
        return Qualities({}, ())
    bootstrap = Bootstrap.over(base.chunk, draws, seed)
    of = {name: _quality(scores, base.nll, where[name], parts, bootstrap) for name, scores in there.items()}
    others = [(name, scores) for name, scores in there.items() if name != reference]
    pairs = (pair(a, b, bootstrap, noise) for a, b in combinations(others, 2))
    return Qualities(of, tuple(each for each in pairs if each is not None))


def finite(scores: Scores) -> Mask:
    """The positions that count."""
    where: Mask = np.isfinite(scores.nll) & np.isfinite(scores.kld) & np.isfinite(scores.dp)
    return where


def mean_kld(scores: Scores) -> float | None:
    """Without an interval, of the positions that count; None where there are none."""
    where = finite(scores)
    return float(scores.kld[where].mean()) if where.any() else None


def _quality(scores: Scores, base_nll: Floats, where: Mask, parts: Sequence[str], bootstrap: Bootstrap) -> Quality:
    median, p90, p99, p999 = percentiles(scores.kld, where, _LEVELS, bootstrap)
    return Quality(
        positions=int(where.sum()),
        chunks=len(np.unique(bootstrap.of[where])),
        not_finite=int((~where).sum()),
        ppl=bootstrap.mean(scores.nll, where).map(np.exp).figure(),
        ln_ppl_ratio=bootstrap.mean(scores.nll - base_nll, where).figure(),
        kld_mean=bootstrap.mean(scores.kld, where).figure(),
        kld_median=median,
        kld_p90=p90,
        kld_p99=p99,
        kld_p999=p999,
        kld_max=float(scores.kld[where].max()),
        rms_dp=bootstrap.mean(scores.dp**2, where).map(np.sqrt).figure(),
        mean_dp=bootstrap.mean(scores.dp, where).figure(),
        top1_agreement=bootstrap.mean(scores.same_top, where).figure(),
        depths=_depths(scores, where, bootstrap),
        parts=_parts(scores, where, parts, bootstrap),
    )


def _depths(scores: Scores, where: Mask, bootstrap: Bootstrap) -> tuple[Depth, ...]:
    found = []
    for lo, hi in ranges(int(scores.depth[where].max())):
        inside = where & (scores.depth >= lo) & (scores.depth < hi)
        if inside.any():
            found.append(Depth(lo, hi, int(inside.sum()), bootstrap.mean(scores.kld, inside).figure()))
    return tuple(found)


def _parts(scores: Scores, where: Mask, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, Figure]:
    masks = {name: where & (scores.part == index) for index, name in enumerate(names)}
    return {name: bootstrap.mean(scores.kld, mask).figure() for name, mask in masks.items() if mask.any()}
