"""The median of repetitions, and its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.compare.results import Figure
from ggufrun.compare.statistics.speeds import median_interval


def test_five_repetitions_reach_from_the_slowest_to_the_fastest() -> None:
    assert median_interval([31.0, 30.0, 12.0, 32.0, 30.5]) == Figure(30.5, 12.0, 32.0)


@pytest.mark.parametrize("values", [[30.0], [30.0, 31.0], [30.0, 31.0, 29.0], [30.0, 31.0, 29.0, 30.0]])
def test_fewer_than_five_have_no_interval(values: list[float]) -> None:
    assert median_interval(values) == Figure(float(np.median(values)))


def test_many_repetitions_leave_out_the_outliers() -> None:
    found = median_interval([*np.linspace(29, 31, 30), 1.0, 90.0])
    assert found.lo is not None
    assert found.hi is not None
    assert 29.3 < found.lo < 30 < found.hi < 30.7


def test_the_interval_holds_the_median_of_skewed_times() -> None:
    runs = np.random.default_rng(6).exponential(1, (500, 12))
    figures = [median_interval(list(run)) for run in runs]
    held = [each.lo is not None and each.hi is not None and each.lo <= np.log(2) <= each.hi for each in figures]
    assert 0.92 <= np.mean(held) <= 0.98


@given(st.lists(st.floats(0.1, 1e5), min_size=5, max_size=20))
def test_the_interval_is_among_the_values_around_the_median(values: list[float]) -> None:
    found = median_interval(values)
    assert found.lo is not None
    assert found.hi is not None
    assert min(values) <= found.lo <= found.value <= found.hi <= max(values)
    assert found == median_interval(values)


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median_interval([])
