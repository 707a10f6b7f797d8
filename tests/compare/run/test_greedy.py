"""Answers beside the reference's: where they part, and what both models thought there"""

import numpy as np
import pytest

from ggufrun.compare.run.greedy import greedy_answers
from ggufrun.compare.scoring.files import Written
from ggufrun.compare.texts.source import Prompt

END = 9
PROMPTS = [Prompt("English", (("user", "Which?"),))]


class Letters:
    """A vocabulary in which token 0 is "a"."""

    def piece(self, token: int) -> bytes:
        return bytes([97 + token])

    def is_end(self, token: int) -> bool:
        return token == END


def written(tokens: list[int], end: int = END, *, agreed: int = 0, asked: float = float("nan")) -> Written:
    count = len(tokens)
    others = np.arange(8, dtype=np.int32)
    return Written(
        tokens=np.array(tokens, np.int32),
        offsets=np.array([0, count], np.int64),
        p_top=np.linspace(0.9, 0.5, count, dtype=np.float32),
        top_ids=np.tile(others, (count, 1)),
        top_p=np.tile(np.linspace(0.8, 0.1, 8, dtype=np.float32), (count, 1)),
        end=np.array([end], np.int32),
        end_p=np.array([0.7], np.float32),
        agreed=np.array([agreed], np.int32),
        p_of_reference=np.array([asked], np.float32),
    )


def test_the_same_answer_has_no_divergence() -> None:
    answer = written([0, 1, 2])
    (found,) = greedy_answers(PROMPTS, answer, written([0, 1, 2], agreed=3), Letters())  # type: ignore[arg-type]  # what is used of a vocabulary
    assert (found.prompt, found.reference, found.answer) == ("Which?", "abc", "abc")
    assert (found.agreed, found.tokens, found.divergence) == (3, 3, None)


def test_where_they_part_both_tokens_have_both_models_probabilities() -> None:
    reference, row = written([0, 1, 2]), written([0, 3], agreed=1, asked=0.25)
    (found,) = greedy_answers(PROMPTS, reference, row, Letters())  # type: ignore[arg-type]  # as above
    there = found.divergence
    assert there is not None
    assert (there.at, there.reference_text, there.text) == (1, "b", "d")
    assert there.p_reference_own == pytest.approx(0.7)
    assert there.p_reference_other == pytest.approx(0.5)  # the fourth of its alternatives
    assert there.p_own == pytest.approx(0.5)
    assert there.p_of_reference == pytest.approx(0.25)


def test_an_answer_that_ends_earlier_parts_at_its_end() -> None:
    reference, row = written([0, 1, 2]), written([0, 1], agreed=2, asked=0.3)
    (found,) = greedy_answers(PROMPTS, reference, row, Letters())  # type: ignore[arg-type]  # as above
    assert found.divergence is not None
    assert (found.divergence.at, found.divergence.text, found.divergence.reference_text) == (2, "(end)", "c")
    assert found.divergence.p_own == pytest.approx(0.7)
    assert found.divergence.p_reference_other is None


def test_one_that_was_cut_off_where_the_other_ended() -> None:
    reference, row = written([0, 1]), written([0, 1, 4], -1, agreed=2, asked=0.3)
    (found,) = greedy_answers(PROMPTS, reference, row, Letters())  # type: ignore[arg-type]  # as above
    assert found.divergence is not None
    assert (found.divergence.reference_text, found.divergence.text) == ("(end)", "e")


def test_two_that_end_differently_part_at_their_ends() -> None:
    reference, row = written([0, 1]), written([0, 1], END - 1, agreed=2, asked=0.2)
    (found,) = greedy_answers(PROMPTS, reference, row, Letters())  # type: ignore[arg-type]  # as above
    assert found.divergence is not None
    assert (found.agreed, found.divergence.at) == (2, 2)
