"""Mistral's and OpenAI's Python SDKs on scripted answers: thinking, two tool calls, broken streams, leaving clients."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai as openai_sdk
import pytest
from mistralai.client.models import TextChunk, ThinkChunk
from pydantic import BaseModel

from ggufrun.chat.types import ChatRequest
from tests.clients.reach import FORMS, Form, Reach, mistral, openai
from tests.clients.scenes import BUG, Stage, on_stage

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("look", "find")
]


class Found(BaseModel):
    at: str


def asks(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "played", "messages": [{"role": "user", "content": text}], **more}


@dataclass
class Theatre:
    stage: Stage
    address: str


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    stage = Stage()
    with on_stage(stage) as address:
        yield Theatre(stage, address)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    value: Form = request.param
    return value


@pytest.fixture
def of_mistral(theatre: Theatre, form: Form) -> Iterator[Reach]:
    with mistral(form, theatre.address) as reach:
        yield reach


@pytest.fixture
def of_openai(theatre: Theatre, form: Form) -> Iterator[Reach]:
    with openai(form, theatre.address) as reach:
        yield reach


def arguments_of(deltas: list[Any], index: int) -> Any:
    """The JSON that the fragments of one call add up to."""
    calls = [call for delta in deltas for call in delta.tool_calls or () if call.index == index]
    return json.loads("".join(call.function.arguments for call in calls))


def test_mistral_thinks(of_mistral: Reach) -> None:
    thought, said = of_mistral.call("chat.complete", **asks("think")).choices[0].message.content
    assert isinstance(thought, ThinkChunk) and thought.closed is True
    assert isinstance(thought.thinking[0], TextChunk) and thought.thinking[0].text == "hm hm"
    assert isinstance(said, TextChunk) and said.text == "yes!"
    contents = [each.data.choices[0].delta.content for each in of_mistral.stream("chat.stream", **asks("think"))]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    assert [part.type for part in parts] == ["thinking", "thinking", "text"]
    assert "".join(part.thinking[0].text for part in parts[:2]) == "hm hm"
    assert parts[2].text + "".join(each for each in contents if isinstance(each, str)) == "yes!"


def test_mistral_sends_the_thought_back(of_mistral: Reach, theatre: Theatre) -> None:
    message = of_mistral.call("chat.complete", **asks("think")).choices[0].message
    turns = [{"role": "user", "content": "hello"}, message, {"role": "user", "content": "hello"}]
    of_mistral.call("chat.complete", model="played", messages=turns)
    sent = theatre.stage.requests[-1]
    assert isinstance(sent, ChatRequest) and isinstance(sent.messages[1].content, tuple)
    assert [part.type for part in sent.messages[1].content] == ["thinking", "text"]


def test_openai_thinks(of_openai: Reach) -> None:
    message = of_openai.call("chat.completions.create", **asks("think")).choices[0].message
    assert (message.content, message.reasoning_content) == ("yes!", "hm hm")
    chunks = of_openai.stream("chat.completions.create", **asks("think", stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "hm hm"
    assert "".join(delta.content or "" for delta in deltas) == "yes!"


def test_mistral_gets_two_calls(of_mistral: Reach) -> None:
    choice = of_mistral.call("chat.complete", **asks("two calls", tools=TOOLS)).choices[0]
    first, second = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and choice.message.content == ""
    assert (first.id, first.function.name, json.loads(first.function.arguments)) == ("abcdefghi", "look", {"at": "x"})
    assert (second.index, json.loads(second.function.arguments)) == (1, {"in": ["y", 2]})
    chunks = of_mistral.stream("chat.stream", **asks("two calls", tools=TOOLS))
    deltas = [chunk.data.choices[0].delta for chunk in chunks]
    assert arguments_of(deltas, 0) == {"at": "x"} and arguments_of(deltas, 1) == {"in": ["y", 2]}
    names = [call.function.name for delta in deltas for call in delta.tool_calls or ()]
    assert [name for name in names if name] == ["look", "find"]
    ids = [call.id for delta in deltas for call in delta.tool_calls or ()]
    assert ids == ["abcdefghi"] * 3 + ["jklmnopqr"] * 2  # ChatMistralAI takes a piece without one for another call


def test_openai_gets_two_calls(of_openai: Reach) -> None:
    message = of_openai.call("chat.completions.create", **asks("two calls", tools=TOOLS)).choices[0].message
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"at": "x"}, {"in": ["y", 2]}]
    chunks = of_openai.stream("chat.completions.create", **asks("two calls", tools=TOOLS, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert arguments_of(deltas, 0) == {"at": "x"} and arguments_of(deltas, 1) == {"in": ["y", 2]}
    assert [call.id for delta in deltas for call in delta.tool_calls or () if call.id] == ["abcdefghi", "jklmnopqr"]


def test_openais_helper_adds_the_fragments_up(theatre: Theatre) -> None:
    tools = [openai_sdk.pydantic_function_tool(Found, name="look"), TOOLS[1]]
    body = asks("two calls", tools=tools)
    with openai("sync", theatre.address) as reach, reach.client.chat.completions.stream(**body) as stream:
        events = [event.type for event in stream]
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert events.count("tool_calls.function.arguments.done") == 2
    assert calls[0].function.parsed_arguments == Found(at="x") and calls[0].id == "abcdefghi"
    assert json.loads(calls[1].function.arguments) == {"in": ["y", 2]}


def test_mistral_sees_a_stream_break(of_mistral: Reach) -> None:
    *_, last = of_mistral.stream("chat.stream", **asks("break"))  # the SDK drops the chunk's `error`
    assert last.data.choices[0].finish_reason == "error" and last.data.usage.prompt_tokens == 7


@pytest.mark.parametrize(("scene", "said"), [("break", "signal 9"), ("break by a bug", "its log has the details")])
def test_openai_sees_a_stream_break(of_openai: Reach, scene: str, said: str) -> None:
    with pytest.raises(openai_sdk.APIError, match=said) as broken:
        of_openai.stream("chat.completions.create", **asks(scene, stream=True))
    assert broken.value.type == "server_error" and BUG not in str(broken.value.body)


def test_a_full_context_has_each_dialects_name(of_mistral: Reach, of_openai: Reach) -> None:
    assert of_mistral.call("chat.complete", **asks("full")).choices[0].finish_reason == "model_length"
    assert of_openai.call("chat.completions.create", **asks("full")).choices[0].finish_reason == "length"


def test_a_client_that_leaves_ends_its_answer(theatre: Theatre, of_mistral: Reach, of_openai: Reach) -> None:
    for reach, method, more in (
        (of_mistral, "chat.stream", {}),
        (of_openai, "chat.completions.create", {"stream": True}),
    ):
        _read_one_and_leave(reach, reach.call(method, **asks("wait", **more)))
        playing = theatre.stage.playing[-1]
        deadline = time.monotonic() + 60
        while not playing.ended and time.monotonic() < deadline:
            time.sleep(0.005)
        assert playing.ended == 1
        assert httpx.get(f"{theatre.address}/ggufrun/v1/models").json()["data"][0]["active"] == 0


def _read_one_and_leave(reach: Reach, stream: Any) -> None:
    async def leave() -> None:
        async with stream:
            await anext(aiter(stream))

    if reach.form == "async":
        reach.runner.run(leave())
        return
    with stream:
        next(iter(stream))


def test_ids_with_a_slash(of_mistral: Reach, of_openai: Reach) -> None:
    assert of_mistral.call("models.retrieve", model_id="house/played").id == "played"
    assert of_openai.call("models.retrieve", model="house/played").id == "played"
    assert of_mistral.call("chat.complete", **asks("hello", model="house/played")).model == "played"


def test_arguments_as_an_object(of_mistral: Reach, theatre: Theatre) -> None:
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": {"at": "x"}}}
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "hello", "tool_call_id": "abcdefghi", "name": "look"},
    ]
    assert of_mistral.call("chat.complete", model="played", messages=turns).choices[0].message.content == "fine"
    sent = theatre.stage.requests[-1]
    assert isinstance(sent, ChatRequest) and sent.messages[1].tool_calls is not None
    assert sent.messages[1].tool_calls[0].function.arguments in ({"at": "x"}, '{"at": "x"}')


def test_null_is_not_given(of_mistral: Reach, of_openai: Reach) -> None:
    names = ("temperature", "top_p", "max_tokens", "stop", "presence_penalty", "frequency_penalty", "n", "tools")
    nulls = dict.fromkeys(names)
    more = dict.fromkeys(("random_seed", "min_tokens", "reasoning_effort", "prompt_mode", "guardrails", "metadata"))
    answer = of_mistral.call("chat.complete", **asks("hello", **nulls, **more, response_format=None, tool_choice=None))
    assert answer.choices[0].message.content == "fine"
    more = dict.fromkeys(("seed", "max_completion_tokens", "logprobs", "user", "store", "logit_bias", "stream_options"))
    assert (
        of_openai.call("chat.completions.create", **asks("hello", **nulls, **more)).choices[0].finish_reason == "stop"
    )


def test_openais_extras_are_accepted(of_openai: Reach) -> None:
    extras = {
        "user": "u", "store": False, "verbosity": "low", "safety_identifier": "s", "prompt_cache_key": "k",
        "prompt_cache_retention": "24h", "service_tier": "flex", "metadata": {"a": "b"}, "modalities": ["text"],
        "prediction": {"type": "content", "content": [{"type": "text", "text": "f"}]}, "logit_bias": {"5": -1},
        "parallel_tool_calls": False, "extra_body": {"safe_prompt": True, "no_such_field": {"deep": 1}},
    }  # fmt: skip
    assert of_openai.call("chat.completions.create", **asks("hello", **extras)).choices[0].message.content == "fine"


def test_a_base_url_with_v1_in_it(theatre: Theatre, form: Form) -> None:
    with mistral(form, f"{theatre.address}/v1") as reach:
        assert reach.call("chat.complete", **asks("hello")).choices[0].message.content == "fine"
        assert reach.call("models.list").data[0].id == "played"
        assert reach.stream("chat.stream", **asks("hello"))[-1].data.usage.total_tokens == 12
