"""How often the 95 % intervals hold what is true: over 500 made-up texts, of which it is known

The positions of a chunk resemble each other. Intervals that take them one by one fail here: the reason for clusters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pytest

from ggufrun.compare.results import Figure, Floats
from ggufrun.compare.statistics.bootstrap import Bootstrap, Mask
from ggufrun.compare.statistics.drawn import Z
from ggufrun.compare.statistics.percentiles import percentiles
from tests.compare.statistics.made import chunks_of, clustered

RUNS = 500
CHUNKS = (8, 20, 40)
LEAST, MOST = 92, 98  # percent
BETWEEN, WITHIN = 0.3, 1.0  # of ln KLD: between chunks, and between the positions of one


@dataclass(frozen=True)
class Text:
    """500 texts of as many chunks, of 32 to 96 positions."""

    boot: Bootstrap
    kld: Floats  # [runs, positions], of one row; its logarithm is normal
    other: Floats  # a worse row's: what is hard for one is hard for the other
    ratio: Floats  # ln of the perplexities' ratio, by position

    @property
    def everywhere(self) -> Mask:
        return np.ones(len(self.boot.of), dtype=bool)


def text_of(chunks: int, *, seed: int = 6, draws: int = 2000) -> Text:
    rng = np.random.default_rng(seed)
    chunk = chunks_of(rng.integers(32, 97, chunks))
    hardness = clustered(rng, chunk, between=BETWEEN, within=WITHIN, runs=RUNS)
    own = clustered(rng, chunk, between=0.1, within=0.3, runs=RUNS)
    ratio = 0.02 + clustered(rng, chunk, between=0.02, within=0.1, runs=RUNS)
    return Text(Bootstrap.over(chunk, draws, seed), np.exp(hardness - 4), np.exp(hardness + own - 3.9), ratio)


TRUE_KLD = float(np.exp(-4 + (BETWEEN**2 + WITHIN**2) / 2))
TRUE_OTHER = float(np.exp(-3.9 + (BETWEEN**2 + WITHIN**2 + 0.1**2 + 0.3**2) / 2))


@pytest.fixture(scope="module", params=CHUNKS, ids=lambda chunks: f"{chunks} chunks")
def text(request: pytest.FixtureRequest) -> Text:
    return text_of(request.param)


def means(text: Text, values: Floats) -> Iterable[Figure]:
    return (text.boot.mean(run, text.everywhere).figure() for run in values)


def naive(values: Floats) -> Iterable[Figure]:
    """As if positions did not depend on each other."""
    middle, spread = values.mean(axis=1), Z * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return (Figure(m, m - s, m + s) for m, s in zip(middle, spread, strict=True))


def coverage(figures: Iterable[Figure], true: float) -> float:
    """In percent."""
    held = [each.lo is not None and each.hi is not None and each.lo <= true <= each.hi for each in figures]
    assert len(held) == RUNS
    return 100 * sum(held) / len(held)


def test_of_the_mean_kl_divergence(text: Text) -> None:
    assert LEAST <= coverage(means(text, text.kld), TRUE_KLD) <= MOST
    assert coverage(naive(text.kld), TRUE_KLD) < 80


def test_of_the_logarithm_of_the_ratio_of_perplexities(text: Text) -> None:
    assert LEAST <= coverage(means(text, text.ratio), 0.02) <= MOST
    assert coverage(naive(text.ratio), 0.02) < 80


def test_of_the_difference_of_two_rows(text: Text) -> None:
    assert LEAST <= coverage(means(text, text.kld - text.other), TRUE_KLD - TRUE_OTHER) <= MOST
    assert coverage(naive(text.kld - text.other), TRUE_KLD - TRUE_OTHER) < 80


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(("chunks", "size"), [(8, 256), (12, 256), (20, None), (40, None)])
def test_of_percentiles(chunks: int, size: int | None, level: float) -> None:
    """A report's chunks have 256 positions; of short ones it takes 20 for ten positions beyond p99."""
    rng = np.random.default_rng(6)
    chunk = chunks_of(rng.integers(32, 97, chunks) if size is None else [size] * chunks)
    boot, everywhere = Bootstrap.over(chunk, 1, 0), np.ones(len(chunk), dtype=bool)
    texts = np.exp(clustered(rng, chunk, between=BETWEEN, within=WITHIN, runs=RUNS))
    true = float(np.exp(NormalDist().inv_cdf(level) * np.hypot(BETWEEN, WITHIN)))
    found = [percentiles(run, everywhere, (level,), boot)[0] for run in texts]
    assert LEAST <= coverage(found, true) <= MOST
    alone = Bootstrap.over(np.arange(len(chunk), dtype=np.int32), 1, 0)  # as if positions did not depend on each other
    assert coverage([percentiles(run, everywhere, (level,), alone)[0] for run in texts], true) < coverage(found, true)
