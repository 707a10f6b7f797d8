"""A blind vote in words and as HTML: who stood where, and where the two stand. All of it is escaped"""

from typing import Any, Final

from markupsafe import Markup

from ggufrun.ui.blind.ballot import Ballot

Json = dict[str, Any]
# While it is there, the style sheet leaves out what the columns' models are called.
_VEIL: Final = Markup('<i id="blind-veil"></i>')
_LINE: Final = Markup('<p class="quiet" role="status">{}</p>')


def hidden(ballot: Ballot) -> Markup:
    """While nobody knows."""
    says = "Names come when you have voted."
    if ballot.votable:
        says = "Which answer is better? Keys: ← left, T tie, → right."
    elif ballot.mute:
        says = "There are not two answers: there is nothing to vote on. “Show names” says whose they are."
    elif ballot.same:
        says = "Both answers are the same: there is nothing to vote on. “Show names” says whose they are."
    return _VEIL + _LINE.format(says)


def revealed(ballot: Ballot, pair: Json | None) -> Markup:
    """`pair`: where the two stand, as the server has it; None: there was no vote."""
    left, right = ballot.names
    who = Markup("Left was <b>{}</b>, right was <b>{}</b>.").format(left, right)
    stands = Markup(" {}").format(standing(pair)) if pair else Markup("")
    return Markup('<p class="quiet" role="status">{}{}</p>').format(who, stands)


def standing(pair: Json) -> str:
    """A pair's votes so far, with their interval, from the side of the one that is ahead."""
    ties = {0: "", 1: "; 1 tie"}.get(pair["ties"], f"; {pair['ties']:,} ties")
    a, b, decided = pair["a"], pair["b"], pair["decided"]
    if not decided or pair["win_rate"] is None:
        return f"No vote decides between {a} and {b} yet{ties}."
    rate, lo, hi = pair["win_rate"], pair["win_rate_lo"], pair["win_rate_hi"]
    if rate < 0.5:
        a, b, rate, lo, hi = b, a, 1 - rate, 1 - hi, 1 - lo
    votes = "1 decided vote" if decided == 1 else f"{decided:,} decided votes"
    sure = "" if lo > 0.5 else ", which may be chance"
    return f"{a} wins {rate * 100:.0f} % ({lo * 100:.0f} to {hi * 100:.0f} %) of {votes} against {b}{sure}{ties}."
