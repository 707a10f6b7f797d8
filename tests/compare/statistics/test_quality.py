"""All figures of rows over one text: each against the same figure over the repeated positions, worked out plainly."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest

from ggufrun.compare.results import Figure, Scores
from ggufrun.compare.statistics.bootstrap import Bootstrap, Mask
from ggufrun.compare.statistics.depths import ranges
from ggufrun.compare.statistics.drawn import tail
from ggufrun.compare.statistics.percentiles import percentiles
from ggufrun.compare.statistics.quality import finite, mean_kld, quality
from tests.compare.statistics.made import chunks_of, clustered, scores

CHUNK = chunks_of([120] * 12)
PARTS = ("prose", "code")
DRAWS = 300

Places = npt.NDArray[np.intp]


def text(*shifts: float) -> dict[str, Scores]:
    """A reference, and a row for each shift of ln KLD, over 12 chunks of 120 positions in two parts."""
    rng = np.random.default_rng(6)
    hardness = clustered(rng, CHUNK, between=0.3, within=1)
    nll = rng.exponential(2, len(CHUNK))
    rows = {"reference": replace(scores(np.zeros(len(CHUNK)), CHUNK, nll=nll, parts=2), dp=np.zeros(len(CHUNK)))}
    for index, shift in enumerate(shifts):
        kld = np.exp(hardness + shift + clustered(rng, CHUNK, between=0.1, within=0.3))
        own = nll + clustered(rng, CHUNK, between=0.02, within=0.1) + kld / 2
        rows[f"row {index}"] = scores(kld, CHUNK, seed=index, nll=own, parts=2)
    return rows


def check(found: Figure, statistic: Callable[[Places], float]) -> None:
    """`statistic`, of the positions' indices: once for all of them, and for each draw's, chunk by chunk."""
    counts = Bootstrap.over(CHUNK, DRAWS, seed=0).counts.astype(int)
    places = np.arange(len(CHUNK))
    drawn = [statistic(np.repeat(places, counts[draw, CHUNK])) for draw in range(DRAWS)]
    lo, hi = np.quantile(drawn, (tail(12), 1 - tail(12)))
    assert [found.value, found.lo, found.hi] == pytest.approx([statistic(places), lo, hi], rel=1e-9, abs=1e-12)


def test_every_figure_is_what_it_says() -> None:
    rows = text(-4)
    row, base = rows["row 0"], rows["reference"]
    found = quality(rows, "reference", parts=PARTS, draws=DRAWS).of["row 0"]
    assert (found.positions, found.chunks, found.not_finite) == (1440, 12, 0)
    check(found.ppl, lambda at: float(np.exp(row.nll[at].mean())))
    check(found.ln_ppl_ratio, lambda at: float((row.nll - base.nll)[at].mean()))
    check(found.kld_mean, lambda at: float(row.kld[at].mean()))
    everywhere = np.ones(len(CHUNK), dtype=bool)
    levels = (0.5, 0.9, 0.99)
    told = percentiles(row.kld, everywhere, levels, Bootstrap.over(CHUNK, 1, 0))
    assert [found.kld_median, found.kld_p90, found.kld_p99] == told
    assert [each.value for each in told] == pytest.approx(np.quantile(row.kld, levels))
    assert (found.kld_p999.lo, found.kld_p999.hi) == (None, None)  # one position lies beyond it
    assert found.kld_p999.value == pytest.approx(np.percentile(row.kld, 99.9))
    assert found.kld_max == row.kld.max()
    check(found.rms_dp, lambda at: float(np.sqrt((row.dp[at] ** 2).mean())))
    check(found.mean_dp, lambda at: float(row.dp[at].mean()))
    check(found.top1_agreement, lambda at: float(row.same_top[at].mean()))


def test_the_ratio_is_that_of_the_perplexities() -> None:
    of = quality(text(-4), "reference", parts=PARTS, draws=DRAWS).of
    ratio = of["row 0"].ppl.value / of["reference"].ppl.value
    assert of["row 0"].ln_ppl_ratio.value == pytest.approx(np.log(ratio))


def test_the_reference_against_itself_is_exactly_zero() -> None:
    rows = text()
    rows["again"] = replace(rows["reference"])
    found = quality(rows, "reference", parts=PARTS, draws=DRAWS)
    for name in rows:
        row = found.of[name]
        zeros = [row.ln_ppl_ratio, row.kld_mean, row.kld_median, row.kld_p999, row.rms_dp, row.mean_dp]
        zeros += [each.kld for each in row.depths] + list(row.parts.values())
        assert {(each.value, each.lo or 0.0, each.hi or 0.0) for each in zeros} == {(0.0, 0.0, 0.0)}
        assert row.kld_max == 0.0


def test_positions_that_are_not_finite_are_counted_and_left_out() -> None:
    rows = text(-4, -3)
    gone = np.arange(len(CHUNK)) % 7 == 0
    holed = replace(
        rows["row 0"], **{key: np.where(gone, np.nan, getattr(rows["row 0"], key)) for key in ("nll", "kld", "dp")}
    )
    found = quality({**rows, "row 0": holed}, "reference", parts=PARTS, draws=DRAWS)
    row = found.of["row 0"]
    assert (row.positions, row.not_finite) == (int((~gone).sum()), int(gone.sum()))
    assert row.kld_mean.value == pytest.approx(rows["row 0"].kld[~gone].mean())
    assert row.kld_p99.value == pytest.approx(np.quantile(rows["row 0"].kld[~gone], 0.99))
    assert row.ln_ppl_ratio.value == pytest.approx((rows["row 0"].nll - rows["reference"].nll)[~gone].mean())
    assert found.of["row 1"].positions == len(CHUNK)
    both = (rows["row 0"].kld - rows["row 1"].kld)[~gone]
    assert found.pairs[0].difference.value == pytest.approx(both.mean())
    assert mean_kld(holed) == row.kld_mean.value


def test_positions_that_the_reference_lacks_count_for_no_row() -> None:
    rows = text(-4)
    rows["reference"].nll[:100] = np.nan
    row = quality(rows, "reference", parts=PARTS, draws=DRAWS).of["row 0"]
    assert (row.positions, row.not_finite) == (1340, 100)
    assert row.ln_ppl_ratio.value == pytest.approx((rows["row 0"].nll - rows["reference"].nll)[100:].mean())


def test_a_row_without_a_finite_position_has_no_quality() -> None:
    rows = text(-4, -3)
    nothing = np.full(len(CHUNK), np.nan)
    rows["row 0"] = replace(rows["row 0"], nll=nothing, kld=nothing, dp=nothing)
    found = quality(rows, "reference", parts=PARTS, draws=DRAWS)
    assert sorted(found.of) == ["reference", "row 1"]
    assert found.pairs == ()
    assert mean_kld(rows["row 0"]) is None


def test_an_empty_text_has_no_rows() -> None:
    empty = scores(np.array([]), np.array([], dtype=np.int32))
    found = quality({"reference": empty, "row": empty}, "reference", parts=PARTS)
    assert (found.of, found.pairs) == ({}, ())


def test_parts_and_depths_are_those_of_the_positions() -> None:
    rows = text(-4)
    row = rows["row 0"]
    found = quality(rows, "reference", parts=(*PARTS, "nothing of this"), draws=DRAWS).of["row 0"]
    assert list(found.parts) == ["prose", "code"]
    assert found.parts["code"].value == pytest.approx(row.kld[row.part == 1].mean())
    assert found.parts["code"].lo is None  # six chunks
    assert [(each.lo, each.hi, each.positions) for each in found.depths] == [(256, 320, 768), (320, 384, 672)]
    assert found.depths[1].kld.value == pytest.approx(row.kld[row.depth >= 320].mean())
    assert found.depths[1].kld.hi is not None


def test_the_second_half_of_a_chunk_has_four_depths_and_a_long_chat_two_to_a_doubling() -> None:
    assert [each for each in ranges(510) if each[1] > 256] == [(256, 320), (320, 384), (384, 448), (448, 512)]
    assert ranges(5000)[-7:] == [
        (512, 768), (768, 1024), (1024, 1536), (1536, 2048), (2048, 3072), (3072, 4096), (4096, 6144),
    ]  # fmt: skip
    assert ranges(0) == [(0, 64)]
    assert ranges(512)[-1] == (512, 768)


def test_the_same_scores_give_the_same_figures() -> None:
    rows = text(-4, -3.5)
    first, again = (quality(rows, "reference", parts=PARTS, draws=DRAWS) for _ in range(2))
    other = quality(rows, "reference", parts=PARTS, draws=DRAWS, seed=1)
    assert first == again
    assert first.of["row 0"].kld_mean.value == other.of["row 0"].kld_mean.value
    assert first.of["row 0"].kld_mean.lo != other.of["row 0"].kld_mean.lo


def test_rows_beside_a_row_change_nothing_in_it() -> None:
    """The draws are the same whoever else is compared."""
    rows = text(-4, -3.5, -3)
    alone = quality({key: rows[key] for key in ("reference", "row 0")}, "reference", parts=PARTS, draws=DRAWS)
    assert alone.of["row 0"] == quality(rows, "reference", parts=PARTS, draws=DRAWS).of["row 0"]


@pytest.mark.parametrize("key", ["chunk", "depth", "part"])
def test_scores_of_another_text_are_refused(key: str) -> None:
    rows = text(-4)
    rows["row 0"] = replace(rows["row 0"], **{key: getattr(rows["row 0"], key) + 1})
    with pytest.raises(ValueError, match="row 0 and reference were not scored over the same positions"):
        quality(rows, "reference", parts=PARTS)


def test_few_chunks_have_figures_without_intervals() -> None:
    rows = {name: _first(each, CHUNK < 7) for name, each in text(-4, -3).items()}
    found = quality(rows, "reference", parts=PARTS, draws=DRAWS)
    row = found.of["row 1"]
    figures = [each for field in fields(row) if isinstance(each := getattr(row, field.name), Figure)]
    assert len(figures) == 10
    assert {(each.lo, each.hi) for each in figures} == {(None, None)}
    assert found.pairs[0].p_a_better is None


def _first(row: Scores, where: Mask) -> Scores:
    return Scores(**{field.name: getattr(row, field.name)[where] for field in fields(row)})


def test_finite_positions_are_those_where_all_is() -> None:
    row = scores(np.array([0.1, np.nan, 0.1, np.inf]), chunks_of([2, 2]))
    row.dp[2] = np.nan
    assert finite(row).tolist() == [True, False, False, False]
