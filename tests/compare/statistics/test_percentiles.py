"""Percentiles and their intervals: against exact counts of independent positions, and wider where chunks are alike"""

from math import exp, lgamma, log, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.compare.results import Figure, Floats
from ggufrun.compare.statistics.bootstrap import Bootstrap
from ggufrun.compare.statistics.percentiles import percentiles

LEVELS = (0.0, 0.123, 0.5, 0.9, 0.99, 0.999, 1.0)


def found(values: Floats, chunk: object, levels: tuple[float, ...]) -> list[Figure]:
    boot = Bootstrap.over(np.asarray(chunk, dtype=np.int32), 1, 0)
    return percentiles(values, np.ones(len(values), dtype=bool), levels, boot)


def exact(total: int, share: float, tail: float) -> tuple[int, int]:
    """The least and the most successes that a binomial count has but for `tail` on each side."""
    ways = (lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) for k in range(total + 1))
    chances = np.cumsum([exp(way + k * log(share) + (total - k) * log1p(-share)) for k, way in enumerate(ways)])
    return int(np.searchsorted(chances, tail)), int(np.searchsorted(chances, 1 - tail))


@pytest.mark.parametrize("level", [0.99, 0.95, 0.9])
def test_of_independent_positions_it_is_that_of_a_binomial_count(level: float) -> None:
    """As order statistics have it: from the value that `most` lie beyond to the one that `fewest` do. At most two
    places wider, as intervals of counts with a continuous distribution are."""
    total = 1200
    values = np.random.default_rng(6).permutation(total).astype(float)
    (figure,) = found(values, np.arange(total), (level,))
    fewest, most = exact(total, 1 - level, 0.025)
    assert figure.lo == pytest.approx(total - most - 0.5, abs=2.5)
    assert figure.hi == pytest.approx(total - fewest - 0.5, abs=2.5)


def test_below_the_middle_it_is_the_same_from_the_other_side() -> None:
    values = np.random.default_rng(6).normal(size=1500)
    chunk = np.arange(1500) % 15
    (low,) = found(-values, chunk, (0.01,))
    (high,) = found(values, chunk, (0.99,))
    assert (low.lo, low.hi) == pytest.approx((-(high.hi or 0), -(high.lo or 0)))


def test_positions_that_say_the_same_count_once() -> None:
    """Each value ten times in its chunk: as if there were a tenth of them."""
    values = np.random.default_rng(6).normal(size=2000)
    (once,) = found(values, np.arange(2000), (0.9,))
    (often,) = found(np.repeat(values, 10), np.repeat(np.arange(2000), 10), (0.9,))
    (apart,) = found(np.repeat(values, 10), np.arange(20_000), (0.9,))
    assert (often.lo, often.hi) == pytest.approx((once.lo, once.hi), abs=0.02)
    assert apart.lo is not None and often.lo is not None and apart.lo > often.lo + 0.02


@pytest.mark.parametrize(("chunks", "has"), [(7, False), (8, True)])
def test_there_is_none_below_eight_chunks(chunks: int, has: bool) -> None:
    (figure,) = found(np.arange(chunks * 50).astype(float), np.repeat(np.arange(chunks), 50), (0.5,))
    assert (figure.lo is not None, figure.hi is not None) == (has, has)


@pytest.mark.parametrize(("positions", "has"), [(999, False), (1000, True)])
def test_one_with_hardly_a_position_beyond_it_has_none(positions: int, has: bool) -> None:
    values = np.exp(np.random.default_rng(6).normal(size=positions))
    low, middle, high = found(values, np.arange(positions) % 20, (0.01, 0.5, 0.99))
    assert middle.lo is not None
    assert [low.lo is not None, low.hi is not None, high.lo is not None, high.hi is not None] == [has] * 4
    assert high.value == pytest.approx(np.quantile(values, 0.99))


def test_where_all_beyond_is_of_one_chunk_the_true_one_may_lie_beyond_everything() -> None:
    values = np.random.default_rng(6).normal(size=2000)
    values[:20] += 100
    (figure,) = found(values, np.arange(2000) // 200, (0.99,))
    assert (figure.lo, figure.hi) == (None, None)


def test_the_same_everywhere_has_an_interval_of_no_width() -> None:
    assert found(np.full(200, 0.1, dtype=np.float64), np.arange(200) % 9, (0.5, 0.9)) == [Figure(0.1, 0.1, 0.1)] * 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 3), st.booleans()), min_size=1, max_size=60))
def test_any_positions_in_any_order(positions: list[tuple[int, int, bool]]) -> None:
    chunk, values, where = (np.array(each) for each in zip(*positions, strict=True))
    if where.any():
        boot = Bootstrap.over(chunk.astype(np.int32), 1, seed=0)
        with np.errstate(all="raise"):
            figures = percentiles(values.astype(float), where, LEVELS, boot)
        assert [each.value for each in figures] == list(np.quantile(values[where], LEVELS))
        for each in figures:
            assert (each.lo is None) == (each.hi is None)
            assert each.lo is None or each.hi is None or each.lo <= each.value <= each.hi
