"""Which answers are far over a key's usual."""

import random

from ggufrun.records.usual import KEPT, UsualAnswers


def warned(known: list[int], tokens: int, key: str = "k") -> str | None:
    return UsualAnswers([("k", each) for each in known]).judge(key, tokens, whole=True)


def test_far_over_the_usual() -> None:
    assert warned([100] * 20, 1001) is not None
    assert warned([100] * 20, 1000) is None  # 8 times the usual, but not many
    assert warned([300] * 20, 2400) is None  # many, but not over 8 times the usual
    assert warned([300] * 20, 2401) is not None


def test_nothing_is_usual_at_first_and_each_key_is_for_itself() -> None:
    assert warned([10] * 9, 50_000) is None
    assert warned([10] * 10, 50_000) is not None
    assert warned([10] * 50, 50_000, key="other") is None


def test_long_answers_now_and_then_are_usual() -> None:
    mixed = [20, 20, 20, 20, 3000] * 10
    assert warned(mixed, 12_000) is None
    assert warned(mixed, 12_001) is not None


def test_one_outlier_does_not_hide_the_next() -> None:
    assert warned([50] * 15 + [9000], 9000) is not None


def test_a_new_habit_is_usual_after_some_warnings() -> None:
    usual = UsualAnswers([("k", 50)] * KEPT)
    warnings = [usual.judge("k", 4000, whole=True) is not None for _ in range(20)]
    assert warnings == [True] * 6 + [False] * 14 or warnings == [True] * 5 + [False] * 15


def test_what_was_cut_short_is_judged_and_not_learned() -> None:
    usual = UsualAnswers([("k", 400)] * KEPT)
    for _ in range(KEPT):
        assert usual.judge("k", 1, whole=False) is None
    assert usual.judge("k", 3000, whole=False) is None and usual.judge("k", 4000, whole=False) is not None


def test_ordinary_answers_are_seldom_warned_of() -> None:
    """Lengths as answers have them, log-normal around 200 tokens with a wide spread: under one in 100."""
    generator = random.Random(1)
    lengths = [int(generator.lognormvariate(5.3, 1.0)) for _ in range(5000)]
    usual = UsualAnswers()
    warnings = sum(usual.judge("k", length, whole=True) is not None for length in lengths)
    assert warnings < 50
