"""What is right about a tool call: many cases by hand, and what holds for all answers and all accepted values"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ggufrun.chat.types import Function, Tool
from ggufrun.compare.tasks.call_judge import Call, Verdict, fits, judge

WEATHER = Tool(
    function=Function(
        name="weather",
        parameters={
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["place"],
            "additionalProperties": False,
        },
    )
)
CLOCK = Tool(function=Function(name="clock", parameters={"type": "object", "properties": {}}))
ACCEPTED: dict[str, list[Any]] = {"place": ["Paris", "Paris, France"], "days": ["", 3]}


def verdict(*calls: tuple[str, str]) -> Verdict:
    return judge([Call(*call) for call in calls], [WEATHER, CLOCK], "weather", ACCEPTED)


@pytest.mark.parametrize(
    ("arguments", "valid", "right"),
    [
        ('{"place": "Paris"}', True, True),
        ('{"place": "paris, france", "days": 3}', True, True),
        ('{"place": "PARIS FRANCE", "days": 3.0}', True, True),  # JSON knows one kind of number
        ('{"place": "Paris", "days": 4}', True, False),
        ('{"place": "Rome"}', True, False),
        ('{"days": 3}', False, False),  # the place may not be left out
        ('{"place": "Paris", "days": "3"}', False, False),
        ('{"place": "Paris", "days": true}', False, False),
        ('{"place": "Paris", "unit": "C"}', False, False),
        ('{"place": ["Paris"]}', False, False),
    ],
)
def test_arguments_are_valid_and_right_on_their_own(arguments: str, valid: bool, right: bool) -> None:
    found = verdict(("weather", arguments))
    assert found == Verdict(True, valid, True, right)
    assert found.right is (valid and right)


@pytest.mark.parametrize("arguments", ["", "{", "[]", '"Paris"', '{"place": "Paris"', "null", "[" * 100_000])
def test_what_is_no_json_object_is_nothing(arguments: str) -> None:
    assert verdict(("weather", arguments)) == Verdict()


def test_one_call_is_wanted_and_of_the_right_function() -> None:
    assert verdict() == Verdict()
    assert verdict(("weather", '{"place": "Paris"}'), ("weather", '{"place": "Paris"}')) == Verdict()
    assert verdict(("clock", "{}")) == Verdict(True, True, False, False)
    assert verdict(("clock", '{"place": "Paris"}')) == Verdict(True, True, False, False)
    assert verdict(("weathers", '{"place": "Paris"}')) == Verdict(True, False, False, False)


@pytest.mark.parametrize(
    ("given", "accepted", "right"),
    [
        (5, [5.0], True),
        (5.5, [5], False),
        (1, [True], False),
        (True, [1], False),
        (True, [True], True),
        (None, ["", None], True),
        (0, ["", None], False),
        (False, ["", None], False),
        ("", ["", 3], True),
        ("3", [3], False),
        (3, ["3"], False),
        ("new-york.ny", ["New York, NY"], True),
        ("'a'", ['"a"'], True),
        ("it’s", ["it's"], True),
        ("3 * 4", ["3*4"], True),
        ("*", ["-"], False),
        ("*", ["*"], True),
        ("<", [">"], False),
        ("São Paulo", ["são paulo"], True),
        (["a", "b"], [["A", "b."]], True),
        (["b", "a"], [["a", "b"]], False),
        (["a"], [["a", "b"]], False),
        (["a", "b"], [["a"]], False),
        ([], ["", []], True),
        ("a", [["a"]], False),
        ([[1, 2], [3.0]], [[[1, 2], [3]]], True),
        ({"x": "One"}, [{"x": ["one", "1"]}], True),
        ({}, [{"x": ["", "one"]}], True),
        ({}, [{"x": ["one"]}], False),
        ({"x": "one", "y": 2}, [{"x": ["one"]}], False),
        ({"at": {"x": 1.5, "y": 2}}, [{"at": [{"x": 1.5, "y": 2}]}], True),  # inner objects are plain
        ({"at": {"x": 1.5, "y": 3}}, [{"at": [{"x": 1.5, "y": 2}]}], False),
        ([{"x": 1}, {"x": 2}], [[{"x": [1]}, {"x": [2, 3]}]], True),
        ([{"x": 1}, {"x": 4}], [[{"x": [1]}, {"x": [2, 3]}]], False),
        ("one", [{"x": ["one"]}], False),
    ],
)
def test_values_by_kind(given: Any, accepted: list[Any], right: bool) -> None:
    assert fits({"it": given}, {"it": accepted}) is right


def test_nothing_is_accepted_where_the_list_is_empty() -> None:
    assert not fits({}, {"it": []})
    assert not fits({"it": []}, {"it": []})


VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(min_size=1),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = some.dictionaries(some.text(max_size=4), VALUES, max_size=4)


def pattern(value: Any) -> Any:
    """The accepted form of a value: objects have lists of accepted values."""
    if isinstance(value, dict):
        return {name: [pattern(inner)] for name, inner in value.items()}
    return [pattern(inner) for inner in value] if isinstance(value, list) else value


@given(ARGUMENTS)
def test_what_was_made_for_an_answer_accepts_it_and_no_more(arguments: dict[str, Any]) -> None:
    accepted = {name: [pattern(value)] for name, value in arguments.items()}
    assert fits(json.loads(json.dumps(arguments)), accepted)
    assert not fits({**arguments, "one more": 1}, accepted)
    for name in arguments:
        rest = {other: value for other, value in arguments.items() if other != name}
        assert not fits(rest, accepted)
        assert fits(rest, {**accepted, name: ["", *accepted[name]]})
        assert not fits({**arguments, name: object()}, accepted)


@given(some.text(min_size=1), some.sampled_from(" ,./-_*^"), some.integers(min_value=0))
def test_punctuation_and_case_say_nothing_about_text(text: str, mark: str, place: int) -> None:
    letters = "a" + text
    at = place % (len(letters) + 1)
    assert fits({"it": f"{letters[:at]}{mark}{letters[at:]}"}, {"it": [letters]})
    assert not fits({"it": letters + "a"}, {"it": [letters]})


@given(ARGUMENTS)
def test_judging_changes_nothing(arguments: dict[str, Any]) -> None:
    accepted = {name: [pattern(value)] for name, value in arguments.items()}
    before = copy.deepcopy((arguments, accepted))
    fits(arguments, accepted)
    assert (arguments, accepted) == before
