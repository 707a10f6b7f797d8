"""What comes back, as events: thinking, tool calls, log-probabilities, several choices, a prefix, usage"""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from ggufrun.chat.types import (
    ChatEvent,
    ChoiceFinished,
    Meter,
    PromptProcessed,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.remote.asked import Asked
from ggufrun.remote.reading import Failed, Reading, Strange


def reading(meter: Meter | None = None, **asked: Any) -> Reading:
    return Reading(Asked("", {}, asked.pop("choices", 1), **asked), 100, time.perf_counter(), meter or Meter())


def read(*chunks: Mapping[str, Any], into: Reading | None = None, **asked: Any) -> list[ChatEvent]:
    into = into or reading(**asked)
    return [event for each in chunks for event in into.read(json.loads(json.dumps(each)))]


def delta(index: int = 0, finish: str | None = None, logprobs: object = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}]}


def test_text_and_its_end() -> None:
    events = read(delta(role="assistant", content=""), delta(content="Hi"), delta(content=""), delta(finish="stop"))
    assert events == [TextDelta("Hi"), ChoiceFinished("stop")]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_of_openai_s_kind_is_closed_by_what_follows(name: str) -> None:
    thought = delta(**dict[str, Any]({name: "Hm"}), content=None)
    assert read(thought, thought, delta(content="Yes")) == [
        ThinkingDelta("Hm"),
        ThinkingDelta("Hm"),
        ThinkingDelta("", closed=True),
        TextDelta("Yes"),
    ]
    assert read(thought, delta(finish="length"))[1:] == [ThinkingDelta("", closed=True), ChoiceFinished("length")]


def test_thinking_of_mistral_s_kind() -> None:
    def thinking(text: str, closed: bool) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": closed}

    events = read(
        delta(content=[thinking("Hm", False)]),
        delta(content=[thinking("m.", True), {"type": "text", "text": "Yes"}]),
        delta(content="!"),
        delta(content=[{"type": "reference", "reference_ids": [1]}]),
    )
    assert events == [
        ThinkingDelta("Hm"),
        ThinkingDelta("m."),
        ThinkingDelta("", closed=True),
        TextDelta("Yes"),
        TextDelta("!"),
    ]


def call(index: int | None, id: str | None = None, name: str | None = None, arguments: Any = "") -> dict[str, Any]:
    piece: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    return piece | ({} if index is None else {"index": index}) | ({} if id is None else {"id": id})


