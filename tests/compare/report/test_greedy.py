"""Where two answers part, found in their texts."""

from dataclasses import replace

import pytest

from ggufrun.compare.report.html_greedy import parting_place, prompts
from ggufrun.compare.results import Divergence
from tests.compare.report.reports import full


def parting(reference: str, own: str) -> Divergence:
    return Divergence(3, reference, own, 0.6, None, 0.5, 0.3)


@pytest.mark.parametrize(
    ("reference", "answer", "tokens", "place"),
    [
        ("It is red.", "It is blue.", (" red", " blue"), 5),
        ("It is then so", "It is the same", (" then", " the"), 5),  # they begin alike
        ("aaaa then", "aaaa thus", (" then", " thus"), 4),
        ("One.", "One. Two.", ("", " Two"), 4),  # the reference ends
        ("One. Two.", "One.", (" Two", ""), 4),
        ("h\ufffd!", "h\ufffd?", ("\xc3", "\xc4"), 2),  # parts of a letter are not found: where the texts part
        ("", "Yes", ("", "Yes"), 0),
    ],
)
def test_the_place_is_where_the_tokens_begin(reference: str, answer: str, tokens: tuple[str, str], place: int) -> None:
    assert parting_place(reference, answer, parting(*tokens)) == place


def test_an_answer_is_whole_in_its_three_parts() -> None:
    prompt = prompts(full())[0]
    beside = prompt.answers[0]
    answer = full().rows[1].greedy[0]
    assert (beside.answer.before, beside.answer.mark) == (beside.reference.before, " bend")
    assert beside.answer.before + beside.answer.mark + beside.answer.after == answer.answer
    assert beside.reference.before + beside.reference.mark + beside.reference.after == answer.reference


def test_a_probability_that_was_not_kept_is_not_made_up() -> None:
    report = full()
    answer = report.rows[1].greedy[0]
    assert answer.divergence
    unkept = replace(answer, divergence=replace(answer.divergence, p_reference_other=None))
    told = prompts(replace(report, rows=(report.rows[0], replace(report.rows[1], greedy=(unkept,)))))
    assert "“ bend” a probability that was not kept" in told[0].answers[0].parting[0]


def test_prompts_are_those_of_all_rows() -> None:
    report = full()
    fewer = replace(report.rows[1], greedy=report.rows[1].greedy[:1])
    found = prompts(replace(report, rows=(report.rows[0], fewer, report.rows[2])))
    assert [len(prompt.answers) + len(prompt.same) for prompt in found] == [2, 1]
