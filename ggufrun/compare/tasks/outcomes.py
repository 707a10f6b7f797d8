"""What came of each item of a task: right or wrong, paired with the reference's by the item's name

Intervals and tests are made of these elsewhere.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Progress = Callable[[int, int], None]  # items done, of so many


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item, answered. `marks` are what else can be told of it: "schema_valid", "right_function"…"""

    item: str  # unique in its task
    right: bool
    group: str = ""  # the kind of item
    marks: Mapping[str, bool] = field(default_factory=dict)
    answer: str = ""  # as written, for those who wonder


@dataclass(frozen=True, slots=True)
class Paired:
    """The same items in the same order; `reference` is None for the reference itself."""

    outcomes: tuple[bool, ...]
    reference: tuple[bool, ...] | None
    shares: Mapping[str, float]  # of the outcomes: each mark's, and each group's right ones


def paired(
    outcomes: Sequence[Outcome], reference: Sequence[Outcome] | None = None, *, groups: Collection[str] | None = None
) -> Paired:
    """Items that only one of the two answered are left out, and those of other `groups`, where these are given."""
    if groups is not None:
        outcomes = [each for each in outcomes if each.group in groups]
    if reference is None:
        mine = outcomes
        return Paired(tuple(each.right for each in mine), None, shares(mine))
    theirs = {each.item: each.right for each in reference}
    mine = [each for each in outcomes if each.item in theirs]
    return Paired(tuple(each.right for each in mine), tuple(theirs[each.item] for each in mine), shares(mine))


def passed(reference: Iterable[Outcome]) -> frozenset[str]:
    """The groups of which the reference gets half right at least.

    Whole groups, not items: who is measured only where the reference was right, perhaps by luck, can only lose, and
    McNemar's test would count that.
    """
    counted: dict[str, list[bool]] = {}
    for outcome in reference:
        counted.setdefault(outcome.group, []).append(outcome.right)
    return frozenset(group for group, rights in counted.items() if 2 * sum(rights) >= len(rights))


def shares(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """The share of items with each mark, and of right ones in each group as "right: GROUP"."""
    counted: dict[str, list[bool]] = {}
    for outcome in outcomes:
        for mark, value in outcome.marks.items():
            counted.setdefault(mark, []).append(value)
        if outcome.group:
            counted.setdefault(f"right: {outcome.group}", []).append(outcome.right)
    return {name: sum(values) / len(values) for name, values in counted.items()}


def to_json(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    return [asdict(outcome) for outcome in outcomes]


def from_json(rows: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """What `to_json` wrote. Raises TypeError for anything else."""
    return [Outcome(**row) for row in rows]