def calls(events: list[ChatEvent]) -> dict[int, tuple[str, str, str]]:
    """By index: id, name and arguments, added up."""
    found: dict[int, tuple[str, str, str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            if event.index not in found:
                assert event.id and event.name
            id, name, arguments = found.get(event.index, (event.id, "", ""))
            found[event.index] = (id, name + event.name, arguments + event.arguments)
    return found


def test_a_call_in_pieces() -> None:
    events = read(
        delta(tool_calls=[call(0, "abc", "clock")]),
        delta(tool_calls=[call(0, None, None, '{"zone"')]),
        delta(tool_calls=[call(0, "null", "", ': "UTC"}')]),
        delta(finish="stop"),  # vLLM's end of a call that was named
    )
    assert calls(events) == {0: ("abc", "clock", '{"zone": "UTC"}')}
    assert events[-1] == ChoiceFinished("tool_calls")


@pytest.mark.parametrize("indexes", [(0, 1), (0, 0), (None, None), (3, 7)])
def test_whole_calls_however_they_are_numbered(indexes: tuple[int | None, int | None]) -> None:
    first, second = indexes
    events = read(delta(tool_calls=[call(first, "a", "clock", {"x": 1}), call(second, "b", "weather", "{}")]))
    assert calls(events) == {0: ("a", "clock", '{"x": 1}'), 1: ("b", "weather", "{}")}


def test_ids_and_arguments_that_are_missing_are_made() -> None:
    made = calls(read(delta(tool_calls=[call(0, "null", "clock")]), delta(finish="tool_calls")))
    id, name, arguments = made[0]
    assert len(id) == 9 and id.isalnum() and (name, arguments) == ("clock", "{}")


def test_one_call_where_one_is_wanted() -> None:
    events = read(
        delta(tool_calls=[call(0, "a", "x", "{}"), call(1, "b", "y")]), delta(finish="stop"), single_call=True
    )
    assert list(calls(events)) == [0]


def test_a_forced_call_that_did_not_come_is_an_error() -> None:
    with pytest.raises(Strange, match="made no call"):
        read(delta(content="I'd rather not."), delta(finish="stop"), forced=True)
    assert read(delta(finish="length"), forced=True) == [ChoiceFinished("length")]
    assert read(delta(tool_calls=[call(0, "a", "x", "{}")]), delta(finish="stop"), forced=True)


def test_logprobs_of_chat() -> None:
    entry = {"token": "é", "logprob": -0.5, "bytes": [195, 169], "token_id": 7, "forced": True}
    beside = [{"token": "e", "logprob": -1.0}, {"token": "f", "logprob": -2}]
    (event,) = read(delta(content="é", logprobs={"content": [entry | {"top_logprobs": beside}]}), top=1)
    assert isinstance(event, TextDelta)
    (found,) = event.logprobs
    assert (found.token, found.token_id, found.raw, found.forced) == ("é", 7, "é".encode(), True)
    assert [(each.token, each.token_id, each.raw) for each in found.top] == [("e", -1, b"e")]


def test_logprobs_of_raw_text() -> None:
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [None, -0.5], "top_logprobs": [None, {"b": -0.5, "c": -1.5}]}
    (event,) = read({"choices": [{"index": 0, "text": "ab", "logprobs": logprobs, "finish_reason": None}]}, top=2)
    assert isinstance(event, TextDelta) and event.text == "ab"
    assert [(each.token, [other.token for other in each.top]) for each in event.logprobs] == [("b", ["b", "c"])]


@pytest.mark.parametrize(
    "pieces", [("Dear", " Ann"), ("De", "ar Ann"), ("Dear Ann",), (" Ann",), (" A", "nn"), ("D", "e", "ar", " Ann")]
)
def test_a_prefix_is_shown_once(pieces: tuple[str, ...]) -> None:
    answer = reading(prefix="Dear", echoed=True)
    events = [*answer.begin(), *read(*(delta(content=each) for each in pieces), delta(finish="stop"), into=answer)]
    assert "".join(each.text for each in events if isinstance(each, TextDelta)) == "Dear Ann"


def test_what_only_looked_like_the_prefix_is_not_lost() -> None:
    answer = reading(prefix="Dear", echoed=True)
    events = read(delta(content="De"), delta(finish="stop"), into=answer)
    assert events == [TextDelta("De"), ChoiceFinished("stop")]


def test_choices_and_usage() -> None:
    meter = Meter()
    answer = reading(meter, choices=2)
    events = read(delta(0, content="a"), delta(1, content="b"), delta(1, content="c"), delta(1, "length"), into=answer)
    assert not answer.whole and meter.completion_tokens == 3 and meter.ttft_s is not None
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    events += read(delta(0, "model_length"), {"choices": [], "usage": usage}, into=answer)
    assert answer.whole
    assert events[-2:] == [ChoiceFinished("length", 1), ChoiceFinished("model_length", 0)]
    done = answer.completed()
    assert (done.prompt_tokens, done.completion_tokens, done.stats[1].cached_tokens) == (9, 5, 4)
    assert (meter.prompt_tokens, meter.completion_tokens, meter.cached_tokens) == (9, 5, 4)
    assert [str(reason) for reason in done.reasons] == ["context", "length"]


def test_a_later_attempt_is_counted_beside_the_first() -> None:
    meter = Meter()
    for tokens in (5, 7):
        usage = {"prompt_tokens": 9, "completion_tokens": tokens}
        read(delta(content="x"), {"choices": [], "usage": usage}, into=reading(meter))
    assert (meter.prompt_tokens, meter.completion_tokens) == (9, 12)


def test_llama_server_s_progress() -> None:
    progress = {"prompt_progress": {"total": 9, "cache": 2, "processed": 4, "time_ms": 1}}
    assert read({"choices": [], **progress}) == [PromptProcessed(4, 9, 2)]


def test_the_stop_string_that_ended_it() -> None:
    chunk = delta(finish="stop")
    chunk["choices"][0]["stop_reason"] = "END"
    assert read(chunk, stop=("END",)) == [ChoiceFinished("stop", 0, "END")]
    chunk["choices"][0]["stop_reason"] = 128001  # a token of vLLM's
    assert read(chunk, stop=("END",)) == [ChoiceFinished("stop")]


@pytest.mark.parametrize("chunk", [[], "x", {"choices": 5}, {"choices": [{"index": 3}]}, {"choices": [{"delta": 1}]}])
def test_what_is_no_chunk(chunk: Any) -> None:
    with pytest.raises(Strange):
        reading().read(chunk)


@pytest.mark.parametrize("chunk", [{"error": "x"}, {"object": "error", "message": "x"}, delta(finish="content_filter")])
def test_what_is_an_error(chunk: Any) -> None:
    with pytest.raises(Failed):
        reading().read(chunk)
