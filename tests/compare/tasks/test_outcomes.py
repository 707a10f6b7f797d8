"""Outcomes paired with the reference's, their shares, their JSON, and drawing by turns"""

import json
import random

import pytest

from ggufrun.compare.tasks.drawing import by_turns
from ggufrun.compare.tasks.outcomes import Outcome, from_json, paired, passed, shares, to_json


def row(**right: bool) -> list[Outcome]:
    return [Outcome(item, value, group=item[0]) for item, value in right.items()]


def test_items_are_paired_by_name_not_by_place() -> None:
    found = paired(row(a1=True, a2=False, b1=True), row(b1=False, a1=True, a2=True))
    assert found.outcomes == (True, False, True)
    assert found.reference == (True, True, False)
    assert found.shares == {"right: a": 0.5, "right: b": 1.0}


def test_what_only_one_has_answered_does_not_count() -> None:
    found = paired(row(a1=True, a2=True), row(a2=False, a3=True))
    assert (found.outcomes, found.reference) == ((True,), (False,))


def test_of_the_reference_itself_there_are_no_flips() -> None:
    assert paired(row(a1=True, a2=False)).reference is None
    assert paired(row(a1=True, a2=False)).outcomes == (True, False)


def test_only_the_groups_that_the_reference_passes_may_count() -> None:
    """All of their items do: otherwise nobody could be better than the reference."""
    reference = row(a1=True, a2=False, b1=True, b2=False, b3=False)
    assert passed(reference) == {"a"}
    found = paired(row(a1=False, a2=True, b1=True), reference, groups=passed(reference))
    assert (found.outcomes, found.reference) == ((False, True), (True, False))
    assert found.shares == {"right: a": 0.5}
    assert paired(reference, groups={"a"}).outcomes == (True, False)
    assert passed(row(b1=False)) == frozenset()


def test_marks_have_shares_of_all_items() -> None:
    marked = [Outcome("a", True, marks={"parsed": True}), Outcome("b", False, marks={"parsed": False})]
    assert shares(marked) == {"parsed": 0.5}
    assert shares([]) == {}


def test_json_and_back() -> None:
    outcomes = [Outcome("a", True, "kind", {"parsed": True}, "été"), Outcome("b", False)]
    assert from_json(json.loads(json.dumps(to_json(outcomes)))) == outcomes
    with pytest.raises(TypeError):
        from_json([{"item": "a", "rigth": True}])


def test_drawing_by_turns_gives_each_kind_its_share() -> None:
    groups = [list(range(100)), list(range(100, 103)), []]
    drawn = list(by_turns(groups, random.Random(1)))
    assert sorted(drawn) == list(range(103))
    assert sum(number >= 100 for number in drawn[:6]) == 3
    assert drawn == list(by_turns(groups, random.Random(1))) != list(by_turns(groups, random.Random(2)))
    assert list(by_turns([], random.Random(1))) == []
