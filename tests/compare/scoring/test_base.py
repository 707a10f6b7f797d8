"""What is kept of the reference, and the divergence from it: its bounds, on distributions of every shape."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.compare.scoring.base import FEW, LEAST, MOST, TAIL, heaviest, keep, lumped, room
from ggufrun.compare.scoring.distribution import Row
from ggufrun.compare.scoring.divergence import diverge, kl_divergence
from tests.compare.scoring.test_distribution import known


def log_softmax(logits: Row) -> npt.NDArray[np.float64]:
    exact = logits.astype(np.float64)
    shifted = exact - exact.max()
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result


def exact_divergence(reference: Row, other: Row) -> float:
    p, q = log_softmax(reference), log_softmax(other)
    return float((np.exp(p) * (p - q)).sum())


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Row, Row]:
    """Logits of a reference and of another model, from sharp to flat, from near to far."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([2, 63, 64, 65, 500, 5000, 20_000]))
    reference = draw(st.sampled_from([0.0, 0.1, 1.0, 5.0, 20.0])) * rng.standard_normal(size)
    distance = draw(st.sampled_from([1e-6, 1e-3, 0.1, 1.0, 10.0]))
    other = reference + distance * rng.standard_normal(size)
    return reference.astype(np.float32), other.astype(np.float32)


@given(pairs())
def test_the_lumped_divergence_is_a_lower_bound(pair: tuple[Row, Row]) -> None:
    reference, other = pair
    kept = keep(known(reference), 0)
    found = diverge(known(other), kept, 0).kld
    exact = exact_divergence(reference, other)
    assert 0 <= found <= exact + 1e-6 * (1 + exact)  # float32 is good for so much
    if len(reference) <= LEAST:
        assert found == pytest.approx(exact, abs=1e-6, rel=1e-5)


@given(pairs())
def test_a_model_is_exactly_0_from_itself(pair: tuple[Row, Row]) -> None:
    reference, _ = pair
    kept = keep(known(reference), 1)
    found = diverge(known(reference.copy()), kept, 1)
    assert (found.kld, found.dp, found.same_top, found.nll) == (0.0, 0.0, True, kept.nll)


@given(pairs())
def test_the_smallest_set_with_the_mass_is_kept(pair: tuple[Row, Row]) -> None:
    reference, _ = pair
    ids = heaviest(known(reference)).astype(int)
    p = np.exp(log_softmax(reference))
    assert (np.diff(ids) > 0).all()
    assert len(ids) >= min(LEAST, len(p)) and len(ids) <= MOST
    if len(ids) < min(MOST, len(p)):
        assert p[ids].sum() >= 1 - TAIL - 1e-7
    if len(ids) > LEAST:
        assert p[ids].sum() - p[ids].min() <= 1 - TAIL + 1e-7
    others = np.delete(p, ids)
    assert others.max(initial=0) <= p[ids].min() * (1 + 1e-6)


def test_equal_tokens_are_kept_from_the_first() -> None:
    assert heaviest(known(np.zeros(50_000, np.float32))).tolist() == list(range(MOST))
    assert heaviest(known(np.zeros(50_000, np.float32)), 4096).tolist() == list(range(4096))


def test_of_a_long_text_less_is_kept_of_each_position() -> None:
    assert [room(positions) for positions in (1, 2_040, 10_200, 51_000)] == [MOST, MOST, 13_158, FEW]


def test_the_lump_weighs_what_is_left() -> None:
    reference = np.random.default_rng(1).standard_normal(30_000).astype(np.float32)
    row = known(reference)
    log_p = lumped(row, heaviest(row))
    assert len(log_p) == MOST + 1
    assert np.exp(log_p.astype(np.float64)).sum() == pytest.approx(1, abs=1e-6)
    assert np.exp(float(log_p[-1])) > 0.1  # a flat one: much is left


def test_log_probabilities_are_rounded_once() -> None:
    """Logits far from 0: what they are divided by must not be rounded to float32 before it is."""
    logits = (1000 + 3 * np.random.default_rng(2).standard_normal(30_000)).astype(np.float32)
    row = known(logits)
    ids = heaviest(row)
    exact = log_softmax(logits)[ids]
    assert np.abs(lumped(row, ids)[:-1] - exact).max() < 2e-6


def test_a_divergence_worked_out_by_hand() -> None:
    p, q = np.log(np.array([0.5, 0.25, 0.25])), np.log(np.array([0.25, 0.25, 0.5]))
    found = kl_divergence(p.astype(np.float32), q.astype(np.float32))
    assert found == pytest.approx(0.5 * np.log(2) - 0.25 * np.log(2), abs=1e-7)


def test_what_is_not_finite_on_either_side_is_nan() -> None:
    row = known(np.arange(100, dtype=np.float32))
    for found in (diverge(None, keep(row, 3), 3), diverge(row, None, 3)):
        assert np.isnan([found.nll, found.kld, found.dp]).all()
        assert not found.same_top
