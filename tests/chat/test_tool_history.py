"""Ids, names and arguments of earlier tool calls."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.chat.tool_history import ToolIds, tool_arguments, tool_name
from ggufrun.chat.types import ToolCall


def test_a_valid_id_stays_and_any_other_has_a_fixed_image() -> None:
    first, second = ToolIds(), ToolIds()
    first.next_turn()
    second.next_turn()
    assert first.of_call("aB3dE6gH9") == "aB3dE6gH9"
    long = "call_abcdefghijklmnop"
    image = first.of_call(long)
    assert image == second.of_call(long)
    assert re.fullmatch("[a-zA-Z0-9]{9}", image)
    assert first.of_result(long) == image
    assert first.of_result("aB3dE6gH9") == "aB3dE6gH9"


@pytest.mark.parametrize("missing", [None, "", "null"])
def test_results_without_an_id_belong_to_the_calls_in_order(missing: str | None) -> None:
    ids = ToolIds()
    ids.next_turn()
    calls = [ids.of_call("null"), ids.of_call("null"), ids.of_call("call_x")]
    assert len(set(calls)) == 3
    assert [ids.of_result(missing) for _ in calls] == calls


def test_a_made_up_id_means_the_only_call_that_waits() -> None:
    ids = ToolIds()
    ids.next_turn()
    call = ids.of_call("call_1")
    assert ids.of_result("toolu_9") == call
    assert ids.of_result("toolu_9") != call
    first, second = ids.of_call("a"), ids.of_call("b")
    assert ids.of_result("x") not in (first, second)


def test_nulls_in_calls_are_not_given() -> None:
    call = ToolCall.model_validate(
        {"id": None, "type": None, "index": None, "function": {"name": "f", "arguments": None}}
    )
    assert (call.id, call.index, call.function.arguments) == ("null", 0, "")


def test_two_calls_with_one_id_are_told_apart() -> None:
    ids = ToolIds()
    ids.next_turn()
    calls = [ids.of_call("same"), ids.of_call("same")]
    assert calls[0] != calls[1]
    assert [ids.of_result("same"), ids.of_result("same")] == calls


@given(st.lists(st.text(max_size=12), max_size=6, unique=True))
def test_any_ids_pair_up(written: list[str]) -> None:
    ids = ToolIds()
    ids.next_turn()
    calls = {each: ids.of_call(each) for each in written}
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in calls.values())
    assert len(set(calls.values())) == len(written)
    known = [each for each in written if each not in ("", "null")]
    assert all(ids.of_result(each) == calls[each] for each in known)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        (" ", {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": ', {"arguments": '{"a": '}),
        ("[1, 2]", {"arguments": [1, 2]}),
        ("null", {"arguments": None}),
        ("9" * 5000, {"arguments": "9" * 5000}),
        ("[" * 100_000, {"arguments": "[" * 100_000}),
    ],
)
def test_arguments_are_an_object(written: object, read: object) -> None:
    assert tool_arguments(written) == read  # type: ignore[arg-type]


@given(st.text())
def test_no_arguments_and_no_name_are_fatal(written: str) -> None:
    json.dumps(tool_arguments(written))
    assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", tool_name(written))
