"""Blind votes without a browser: who stands where, what may be seen of a race, and where a pair stands."""

from dataclasses import replace

import pytest
from markupsafe import Markup

from ggufrun.ui.beside.contender import Contender, Standing
from ggufrun.ui.blind.ballot import Ballot, veiled
from ggufrun.ui.blind.shown import hidden, revealed, standing

WRITING = Contender(
    "alpha", "answering", text="One two three.", timings={"tokens_per_second": 90.0}, memory=1 << 30, load_s=2.0
)
SLOW = Contender("beta", "answering", text="One", thinking="Hm.")
DONE = Contender("beta", "done", text="One two", finish="stop", usage={"completion_tokens": 2})


def begun(*contenders: Contender) -> Ballot:
    ballot = Ballot()
    ballot.begin(["alpha", "beta"], "Why?")
    ballot.seen(Standing("At once.", contenders))
    return ballot


def test_sides_are_drawn_anew_each_time() -> None:
    ballot = Ballot()
    drawn = {tuple(ballot.begin(["alpha", "beta"], "Why?")) for _ in range(100)}
    assert drawn == {("alpha", "beta"), ("beta", "alpha")}


def test_neither_gets_ahead_and_no_figure_tells() -> None:
    assert veiled((WRITING, SLOW)) == (Contender("", "answering", text="One"),) * 2
    first, second = veiled((WRITING, DONE))
    assert (first.text, second.text) == ("One two three.", "One two")
    assert (first.stage, second.stage) == ("answering", "answering")
    waiting = replace(SLOW, stage="waiting", text="")
    assert veiled((WRITING, waiting)) == (Contender("", "waiting"),) * 2
    over = veiled((replace(WRITING, stage="stopped"), DONE))
    assert [(each.stage, each.text) for each in over] == [("stopped", "One two three."), ("stopped", "One two")]
    assert all(not (each.usage or each.timings or each.memory or each.finish or each.model) for each in over)


def test_votes_are_for_who_stands_there() -> None:
    ballot = begun(WRITING, SLOW)
    assert ballot.votable
    left, right, verdict = ballot.verdict("left")
    assert ((left, right), verdict) == (ballot.names, "a")
    assert ballot.verdict("right")[2] == "b" and ballot.verdict("tie")[2] == "tie"
    ballot.hides = False
    assert not ballot.votable
    assert not begun(WRITING, replace(SLOW, text="")).votable
    assert not Ballot().votable


def test_the_same_words_are_not_voted_on() -> None:
    ballot = begun(DONE, replace(DONE, model="alpha", text=" One\ntwo"))
    assert ballot.same and not ballot.votable
    assert "nothing to vote on" in hidden(ballot)
    assert not begun(DONE, replace(DONE, text="One", stage="answering")).same


def test_two_answers_are_needed_for_a_vote() -> None:
    for silent in (replace(DONE, text=" \n"), replace(SLOW, stage="stopped", text="")):
        ballot = begun(WRITING, silent)
        assert ballot.mute and not ballot.votable
        assert "not two answers" in hidden(ballot) and "alpha" not in hidden(ballot)
    assert not begun(WRITING, replace(SLOW, text="")).mute  # it may still write


def test_what_failed_has_a_name() -> None:
    ballot = begun(WRITING, SLOW)
    failed = replace(SLOW, stage="failed", error="beta cannot be loaded.")
    assert ballot.seen(Standing("", (WRITING, failed))) == (WRITING, failed)
    assert not ballot.hides


def test_other_races_are_shown_as_they_are() -> None:
    ballot = begun(WRITING, SLOW)
    ballot.end()
    assert ballot.seen(Standing("", (WRITING, SLOW))) == (WRITING, SLOW)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (
            {"decided": 4, "ties": 2, "win_rate": 0.25, "win_rate_lo": 0.05, "win_rate_hi": 0.7},
            "beta wins 75 % (30 to 95 %) of 4 decided votes against alpha, which may be chance; 2 ties.",
        ),
        (
            {"decided": 1000, "ties": 0, "win_rate": 0.6, "win_rate_lo": 0.57, "win_rate_hi": 0.63},
            "alpha wins 60 % (57 to 63 %) of 1,000 decided votes against beta.",
        ),
        ({"decided": 0, "ties": 1, "win_rate": None}, "No vote decides between alpha and beta yet; 1 tie."),
    ],
)
def test_where_a_pair_stands(votes: dict[str, object], expected: str) -> None:
    assert standing({"a": "alpha", "b": "beta", **votes}) == expected


def test_names_are_shown_when_they_may_be() -> None:
    ballot = begun(WRITING, SLOW)
    said = hidden(ballot)
    assert "blind-veil" in said and "alpha" not in said and "beta" not in said
    ballot.names = ("<b>", "beta")
    told = revealed(ballot, None)
    assert Markup("Left was <b>&lt;b&gt;</b>, right was <b>beta</b>.") in told and "blind-veil" not in told
