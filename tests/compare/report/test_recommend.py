"""Which row a sensible expert would name, case by case."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ggufrun.compare.report.recommend import recommend
from ggufrun.compare.results import Figure, Memory, Pair, Recommendation, Role, Row, Speed
from tests.compare.report.reports import GIB, full, ladder, pairs, quality, row

CARD = "this 24 GB card"
REFERENCE, Q6, Q4, UD4, Q3, Q2 = ladder()


def asked(rows: Sequence[Row], noise: float | None = None, **wanted: Any) -> Recommendation:
    measured = [each for each in rows if each.ppl and not each.error]
    return recommend(rows, pairs(measured), noise, **wanted)


def fits(row: Row, context: int, left: int = GIB) -> Row:
    assert row.memory
    return replace(row, memory=replace(row.memory, fits_context=context, left=left))


def writes(row: Row, tok_s: float) -> Row:
    assert row.speed
    return replace(row, speed=replace(row.speed, tg=Figure(tok_s)))


def loses(row: Row, kld: float) -> Row:
    return replace(row, ppl=quality(kld))


def test_the_smallest_that_is_near_lossless() -> None:
    found = asked(ladder(), 0.000084, context=49_152, machine=CARD)
    assert found.name == "Q6_K"
    assert found.sentence == (
        "Q6_K: smallest that is near lossless by convention (KL divergence 0.00410 on your text) and leaves 3.0 GiB "
        "beside 48k of context on this 24 GB card; next: Q8_0 (the reference, 5.70 GB larger, 0.88× as fast)."
    )


def test_the_smaller_of_those_that_are_tied() -> None:
    found = asked([fits(REFERENCE, 8192), fits(Q6, 8192), Q4, UD4, Q3], context=49_152, machine=CARD)
    assert found.name == "Q4_K_M"
    assert found.sentence.startswith("Q4_K_M: smallest that is within the noise of UD-Q4_K_XL on your text and leaves")
    assert "Q6_K is closer, but has no room for 48k of context" in found.sentence
    assert found.sentence.endswith("next: UD-Q4_K_XL (KL divergence 0.0279, 220.0 MB larger).")


def test_the_closest_where_nothing_is_tied() -> None:
    found = asked([fits(REFERENCE, 8192), fits(Q6, 8192), UD4, Q3], context=49_152)
    assert found.name == "UD-Q4_K_XL"
    assert "the closest to the reference of those that will do (KL divergence 0.0279" in found.sentence
    assert "next: Q3_K_M (KL divergence 0.0836, 3.08 GB smaller, 1.2× as fast)" in found.sentence


def test_a_tie_with_the_reference_by_its_noise() -> None:
    found = asked([REFERENCE, loses(Q6, 0.0052), Q4], 0.006)
    assert found.name == "Q6_K"
    assert "within the noise of Q8_0" in found.sentence


def test_the_reference_where_nothing_smaller_is_as_good() -> None:
    found = asked([REFERENCE, Q4, Q3])
    assert found.name == "Q8_0"
    assert "the reference itself (nothing smaller that was measured is as good on your text) and" in found.sentence
    assert "next: Q4_K_M" in found.sentence


def test_near_lossless_with_the_whole_interval_only() -> None:
    wide = replace(Q6, ppl=replace(quality(0.0041), kld_mean=Figure(0.0041, 0.001, 0.009)))
    assert asked([REFERENCE, wide, Q4]).name == "Q8_0"
    unsure = replace(Q6, ppl=replace(quality(0.0041), kld_mean=Figure(0.0041)))
    assert asked([REFERENCE, unsure, Q4]).name == "Q6_K"


def test_speed_that_was_asked_for() -> None:
    found = asked([REFERENCE, Q6, Q4, Q3], min_tok_s=30.0)
    assert found.name == "Q4_K_M"
    assert "on your text), leaves 3.0 GiB on this machine and writes 31 tokens/s (30 asked for)" in found.sentence
    assert "Q6_K is closer, but writes 26 tokens/s" in found.sentence


def test_a_speed_that_was_not_measured_does_not_serve_who_asked_for_one() -> None:
    assert asked([REFERENCE, replace(Q6, speed=None), Q4], min_tok_s=20.0).name == "Q8_0"
    assert asked([REFERENCE, replace(Q6, speed=None), Q4]).name == "Q6_K"


def test_what_lacks_memory_now_does_not_fit() -> None:
    found = asked([fits(REFERENCE, 49_152, -GIB), fits(Q6, 49_152, -1), Q4])
    assert found.name == "Q4_K_M"
    assert "Q6_K is closer, but does not fit" in found.sentence


def test_a_row_of_another_kv_cache_counts_by_its_memory() -> None:
    kv = replace(Q6, name="Q6_K kv q8_0", kv_type="q8_0", memory=Memory(20 * GIB, 20 * GIB, 3.0, 65_536, 4 * GIB))
    tied = replace(Q6, ppl=kv.ppl)
    assert asked([REFERENCE, tied, kv, Q4]).name == "Q6_K kv q8_0"
    assert asked([REFERENCE, kv, tied, Q4]).name == "Q6_K kv q8_0"


def test_a_large_loss_is_not_told_as_good_news() -> None:
    found = asked([fits(REFERENCE, 0), Q2], context=49_152)
    assert found.name == "Q2_K"
    assert "only to make it run by convention: a smaller model in a higher quant may well be better" in found.sentence
    assert "may well be better" not in asked(full().rows).sentence


def test_chat_mode_where_there_is_no_other() -> None:
    rows = [replace(each, ppl=None) for each in ladder()]
    ties = (Pair("Q6_K", "Q4_K_M", Figure(-0.001, -0.004, 0.002), 0.7, True),)
    found = recommend([fits(rows[0], 0), *rows[1:3]], ties, None, context=49_152)
    assert found.name == "Q4_K_M"


@pytest.mark.parametrize("role", [Role.SELF, Role.NOISE])
def test_the_checks_are_never_recommended(role: Role) -> None:
    check = replace(Q2, role=role, name="check", ppl=quality(0.0))
    assert asked([REFERENCE, check, Q6]).name == "Q6_K"


def failed(row: Row) -> Row:
    return replace(row, error="no such file", ppl=None, chat=None)


@pytest.mark.parametrize(
    ("rows", "wanted", "words"),
    [
        ([failed(REFERENCE), failed(Q6)], {}, "Nothing could be measured: each row says why."),
        ([replace(REFERENCE, ppl=None, chat=None)], {}, "the same command goes on from here"),
        ([], {}, "the same command goes on from here"),
        (
            [fits(REFERENCE, 0, -9 * GIB), fits(Q2, 12_288, -GIB)],
            {"context": 49_152, "machine": CARD},
            "Nothing here has room for 48k of context on this 24 GB card: Q2_K comes closest, with room for 12k; "
            "take --context 12288, a smaller quant, a smaller KV cache (--kv-types q8_0) or a smaller model.",
        ),
        (
            [fits(REFERENCE, 0, -9 * GIB), fits(Q2, 0, -GIB)],
            {},
            "Nothing here fits on this machine: the smallest, Q2_K, lacks 1.0 GiB; take a smaller quant",
        ),
        (
            [REFERENCE, Q2],
            {"min_tok_s": 100.0},
            "Nothing that fits writes 100 tokens/s: Q2_K is the fastest, with 42; take --min-tok-s 42, a smaller quant",
        ),
        (
            [fits(writes(Q2, 120.0), 1024), Q4],
            {"min_tok_s": 100.0, "context": 49_152},
            "Q4_K_M is the fastest, with 31, and Q2_K has no room for 48k of context; take",
        ),
        (
            [replace(Q4, speed=None)],
            {"min_tok_s": 5.0},
            "No speed was measured, so that 5.0 tokens/s cannot be promised",
        ),
    ],
)
def test_what_to_do_where_nothing_serves(rows: Sequence[Row], wanted: dict[str, Any], words: str) -> None:
    found = asked(rows, **wanted)
    assert found.name is None
    assert words in found.sentence


def test_the_advice_can_be_followed() -> None:
    """What it says to lower does serve then."""
    slow = [REFERENCE, writes(Q2, 41.7)]
    said = asked(slow, min_tok_s=100.0).sentence
    lowered = float(said.split("--min-tok-s ")[1].split(",")[0])
    assert asked(slow, min_tok_s=lowered).name == "Q2_K"


def test_unmeasured_rows_leave_the_others() -> None:
    rest = replace(Q4, ppl=None, chat=None, speed=None, memory=None)
    found = asked([REFERENCE, Q6, rest, failed(Q2)])
    assert found.name == "Q6_K"
    assert found.sentence.endswith("; not measured: Q4_K_M, Q2_K.")


def test_a_row_without_memory_has_been_run_and_fits() -> None:
    found = asked([replace(REFERENCE, memory=None), replace(Q4, memory=None)], context=4096)
    assert found.name == "Q8_0"
    assert "leaves" not in found.sentence


def test_names_are_printable() -> None:
    made = row("Q6\x1b[31m_K", 19.35, 6.57, 0.001, 0.99)
    assert "\x1b" not in asked([REFERENCE, made]).sentence


def test_one_row_only() -> None:
    assert asked([REFERENCE]).sentence.startswith("Q8_0: the reference itself (the only one that will do) and leaves")
    assert isinstance(REFERENCE.speed, Speed)
