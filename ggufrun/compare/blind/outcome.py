"""What the votes of a blind test say: the win rate with its interval, as JSON and in one sentence"""

from typing import Any

from ggufrun.compare.blind.trial import BlindTest, Item, Tally
from ggufrun.compare.results import Figure
from ggufrun.compare.statistics.proportions import win_rate


def sentence(test: BlindTest) -> str:
    """Who won, how surely, and what was left out."""
    tally = test.tally()
    if not tally.decided:
        return f"No vote decides between {test.a} and {test.b}{_rest(tally)}."
    rate = _leaders(tally)
    counted = f"{_shares(rate)} of {_votes(tally.decided)}"
    if tally.a == tally.b:
        return f"{test.a} and {test.b} are level, {counted} each: no difference is to be seen{_rest(tally)}."
    ahead, behind = (test.a, test.b) if tally.a > tally.b else (test.b, test.a)
    sure = rate.lo is not None and rate.lo > 0.5
    meaning = f"it is better than {behind} to you" if sure else "that may be chance, more votes would tell"
    return f"{ahead} wins {counted}: {meaning}{_rest(tally)}."


def as_json(test: BlindTest) -> dict[str, Any]:
    """The figures, and each prompt with who stood where."""
    tally = test.tally()
    rate = win_rate(tally.a, tally.b, tally.ties)
    return {
        "a": test.a,
        "b": test.b,
        "votes": {"a": tally.a, "b": tally.b, "ties": tally.ties},
        "decided": tally.decided,
        "same": tally.same,
        "failed": tally.failed,
        "votes_left": tally.left,
        "win_rate": rate.value if tally.decided else None,
        "win_rate_lo": rate.lo,
        "win_rate_hi": rate.hi,
        "sentence": sentence(test),
        "items": [_item(test, at, item) for at, item in enumerate(test.items)],
    }


def _item(test: BlindTest, at: int, item: Item) -> dict[str, Any]:
    left = test.left_of(at) if item.votable else None
    return {"prompt": item.prompt, "left": left, "verdict": item.verdict, "same": item.same, "error": item.error}


def _leaders(tally: Tally) -> Figure:
    """The win rate of whoever has more votes."""
    return win_rate(max(tally.a, tally.b), min(tally.a, tally.b), tally.ties)


def _shares(rate: Figure) -> str:
    between = f" ({rate.lo * 100:.0f} to {rate.hi * 100:.0f} %)" if rate.lo is not None and rate.hi is not None else ""
    return f"{rate.value * 100:.0f} %{between}"


def _votes(count: int) -> str:
    return "1 decided vote" if count == 1 else f"{count} decided votes"


def _rest(tally: Tally) -> str:
    """What no vote decides, behind a semicolon."""
    said = []
    if tally.ties:
        said.append("1 tie" if tally.ties == 1 else f"{tally.ties} ties")
    if tally.same:
        said.append(f"{tally.same} prompt{'s' if tally.same > 1 else ''} with the same answers")
    if tally.failed:
        said.append(f"{tally.failed} without an answer")
    return f"; {', '.join(said)}" if said else ""
