"""A row of logits against float64."""

import numpy as np
import pytest

from ggufrun.compare.scoring.distribution import Distribution, Row


def row(*logits: float) -> Row:
    return np.array(logits, np.float32)


def known(logits: Row) -> Distribution:
    found = Distribution.of(logits)
    assert found is not None
    return found


def test_it_is_a_softmax() -> None:
    logits = (4 * np.random.default_rng(0).standard_normal(131_072)).astype(np.float32)
    exact = logits.astype(np.float64)
    p = np.exp(exact - exact.max())
    p /= p.sum()
    found = known(logits)
    assert found.top == int(exact.argmax())
    for token in (0, 77, found.top):
        assert found.log_p(token) == pytest.approx(np.log(p[token]), abs=2e-7)
        assert found.p(token) == pytest.approx(p[token], rel=2e-7)


def test_large_logits_overflow_nothing() -> None:
    found = known(row(1e4, 1e4, -1e4))
    assert found.p(0) == pytest.approx(0.5)
    assert found.log_p(2) == pytest.approx(-2e4 - np.log(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_not_finite_is_no_distribution(bad: float, place: int) -> None:
    logits = row(1, 2, 3)
    logits[place] = bad
    assert Distribution.of(logits) is None


def test_of_equals_the_first_is_on_top() -> None:
    found = known(row(1, 5, 2, 5, 2, 2))
    assert found.top == 1
    assert found.top_tokens(4).tolist() == [1, 3, 2, 4]
    assert found.top_tokens(99).tolist() == [1, 3, 2, 4, 5, 0]
