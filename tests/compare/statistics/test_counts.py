"""Wilson's interval, votes, McNemar's test and a task's line, against exact fractions and published examples."""

from fractions import Fraction
from math import comb, exp, fsum, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.compare.results import Figure
from ggufrun.compare.statistics.mcnemar import mcnemar
from ggufrun.compare.statistics.outcomes import task_result
from ggufrun.compare.statistics.proportions import wilson, win_rate

Z = Fraction(1959963984540054, 10**15)


def exact_mcnemar(gained: int, lost: int) -> Fraction:
    flipped = gained + lost
    tail = Fraction(sum(comb(flipped, count) for count in range(min(gained, lost) + 1)), 2**flipped)
    return min(Fraction(1), 2 * tail)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_tail(gained: int, lost: int) -> None:
    assert mcnemar(gained, lost) == pytest.approx(float(exact_mcnemar(gained, lost)), rel=1e-13)
    assert mcnemar(gained, lost) == mcnemar(lost, gained)


def test_mcnemar_by_hand() -> None:
    assert [mcnemar(*each) for each in ((0, 0), (1, 0), (3, 3), (3, 2))] == [1, 1, 1, 1]
    assert {mcnemar(each, each + 1) for each in range(500)} == {1.0}  # the tail is a half, exactly
    assert mcnemar(0, 5) == 2 / 32
    assert mcnemar(1, 9) == 22 / 1024
    assert mcnemar(0, 1000) == pytest.approx(2.0**-999, rel=1e-13)


@pytest.mark.parametrize("lost", [49_000, 49_700, 49_990])
def test_mcnemar_of_a_hundred_thousand_flips(lost: int) -> None:
    flipped = 100_000
    logs = (lgamma(flipped + 1) - lgamma(k + 1) - lgamma(flipped - k + 1) - flipped * log(2) for k in range(lost + 1))
    assert mcnemar(flipped - lost, lost) == pytest.approx(2 * fsum(exp(each) for each in logs), rel=1e-8)


def test_mcnemar_refuses_what_is_no_count() -> None:
    with pytest.raises(ValueError, match="-1 gained, 3 lost"):
        mcnemar(-1, 3)


@given(st.data())
def test_the_ends_of_wilson_s_interval_solve_its_equation(data: st.DataObject) -> None:
    """At an end the share is exactly z standard errors away, those of the end itself."""
    of = data.draw(st.integers(1, 10_000))
    right = data.draw(st.integers(0, of))
    found, share = wilson(right, of), Fraction(right, of)
    assert found.lo is not None
    assert found.hi is not None
    assert 0 <= found.lo <= found.value <= found.hi <= 1
    for end in (Fraction(found.lo), Fraction(found.hi)):
        if 0 < end < 1:
            assert float((share - end) ** 2 * of) == pytest.approx(float(Z**2 * end * (1 - end)), rel=1e-9)


@pytest.mark.parametrize(
    ("right", "of", "lo", "hi"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_s_interval_of_published_examples(right: int, of: int, lo: float, hi: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    found, other = wilson(right, of), wilson(of - right, of)
    assert [found.value, found.lo, found.hi] == pytest.approx([right / of, lo, hi], abs=5e-5)
    assert [other.lo, other.hi] == pytest.approx([1 - hi, 1 - lo], abs=5e-5)


def test_nothing_says_nothing() -> None:
    assert wilson(0, 0) == win_rate(0, 0, 7) == Figure(0.5, 0.0, 1.0)


@pytest.mark.parametrize(("right", "of"), [(-1, 3), (4, 3)])
def test_more_than_all_is_refused(right: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"{right} right of {of}"):
        wilson(right, of)


def test_ties_are_no_votes() -> None:
    assert win_rate(9, 3, 50) == win_rate(9, 3) == wilson(9, 12)
    assert win_rate(3, 9).value == 0.25
    with pytest.raises(ValueError, match="-2 ties"):
        win_rate(1, 1, -2)


def test_a_task_s_line_counts_flips_both_ways() -> None:
    reference = [True] * 150 + [False] * 50
    outcomes = [False] * 9 + [True] * 141 + [True] + [False] * 49
    found = task_result("choices", outcomes, reference, {"schema_valid": 0.5})
    assert (found.name, found.items, found.right, found.gained, found.lost) == ("choices", 200, 142, 1, 9)
    assert found.accuracy == wilson(142, 200)
    assert found.p_mcnemar == 22 / 1024
    assert (found.too_few, found.more) == (False, {"schema_valid": 0.5})


def test_the_reference_has_no_flips_and_few_items_are_said_to_be_few() -> None:
    found = task_result("needle", [True] * 199, None)
    assert (found.gained, found.lost, found.p_mcnemar, found.too_few, found.more) == (0, 0, None, True, {})


def test_other_items_than_the_reference_s_are_refused() -> None:
    with pytest.raises(ValueError):
        task_result("needle", [True, False], [True])
