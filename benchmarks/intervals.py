"""How often 95 % intervals over few chunks hold what is true, by several ways to make them, over made-up texts

    python -m benchmarks.intervals [--runs 2000]

The quantities are those of a comparison, the texts those of `tests/compare/statistics`: positions of a chunk resemble
each other. "ggufrun" is what `compare/statistics` does; the others are what was tried beside it. "nan" has none.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

import numpy as np

from ggufrun.compare.results import Floats
from ggufrun.compare.statistics.bootstrap import Bootstrap
from ggufrun.compare.statistics.drawn import Drawn, student, tail
from ggufrun.compare.statistics.percentiles import percentiles
from tests.compare.statistics.made import Ints, chunks_of, clustered

CHUNKS: Final = (8, 12, 20, 40)
_TEXTS: Final = 8  # with chunks of other lengths each
_DRAWS: Final = 1000
_FEW_DRAWS: Final = 400  # of percentiles
_LONG: Final = 4000  # positions: with more, their draws take too long
_LEVELS: Final = (0.5, 0.9, 0.99)
_NORMAL: Final = NormalDist()
# Of ln KLD: between chunks, and between the positions of one. The second is a harder text than those that we have.
_SPREADS: Final = {"mean KLD": (0.3, 1.0), "mean KLD, harder": (0.6, 1.2)}

Ends = tuple[float, float]


def interval_of(draws: Floats, outside: float) -> Ends:
    low, high = np.quantile(draws, (outside, 1 - outside))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Sample:
    """One text: the sum and the size of each chunk, and how often each was drawn."""

    sums: Floats
    sizes: Floats
    counts: Floats

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    def ways(self) -> Iterator[tuple[str, Ends]]:
        chunks, mean = len(self.sums), self.mean
        draws = (self.counts @ self.sums) / (self.counts @ self.sizes)
        t, spread = student(chunks - 1), float(self._spreads(np.ones((1, chunks)), np.array([mean]))[0])
        reach = sqrt(chunks / (chunks - 1)) * t
        yield "percentile", interval_of(draws, 0.025)
        yield "t, cluster-robust", (mean - t * spread, mean + t * spread)
        yield "BCa, expanded for t", self._bca(draws, reach)
        yield "studentized", self._studentized(draws, spread)
        yield "expanded for t", interval_of(draws, _NORMAL.cdf(-reach))
        figure = Drawn(mean, draws, chunks).figure()
        yield "ggufrun", (figure.lo or 0.0, figure.hi or 0.0)

    def _spreads(self, counts: Floats, means: Floats) -> Floats:
        """The cluster-robust standard error of the mean, in each draw."""
        sums, sizes, chunks = self.sums, self.sizes, len(self.sums)
        squares = counts @ sums**2 - 2 * means * (counts @ (sums * sizes)) + means**2 * (counts @ sizes**2)
        found: Floats = np.sqrt(np.maximum(squares, 0) * chunks / (chunks - 1)) / (counts @ sizes)
        return found

    def _studentized(self, draws: Floats, spread: float) -> Ends:
        spreads = self._spreads(self.counts, draws)
        there = spreads > 1e-12 * abs(self.mean)
        low, high = interval_of((draws[there] - self.mean) / spreads[there], 0.025)
        return self.mean - high * spread, self.mean - low * spread

    def _bca(self, draws: Floats, reach: float) -> Ends:
        without = (self.sums.sum() - self.sums) / (self.sizes.sum() - self.sizes)
        away = without.mean() - without
        bend = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
        share = min(max(float(np.mean(draws < self.mean)), 1e-3), 1 - 1e-3)
        shift = _NORMAL.inv_cdf(share)

        def level(z: float) -> float:
            under = 1 - bend * (shift + z)
            return _NORMAL.cdf(shift + (shift + z) / under) if under > 0 else 1.0

        low, high = np.quantile(draws, (level(-reach), level(reach)))
        return float(low), float(high)


def quantities(rng: np.random.Generator, chunks: int, runs: int) -> Iterator[tuple[str, Floats, float, Ints]]:
    """Name, [runs, positions], the true mean, and the chunk of each position."""
    chunk = chunks_of(rng.integers(32, 97, chunks))
    for name, (between, within) in _SPREADS.items():
        values = np.exp(clustered(rng, chunk, between=between, within=within, runs=runs))
        yield name, values, float(np.exp((between**2 + within**2) / 2)), chunk
    between, within = _SPREADS["mean KLD"]
    hard = clustered(rng, chunk, between=between, within=within, runs=runs)
    other = np.exp(hard + 0.1 + clustered(rng, chunk, between=0.1, within=0.3, runs=runs))
    mean, factor = np.exp((between**2 + within**2) / 2), np.exp(0.1 + (0.1**2 + 0.3**2) / 2)
    yield "difference of two", np.exp(hard) - other, float(mean * (1 - factor)), chunk
    yield "ln ratio", 0.02 + clustered(rng, chunk, between=0.02, within=0.1, runs=runs), 0.02, chunk
    same = (hard < _NORMAL.inv_cdf(0.9) * np.hypot(between, within)).astype(np.float64)
    yield "same top", same, 0.9, chunk


def measure(chunks: int, runs: int) -> dict[str, dict[str, float]]:
    """By quantity, by way: percent of the runs whose interval held the truth, of those that had one."""
    held, total = defaultdict[str, Counter[str]](Counter), defaultdict[str, Counter[str]](Counter)
    for seed in range(_TEXTS):
        rng = np.random.default_rng(seed)
        for name, values, true, chunk in quantities(rng, chunks, runs // _TEXTS):
            boot = Bootstrap.over(chunk, _DRAWS, seed)
            sizes = np.bincount(chunk).astype(np.float64)
            for run in values:
                sums = np.bincount(chunk, run).astype(np.float64)
                for way, (low, high) in Sample(sums, sizes, boot.counts).ways():
                    total[name][way] += 1
                    held[name][way] += low <= true <= high
        for name, level, values, true, chunk in tails(rng, chunks, runs // _TEXTS):
            boot = Bootstrap.over(chunk, _FEW_DRAWS, seed)
            for run in values:
                for way, found in percentile_ways(run, level, boot):
                    total[name][way] += found is not None
                    held[name][way] += found is not None and found[0] <= true <= found[1]
    return {
        name: {way: 100 * held[name][way] / count if count else float("nan") for way, count in ways.items()}
        for name, ways in total.items()
    }


def tails(rng: np.random.Generator, chunks: int, runs: int) -> Iterator[tuple[str, float, Floats, float, Ints]]:
    """As `quantities`, with the level of a percentile: over chunks of 32 to 96 positions, and of 256 as a report's."""
    for title, sizes in (("", rng.integers(32, 97, chunks)), (", long chunks", np.full(chunks, 256))):
        chunk = chunks_of(sizes)
        for text, (between, within) in _SPREADS.items():
            values = np.exp(clustered(rng, chunk, between=between, within=within, runs=runs))
            for level in _LEVELS:
                true = float(np.exp(_NORMAL.inv_cdf(level) * np.hypot(between, within)))
                yield f"KLD p{level * 100:.0f}{title}{text.removeprefix('mean KLD')}", level, values, true, chunk


