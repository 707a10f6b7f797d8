"""Two rows against each other, where it is known which is better, and how sure that is."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from ggufrun.compare.results import Floats, Pair, Scores
from ggufrun.compare.statistics.bootstrap import Bootstrap
from ggufrun.compare.statistics.pairs import pair
from ggufrun.compare.statistics.quality import quality
from tests.compare.statistics.made import Ints, chunks_of, clustered, scores

CHUNK = chunks_of([60] * 40)


def compared(a: Floats, b: Floats, *, chunk: Ints = CHUNK, noise: float | None = None, draws: int = 2000) -> Pair:
    found = pair(("a", scores(a, chunk)), ("b", scores(b, chunk)), Bootstrap.over(chunk, draws, seed=0), noise)
    assert found is not None
    return found


@pytest.mark.parametrize("better", [5, 8, 11])
def test_the_probability_is_that_of_a_majority_among_drawn_chunks(better: int) -> None:
    """In `better` of 16 chunks the first is better by 1, else worse by 1: what decides is a binomial count, of which
    every value is known; half a win where 8 of 16 come out."""
    chunk = chunks_of([10] * 16)
    difference = np.where(chunk < better, -1.0, 1.0)
    odds = [comb(16, wins) * better**wins * (16 - better) ** (16 - wins) / 16**16 for wins in range(17)]
    known = sum(odds[9:]) + odds[8] / 2
    found = compared(2 + difference, np.full(160, 2.0), chunk=chunk, draws=100_000)
    assert found.p_a_better == pytest.approx(known, abs=0.006)
    assert found.difference.value == pytest.approx(1 - better / 8)


def test_what_is_hard_for_both_does_not_blur_the_difference() -> None:
    """Without the same draws for both rows the intervals of each, which overlap widely, would be all there is."""
    rng = np.random.default_rng(6)
    hard = np.exp(clustered(rng, CHUNK, between=1, within=1))
    rows = {name: scores(kld, CHUNK) for name, kld in (("reference", hard * 0), ("a", hard), ("b", hard + 0.001))}
    found = quality(rows, "reference", parts=("all",))
    spread = found.of["a"].kld_mean
    assert spread.lo is not None
    assert spread.hi is not None
    assert spread.hi - spread.lo > 1
    (only,) = found.pairs
    assert (only.a, only.b, only.p_a_better, only.is_tied) == ("a", "b", 1.0, False)
    assert only.difference.hi == pytest.approx(-0.001)


def test_rows_that_do_not_differ_are_called_tied_as_often_as_promised() -> None:
    """500 pairs whose difference is 0 in truth: about 95 of 100 are tied, and the better one is a toss-up."""
    rng = np.random.default_rng(6)
    differences = clustered(rng, CHUNK, between=0.1, within=1, runs=500)
    bootstrap = Bootstrap.over(CHUNK, 1000, seed=0)
    nothing = scores(np.zeros(len(CHUNK)), CHUNK)
    found = [pair(("a", replace(nothing, kld=each)), ("b", nothing), bootstrap, None) for each in differences]
    assert 0.92 <= np.mean([each is not None and each.is_tied for each in found]) <= 0.98
    sure = [each.p_a_better for each in found if each is not None and each.p_a_better is not None]
    assert len(sure) == 500
    assert np.quantile(sure, (0.25, 0.5, 0.75)) == pytest.approx([0.25, 0.5, 0.75], abs=0.06)


def test_the_same_scores_are_tied() -> None:
    kld = np.exp(clustered(np.random.default_rng(6), CHUNK, between=1, within=1))
    found = compared(kld, kld)
    assert (found.difference.value, found.p_a_better, found.is_tied) == (0.0, 0.5, True)


@pytest.mark.parametrize(("noise", "tied"), [(None, False), (0.0009, False), (0.0011, True)])
def test_a_difference_below_the_noise_is_a_tie_however_sure(noise: float | None, tied: bool) -> None:
    kld = np.exp(clustered(np.random.default_rng(6), CHUNK, between=1, within=1))
    found = compared(kld, kld + 0.001, noise=noise)
    assert (found.p_a_better, found.is_tied) == (1.0, tied)


@pytest.mark.parametrize(("noise", "tied"), [(None, False), (0.5, False), (2.0, True)])
def test_with_few_chunks_only_the_noise_ties(noise: float | None, tied: bool) -> None:
    chunk = chunks_of([60] * 7)
    kld = np.random.default_rng(6).exponential(1, 420)
    found = compared(kld, kld + 1, chunk=chunk, noise=noise)
    assert (found.difference.lo, found.difference.hi, found.p_a_better, found.is_tied) == (None, None, None, tied)
    assert compared(kld, kld, chunk=chunk).is_tied


def test_the_other_way_around_it_is_the_opposite() -> None:
    rng = np.random.default_rng(6)
    a, b = (clustered(rng, CHUNK, between=0.1, within=1) for _ in range(2))
    one, other = compared(a, b), compared(b, a)
    assert one.p_a_better is not None
    assert other.p_a_better == pytest.approx(1 - one.p_a_better)
    assert one.difference.lo is not None
    assert other.difference.hi == pytest.approx(-one.difference.lo)


def test_rows_without_a_position_in_common_are_no_pair() -> None:
    kld, even = np.ones(len(CHUNK)), np.arange(len(CHUNK)) % 2 == 0
    a, b = (scores(np.where(there, kld, np.nan), CHUNK) for there in (even, ~even))
    assert pair(("a", a), ("b", b), Bootstrap.over(CHUNK, 10, seed=0), None) is None


def test_each_two_rows_meet_once_and_none_meets_the_reference() -> None:
    rng = np.random.default_rng(6)
    rows: dict[str, Scores] = {name: scores(rng.exponential(1, 2400), CHUNK) for name in ("x", "base", "y", "z")}
    found = quality(rows, "base", parts=("all",), draws=100).pairs
    assert [(each.a, each.b) for each in found] == [("x", "y"), ("x", "z"), ("y", "z")]
