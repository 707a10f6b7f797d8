"""Mistral's and OpenAI's Python SDKs on a real server: a tiny model, so what it says is noise in the right shape."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.api.served import Served
from tests.clients.conftest import MODEL
from tests.clients.reach import FORMS, Form, Reach, mistral, openai

pytestmark = pytest.mark.model

NUMBER = {"type": "function", "function": {"name": "number", "parameters": {
    "type": "object", "properties": {"value": {"enum": [1, 22, 333]}}, "required": ["value"],
    "additionalProperties": False}}}  # fmt: skip
COLOUR = {"type": "function", "function": {"name": "colour", "strict": True, "parameters": {
    "type": "object", "properties": {"name": {"enum": ["red", "green"]}}, "required": ["name"],
    "additionalProperties": False}}}  # fmt: skip
TOOLS = [NUMBER, COLOUR]
SPECIAL = re.compile(rb"<SPECIAL_\d+>|\[/?[A-Z_]+\]|</?s>|<unk>|<pad>")
ALLOWED: dict[str, list[dict[str, Any]]] = {
    "number": [{"value": value} for value in (1, 22, 333)],
    "colour": [{"name": name} for name in ("red", "green")],
}


class River(BaseModel):
    name: str = Field(max_length=10)
    kilometres: int = Field(ge=1, le=10_000)
    dry: bool


def asks(text: str = "Hello!", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 12, **more}


def values_of(calls: Any) -> list[Any]:
    """The arguments of calls, each checked against its tool."""
    found = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
    for name, value in found:
        assert value in ALLOWED[name]
    return found


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    value: Form = request.param
    return value


@pytest.fixture
def of_mistral(tiny_server: Served, form: Form) -> Iterator[Reach]:
    with mistral(form, str(tiny_server.client.base_url).rstrip("/")) as reach:
        yield reach


@pytest.fixture
def of_openai(tiny_server: Served, form: Form) -> Iterator[Reach]:
    with openai(form, str(tiny_server.client.base_url).rstrip("/")) as reach:
        yield reach


def test_a_stream_adds_up_to_the_answer(of_mistral: Reach, of_openai: Reach) -> None:
    whole = of_mistral.call("chat.complete", **asks(temperature=0))
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 12
    events = [event.data for event in of_mistral.stream("chat.stream", **asks(temperature=0))]
    assert "".join(event.choices[0].delta.content for event in events) == text
    assert events[-1].usage.total_tokens == whole.usage.total_tokens and events[-1].choices[0].finish_reason == "length"
    assert len({event.id for event in events}) == 1 and all(event.model == MODEL for event in events)
    same = of_openai.call("chat.completions.create", **asks(temperature=0))
    assert (same.choices[0].message.content, same.usage.total_tokens) == (text, whole.usage.total_tokens)
    chunks = of_openai.stream("chat.completions.create", **asks(temperature=0, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert chunks[-1].choices[0].finish_reason == "length" and chunks[-1].usage.completion_tokens == 12


def test_usage_when_openais_clients_ask_for_it(of_openai: Reach) -> None:
    body = asks(stream=True, stream_options={"include_usage": True})
    *chunks, last = of_openai.stream("chat.completions.create", **body)
    assert last.choices == [] and last.usage.completion_tokens == 12
    assert all(chunk.choices for chunk in chunks)


def test_seeds_and_limits_by_both_names(of_mistral: Reach, of_openai: Reach) -> None:
    seeded = of_mistral.call("chat.complete", **asks(temperature=1.0, random_seed=7))
    again = of_openai.call(
        "chat.completions.create", model=MODEL, messages=asks()["messages"], temperature=1.0, seed=7,
        max_completion_tokens=12,
    )  # fmt: skip
    assert again.choices[0].message.content == seeded.choices[0].message.content


def test_several_choices(of_mistral: Reach, of_openai: Reach) -> None:
    for answer in (
        of_mistral.call("chat.complete", **asks(n=2, random_seed=1)),
        of_openai.call("chat.completions.create", **asks(n=2, seed=1)),
    ):
        first, second = answer.choices
        assert (first.index, second.index) == (0, 1) and first.message.content != second.message.content
        assert answer.usage.completion_tokens == 24
    chunks = of_openai.stream("chat.completions.create", **asks(n=2, stream=True))
    ended = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert sorted(ended) == [0, 1]


def test_stop(of_mistral: Reach, of_openai: Reach) -> None:
    text = of_mistral.call("chat.complete", **asks(temperature=0)).choices[0].message.content
    middle = text[len(text) // 2]
    for answer in (
        of_mistral.call("chat.complete", **asks(temperature=0, stop=middle)),
        of_openai.call("chat.completions.create", **asks(temperature=0, stop=["\x00", middle])),
    ):
        assert answer.choices[0].finish_reason == "stop"
        assert answer.choices[0].message.content == text[: text.index(middle)]


def test_logprobs(of_mistral: Reach, of_openai: Reach) -> None:
    for answer in (
        of_mistral.call("chat.complete", **asks(logprobs=True, top_logprobs=2)),
        of_openai.call("chat.completions.create", **asks(logprobs=True, top_logprobs=2)),
    ):
        choice = answer.choices[0]
        assert len(choice.logprobs.content) == 12 and all(entry.logprob <= 0 for entry in choice.logprobs.content)
        assert all(len(entry.top_logprobs) == 2 for entry in choice.logprobs.content)
        raw = b"".join(bytes(entry.model_dump(by_alias=True)["bytes"]) for entry in choice.logprobs.content)
        written = SPECIAL.sub(b"", raw)  # a model of random weights samples some, and no text shows them
        assert written.decode(errors="replace").startswith(choice.message.content[:5])
    streamed = of_mistral.stream("chat.stream", **asks(logprobs=True, top_logprobs=1))
    entries = [event.data.choices[0].logprobs for event in streamed]
    assert sum(len(entry.content) for entry in entries if entry) == 12


@pytest.mark.parametrize("choice", ["any", {"type": "function", "function": {"name": "colour"}}], ids=["any", "named"])
def test_a_forced_call(of_mistral: Reach, choice: Any) -> None:
    body = asks(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=100)
    answer = of_mistral.call("chat.complete", **body).choices[0]
    (call,) = answer.message.tool_calls
    assert answer.finish_reason == "tool_calls" and re.fullmatch("[a-zA-Z0-9]{9}", call.id)
    assert values_of([call])[0][0] == "colour" or choice == "any"
    deltas = [event.data.choices[0].delta for event in of_mistral.stream("chat.stream", **body)]
    fragments = [call for delta in deltas for call in delta.tool_calls or ()]
    assert json.loads("".join(call.function.arguments for call in fragments))
    assert sum(bool(call.function.name) for call in fragments) == 1


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "number"}}], ids=str)
def test_a_forced_call_for_openai(of_openai: Reach, choice: Any) -> None:
    body = asks(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=100)
    answer = of_openai.call("chat.completions.create", **body).choices[0]
    assert answer.finish_reason == "tool_calls" and len(values_of(answer.message.tool_calls)) == 1
    chunks = of_openai.stream("chat.completions.create", **body, stream=True)
    fragments = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert json.loads("".join(call.function.arguments for call in fragments)) and fragments[0].id


def test_calls_beside_each_other(of_mistral: Reach, of_openai: Reach) -> None:
    """Noise calls on and on; when its tokens are used up the last call is still a whole one."""
    body = asks(tools=TOOLS, tool_choice="required", max_tokens=100)
    for reach, method in ((of_mistral, "chat.complete"), (of_openai, "chat.completions.create")):
        calls = reach.call(method, **body).choices[0].message.tool_calls
        assert values_of(calls) and len({call.id for call in calls}) == len(calls)


def test_a_result_is_sent_back(of_mistral: Reach, of_openai: Reach) -> None:
    body = asks(tools=TOOLS, tool_choice="required", parallel_tool_calls=False, max_tokens=100)
    for reach, method in ((of_mistral, "chat.complete"), (of_openai, "chat.completions.create")):
        message = reach.call(method, **body).choices[0].message
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21"}
        turns = [*body["messages"], message, result]
        answer = reach.call(method, model=MODEL, messages=turns, tools=TOOLS, tool_choice="none", max_tokens=5)
        assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls
        assert reach.call(method, model=MODEL, messages=turns, tools=TOOLS, max_tokens=5).choices  # auto


def test_a_prefix_begins_the_answer(of_mistral: Reach, of_openai: Reach) -> None:
    turns = [*asks()["messages"], {"role": "assistant", "content": "Dear friend,", "prefix": True}]
    body = {"model": MODEL, "messages": turns, "max_tokens": 5, "temperature": 0}
    text = of_mistral.call("chat.complete", **body).choices[0].message.content
    assert text.startswith("Dear friend,") and len(text) > len("Dear friend,")
    events = of_mistral.stream("chat.stream", **body)
    assert "".join(event.data.choices[0].delta.content for event in events) == text
    assert of_openai.call("chat.completions.create", **body).choices[0].message.content == text


def test_parse(of_mistral: Reach, of_openai: Reach) -> None:
    answer = of_mistral.call("chat.parse", **asks(response_format=River, max_tokens=60))
    assert isinstance(answer.choices[0].message.parsed, River)
    events = of_mistral.stream("chat.parse_stream", **asks(response_format=River, max_tokens=60))
    River.model_validate_json("".join(event.data.choices[0].delta.content for event in events))
    parsed = of_openai.call("chat.completions.parse", **asks(response_format=River, max_tokens=60))
    assert isinstance(parsed.choices[0].message.parsed, River)


def test_openais_stream_helper_parses(tiny_server: Served) -> None:
    address, body = str(tiny_server.client.base_url).rstrip("/"), asks(response_format=River, max_tokens=60)
    with openai("sync", address) as reach, reach.client.chat.completions.stream(**body) as stream:
        assert any(event.type == "content.delta" for event in stream)
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, River)


def test_json_object(of_mistral: Reach, of_openai: Reach) -> None:
    for reach, method in ((of_mistral, "chat.complete"), (of_openai, "chat.completions.create")):
        body = asks(response_format={"type": "json_object"}, max_tokens=20)
        assert isinstance(json.loads(reach.call(method, **body).choices[0].message.content), dict)


@pytest.mark.parametrize("effort", [None, "none"])
def test_without_effort_json_comes_without_a_thought(of_mistral: Reach, effort: str | None) -> None:
    for seed in range(4):
        body = asks(response_format={"type": "json_object"}, random_seed=seed, max_tokens=20, reasoning_effort=effort)
        assert isinstance(of_mistral.call("chat.complete", **body).choices[0].message.content, str)


def test_thinking_before_json(tiny_server: Served) -> None:
    """Noise opens a thought by chance, and nothing but the end of its tokens makes it close one."""
    body = asks(response_format={"type": "json_object"}, reasoning_effort="high", max_tokens=30)
    address = str(tiny_server.client.base_url).rstrip("/")
    with mistral("sync", address) as reach:
        contents = (reach.call("chat.complete", **body).choices[0].message.content for _ in range(30))
        thought, said = next(content for content in contents if isinstance(content, list))
    assert thought.type == "thinking" and thought.thinking[0].text and isinstance(json.loads(said.text), dict)
    with openai("sync", address) as reach:
        messages = (reach.call("chat.completions.create", **body).choices[0].message for _ in range(30))
        message = next(message for message in messages if getattr(message, "reasoning_content", None))
    assert isinstance(json.loads(message.content), dict)


def test_fim(of_mistral: Reach) -> None:
    body = {"model": MODEL, "prompt": "def add(", "suffix": "\n\nadd(1, 2)", "max_tokens": 8, "temperature": 0}
    text = of_mistral.call("fim.complete", **body).choices[0].message.content
    events = of_mistral.stream("fim.stream", **body)
    assert text and "".join(event.data.choices[0].delta.content for event in events) == text
    assert events[-1].data.usage.completion_tokens == 8


def test_text_completions(of_openai: Reach) -> None:
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
    text = of_openai.call("completions.create", **body).choices[0].text
    chunks = of_openai.stream("completions.create", **body, stream=True)
    assert text and "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == text


def test_models(of_mistral: Reach, of_openai: Reach) -> None:
    (card,) = of_mistral.call("models.list").data
    assert (card.id, card.type, card.max_context_length) == (MODEL, "base", 2048)
    assert card.capabilities.completion_chat and card.capabilities.completion_fim and card.capabilities.reasoning
    assert of_mistral.call("models.retrieve", model_id="mistralai/Mistral-Medium-3.5-128B").id == MODEL
    assert [model.id for model in of_openai.read(of_openai.client.models.list())] == [MODEL]
    assert of_openai.call("models.retrieve", model="mistralai/Mistral-Medium-3.5-128B").owned_by == "ggufrun"


def test_safe_prompt_is_in_front(of_mistral: Reach, of_openai: Reach) -> None:
    plain = of_mistral.call("chat.complete", **asks()).usage.prompt_tokens
    safe = of_mistral.call("chat.complete", **asks(safe_prompt=True)).usage.prompt_tokens
    assert safe > plain + 20
    other = of_openai.call("chat.completions.create", **asks(extra_body={"safe_prompt": True}))
    assert other.usage.prompt_tokens == safe


@pytest.mark.parametrize("sdk", ["mistral", "openai"])
def test_a_client_that_leaves_is_forgotten(tiny_server: Served, sdk: str) -> None:
    """Its answer would take twenty seconds more. tests/clients/test_scenes.py has the asynchronous form."""
    address, body = str(tiny_server.client.base_url).rstrip("/"), asks(max_tokens=1500)
    with mistral("sync", address) if sdk == "mistral" else openai("sync", address) as reach:
        if sdk == "mistral":
            stream = reach.call("chat.stream", **body)
        else:
            stream = reach.call("chat.completions.create", **body, stream=True)
        with stream:
            next(iter(stream))
        deadline = time.monotonic() + 15
        while tiny_server.active() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert tiny_server.active() == 0