def percentile_ways(run: Floats, level: float, boot: Bootstrap) -> Iterator[tuple[str, Ends | None]]:
    """None: no interval is given."""
    (figure,) = percentiles(run, np.ones(len(run), dtype=bool), (level,), boot)
    lo, hi = figure.lo, figure.hi
    yield "ggufrun", None if lo is None or hi is None else (lo, hi)
    if level == _LEVELS[-1] and len(run) < _LONG:
        drawn = Drawn(figure.value, _drawn_percentiles(run, level, boot), boot.chunks).figure()
        yield "bootstrap, expanded", None if lo is None else (drawn.lo or 0.0, drawn.hi or 0.0)


def _drawn_percentiles(run: Floats, level: float, boot: Bootstrap) -> Floats:
    """In each draw, without interpolation."""
    order = np.argsort(run)
    upto = np.cumsum(boot.counts[:, boot.of[order]], axis=1)
    found: Floats = run[order][(upto >= level * upto[:, -1:]).argmax(axis=1)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    found = {chunks: measure(chunks, parser.parse_args().runs) for chunks in CHUNKS}
    heads = "".join(f" {chunks} |" for chunks in CHUNKS)
    print(f"| quantity | way | {heads.strip()}\n|---|---|{'---:|' * len(CHUNKS)}")
    for name, ways in found[CHUNKS[0]].items():
        for way in ways:
            figures = (found[chunks][name].get(way, float("nan")) for chunks in CHUNKS)
            print(f"| {name} | {way} | {' | '.join(f'{figure:.1f}' for figure in figures)} |")
    print("left out on each side:", *(f"{chunks}: {tail(chunks):.4f}" for chunks in CHUNKS))


if __name__ == "__main__":
    main()
