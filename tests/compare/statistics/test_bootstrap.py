"""Means in each draw, against numpy over the repeated positions themselves; and their interval"""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.compare.results import Floats
from ggufrun.compare.statistics.bootstrap import Bootstrap, Mask
from ggufrun.compare.statistics.drawn import Drawn, tail


def repeated(values: Floats, bootstrap: Bootstrap, draw: int) -> Floats:
    return np.repeat(values, bootstrap.counts[draw, bootstrap.of].astype(int))


def check_against_numpy(values: Floats, where: Mask, boot: Bootstrap) -> None:
    with np.errstate(all="raise"):
        mean = boot.mean(values, where)
    assert mean.value == pytest.approx(values[where].mean())
    for draw in range(len(boot.counts)):
        there = repeated(np.where(where, values, np.nan), boot, draw)
        there = there[np.isfinite(there)]
        if len(there):
            assert mean.draws[draw] == pytest.approx(there.mean(), rel=1e-12, abs=1e-12)
        else:
            assert np.isnan(mean.draws[draw])


def test_a_draw_is_the_text_with_its_chunks_repeated() -> None:
    """Also chunks of very different sizes."""
    rng = np.random.default_rng(6)
    chunk = np.repeat(np.arange(12), rng.integers(1, 300, 12)).astype(np.int32)
    values = np.round(np.exp(rng.normal(0, 1.5, len(chunk))), 2)
    check_against_numpy(values, rng.random(len(chunk)) < 0.8, Bootstrap.over(chunk, 100, seed=1))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_any_positions_in_any_order(positions: list[tuple[int, int, bool]]) -> None:
    chunk, values, where = (np.array(each) for each in zip(*positions, strict=True))
    if where.any():
        check_against_numpy(values.astype(float), where, Bootstrap.over(chunk.astype(np.int32), 8, seed=0))


def test_chunks_are_drawn_as_often_as_there_are_any() -> None:
    boot = Bootstrap.over(np.array([7, 7, 3, 900, 3], dtype=np.int32), 500, seed=0)
    assert boot.of.tolist() == [1, 1, 0, 2, 0]
    assert set(boot.counts.sum(axis=1)) == {3}
    assert boot.counts.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.15)


def test_the_seed_decides() -> None:
    chunk = np.arange(20, dtype=np.int32)
    first, again, other = (Bootstrap.over(chunk, 50, seed).counts for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(("chunks", "student"), [(8, 2.3646), (12, 2.2010), (40, 2.0227), (200, 1.9720)])
def test_the_interval_reaches_a_little_further_than_student_s_t(chunks: int, student: float) -> None:
    """Of normal draws, whose spread is too small by the known factor, as a bootstrap's is. See tables of t."""
    spread = np.sqrt((chunks - 1) / chunks)
    draws = np.array(NormalDist(0, spread).quantiles(200_001))
    figure = Drawn(0.0, draws, chunks).figure()
    reach = student * (1 + 1 / chunks)
    assert figure.hi == pytest.approx(reach, rel=4e-3)
    assert figure.lo == pytest.approx(-reach, rel=4e-3)
    assert tail(chunks) < 0.025


@pytest.mark.parametrize(("chunks", "has"), [(1, False), (7, False), (8, True)])
def test_there_is_no_interval_below_eight_chunks(chunks: int, has: bool) -> None:
    boot = Bootstrap.over(np.repeat(np.arange(chunks), 50).astype(np.int32), 200, seed=0)
    values = np.arange(chunks * 50, dtype=float)
    figure = boot.mean(values, np.ones(len(values), dtype=bool)).figure()
    assert figure.value == pytest.approx(values.mean())
    assert (figure.lo is not None, figure.hi is not None) == (has, has)


@given(st.lists(st.floats(0, 50), min_size=8, max_size=16), st.integers(1, 9))
def test_the_value_is_inside_of_its_interval(chunks: list[float], size: int) -> None:
    """Also where all chunks are the same and only rounding differs: no error bar may be negative."""
    boot = Bootstrap.over(np.repeat(np.arange(len(chunks)), size).astype(np.int32), 50, seed=0)
    values, everywhere = np.repeat(chunks, size), np.ones(len(chunks) * size, dtype=bool)
    figure = boot.mean(values, everywhere).map(np.exp).figure()
    assert figure.lo is not None
    assert figure.hi is not None
    assert figure.lo <= figure.value <= figure.hi


def test_the_same_everywhere_has_an_interval_of_no_width() -> None:
    boot = Bootstrap.over(np.repeat(np.arange(9), 7).astype(np.int32), 200, seed=0)
    figure = boot.mean(np.full(63, 0.1), np.ones(63, dtype=bool)).figure()
    assert [figure.lo, figure.hi] == pytest.approx([0.1, 0.1])
    assert figure.lo is not None
    assert figure.hi is not None
    assert figure.lo <= figure.value <= figure.hi


def test_chunks_without_a_position_do_not_count() -> None:
    boot = Bootstrap.over(np.arange(40, dtype=np.int32), 2000, seed=0)
    values, where = np.arange(40.0), np.arange(40) < 7
    assert boot.mean(values, where).figure().lo is None
    figure = boot.mean(values, np.arange(40) < 8).figure()
    assert figure.lo is not None
    assert figure.hi is not None
    assert 0 <= figure.lo < 3.5 < figure.hi <= 7
