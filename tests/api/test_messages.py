"""POST /v1/messages: what its requests mean, the shapes of its answers, and errors in Anthropic's envelope."""

import json
from typing import Any

import pytest

from ggufrun.api.agents.messages_body import MessagesBody
from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.gateway import ServerSettings
from ggufrun.chat.types import (
    ChatRequest,
    ChoiceFinished,
    LinkedImage,
    Message,
    ModelInfo,
    NamedTool,
    Price,
    TextChunk,
    TextDelta,
    ThinkingChunk,
)
from ggufrun.engine.types import FinishReason
from ggufrun.errors import EngineBusy, EngineCrashed, RequestError, SchemaNotSatisfied, Unsupported
from tests.api.agents import CALLED, DONE, SAID, SCHEMA, START, events
from tests.api.answering import answering
from tests.api.scripted import PlayedModel, client_of

PATH = "/v1/messages"
HELLO: dict[str, Any] = {"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"name": "weather", "description": "The weather.", "input_schema": SCHEMA}


def translated(**body: Any) -> ChatRequest:
    return MessagesBody.model_validate(HELLO | body).to_request()


async def post(model: PlayedModel, settings: ServerSettings | None = None, **body: Any) -> Any:
    async with client_of(create_app(gateway_for(model, settings))) as client:
        return await client.post(PATH, json=HELLO | body)


async def test_a_whole_answer() -> None:
    response = await post(PlayedModel(CALLED))
    body = response.json()
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "played")
    assert body["id"].startswith("msg_") and response.headers["request-id"] == response.headers["x-request-id"]
    assert body["content"] == [
        {"type": "thinking", "thinking": "Which city?", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "abcdefghi", "name": "weather", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "jklmnopqr", "name": "now", "input": {}},
    ]
    assert (body["stop_reason"], body["stop_sequence"]) == ("tool_use", None)
    assert body["usage"] == {
        "input_tokens": 8,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 12,
        "output_tokens": 9,
    }


async def test_a_stream() -> None:
    response = await post(PlayedModel(CALLED), stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    found = [(name, json.loads(data)) for name, data in events(response.text)]
    assert all(name == data["type"] for name, data in found)
    kinds = [(name, data.get("index")) for name, data in found if name != "content_block_delta"]
    blocks = [(f"content_block_{end}", index) for index in range(4) for end in ("start", "stop")]
    assert kinds == [
        ("message_start", None),
        ("ping", None),
        *blocks,
        ("message_delta", None),
        ("message_stop", None),
    ]
    start, end = found[0][1]["message"], found[-2][1]
    assert start["content"] == [] and start["stop_reason"] is None and start["usage"]["input_tokens"] == 20
    assert end["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == (8, 9)
    deltas = [(data["index"], data["delta"]) for name, data in found if name == "content_block_delta"]
    assert deltas[0] == (0, {"type": "thinking_delta", "thinking": "Which "})
    assert deltas[2] == (1, {"type": "text_delta", "text": "I look."})
    assert "".join(delta["partial_json"] for index, delta in deltas if index == 2) == '{"city": "Paris"}'


@pytest.mark.parametrize(
    ("end", "reason", "sequence"),
    [
        (ChoiceFinished("stop"), "end_turn", None),
        (ChoiceFinished("length"), "max_tokens", None),
        (ChoiceFinished("model_length"), "model_context_window_exceeded", None),
        (ChoiceFinished("stop", stop="END"), "stop_sequence", "END"),
    ],
)
async def test_why_an_answer_ends(end: ChoiceFinished, reason: str, sequence: str | None) -> None:
    model = PlayedModel((*START, TextDelta("x"), end, DONE))
    body = (await post(model)).json()
    assert (body["stop_reason"], body["stop_sequence"]) == (reason, sequence)
    last = json.loads(events((await post(model, stream=True)).text)[-2][1])
    assert last["delta"] == {"stop_reason": reason, "stop_sequence": sequence}


async def test_a_stop_sequence_is_named_by_a_local_model() -> None:
    server = answering([tuple(b"one two END three"), FinishReason.STOP])
    body = (await server.post(PATH, **HELLO, stop_sequences=["nowhere", "END"])).json()
    assert body["content"] == [{"type": "text", "text": "one two "}]
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "END")


async def test_the_answer_goes_on_behind_its_given_beginning() -> None:
    given = [*HELLO["messages"], {"role": "assistant", "content": [{"type": "text", "text": "Well"}]}]
    server = answering([tuple(b", yes."), FinishReason.STOP], prefix="Well")
    body = (await server.post(PATH, **HELLO | {"messages": given})).json()
    assert body["content"] == [{"type": "text", "text": ", yes."}]
    for pieces in (("We", "ll, y", "es."), ("Well", ", yes.")):
        script = (*START, *map(TextDelta, pieces), ChoiceFinished("stop"), DONE)
        text = (await post(PlayedModel(script), messages=given)).json()["content"][0]["text"]
        assert text == ", yes."


async def test_the_cost_where_a_price_is_known() -> None:
    class Priced(PlayedModel):
        @property
        def info(self) -> ModelInfo:
            return ModelInfo("priced", 100, 100, 256, 1000, "", price=Price(1.5, 7.5))

    response = await post(Priced(SAID))
    assert response.json()["usage"]["cost_usd"] == pytest.approx((20 * 1.5 + 9 * 7.5) / 1e6)
    assert float(response.headers["x-ggufrun-cost-usd"]) == response.json()["usage"]["cost_usd"]


def test_the_options() -> None:
    request = translated(
        temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["a"], stream=True, metadata={"user_id": "u"}
    )
    options = request.options
    assert (options.temperature, options.top_p, options.top_k, options.max_tokens) == (0.5, 0.9, 5, 50)
    assert options.stop == ("a",) and request.live and request.parallel_tool_calls
    assert translated(temperature=None, tools=None, system=None) == translated()


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32_000}}, "high"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "max"}}, "max"),
    ],
)
def test_how_much_to_think(fields: dict[str, Any], effort: str | None) -> None:
    assert translated(**fields).options.reasoning_effort == effort


def test_a_schema_for_the_answer() -> None:
    constraint = translated(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}).constraint
    assert constraint is not None and (constraint.kind, constraint.schema, constraint.strict) == (
        "json_schema",
        SCHEMA,
        True,
    )


def test_a_history_of_blocks() -> None:
    history = [
        {"role": "user", "content": [{"type": "text", "text": "Weather?", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich"}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Go on."},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Sun."}]},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "No city.", "is_error": True},
            ],
        },
        {"role": "system", "content": "Be quick."},
    ]
    user, assistant, sun, failed, more, late = translated(messages=history).messages
    assert user == Message(role="user", content=(TextChunk(text="Weather?"),))
    assert assistant.content == (
        ThinkingChunk(type="thinking", thinking=(TextChunk(text="Hm."),)),
        TextChunk(text="I look."),
    )
    assert assistant.tool_calls is not None
    assert [(call.id, call.function.arguments) for call in assistant.tool_calls] == [
        ("toolu_1", '{"city": "Zürich"}'),
        ("toolu_2", "{}"),
    ]
    assert (sun.role, sun.tool_call_id, sun.content) == ("tool", "toolu_1", "Sun.")
    assert (failed.role, failed.content) == ("tool", "Error: No city.")
    assert more.content == (TextChunk(text="Go on."),)
    assert (late.role, late.content) == ("user", "Be quick.")  # Mistral's prompts have no later place for a system's


@pytest.mark.parametrize("billing", ["x-anthropic-billing-header: cch=1;", "x-anthropic-billing-header: cch=2;"])
def test_the_system_prompt_without_what_differs_each_time(billing: str) -> None:
    blocks = [{"type": "text", "text": text} for text in (billing, "You are terse.", "Be kind.")]
    assert translated(system=blocks).messages[0] == Message(role="system", content="You are terse.\n\nBe kind.")
    assert translated(system=f"{billing}\nYou are terse.").messages[0].content == "You are terse."
    assert translated(system=billing).messages[0].role == "user"


def test_tools() -> None:
    request = translated(
        tools=[{**TOOL, "type": "custom", "strict": True}, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    )
    (tool,) = request.tools  # beside tools of the agent's own, those of the hosted API are left out
    assert (tool.function.name, tool.function.parameters, tool.function.strict) == ("weather", SCHEMA, True)
    assert isinstance(request.tool_choice, NamedTool) and not request.parallel_tool_calls
    assert [translated(tools=[TOOL], tool_choice={"type": kind}).tool_choice for kind in ("auto", "any", "none")] == [
        "auto",
        "any",
        "none",
    ]


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
LINKED = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
FILE_IMAGE = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}


def test_images_stay_where_they_stand() -> None:
    texts = [{"type": "text", "text": text} for text in "ab"]
    shown = {"type": "tool_result", "tool_use_id": "t", "content": [texts[0], IMAGE]}
    content = [IMAGE, texts[0], LINKED, texts[1], shown, {**shown, "is_error": True}]
    told, failed, asked = translated(messages=[{"role": "user", "content": content}]).messages
    assert isinstance(asked.content, tuple)
    first, a, second, b = asked.content
    assert (a, b) == (TextChunk(text="a"), TextChunk(text="b"))
    assert first == LinkedImage(url="data:;base64,AA==", at="messages.0.content.0")
    assert second == LinkedImage(url="https://example.org/a.png", at="messages.0.content.2")
    seen = LinkedImage(url="data:;base64,AA==", at="messages.0.content.4.content.1")
    assert (told.role, told.content) == ("tool", (TextChunk(text="a"), seen))
    assert failed.content and failed.content[0] == TextChunk(text="Error: ")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "assistant", "content": [IMAGE]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [FILE_IMAGE]}]}]},
            "messages.0.content.0.content.0",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"),
        ({"mcp_servers": [{"name": "x"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"tool_choice": {"type": "tool"}, "tools": [TOOL]}, "tool_choice.name"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        translated(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "status", "kind", "said"),
    [
        ({"messages": 5}, 422, "invalid_request_error", "messages"),
        ({"temperature": 3}, 422, "invalid_request_error", "temperature is 3"),
        ({"model": "claude"}, 400, "invalid_request_error", "claude"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, 422, "invalid_request_error", "bash_20250124"),
    ],
)
async def test_errors_are_anthropics(body: dict[str, Any], status: int, kind: str, said: str) -> None:
    server = answering([FinishReason.STOP])
    for path in (PATH, f"{PATH}/count_tokens"):
        if "temperature" in body and path != PATH:
            continue  # nothing is sampled
        response = await server.post(path, **HELLO | body)
        shown = response.json()
        assert (response.status_code, shown["type"], shown["error"]["type"]) == (status, "error", kind)
        assert said in shown["error"]["message"]
        assert shown["request_id"] == response.headers["request-id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EngineBusy(3), 429, "rate_limit_error"),
        (EngineCrashed("signal 9"), 503, "overloaded_error"),
        (SchemaNotSatisfied("no", "{", 3), 422, "invalid_request_error"),
    ],
)
async def test_the_same_statuses_as_elsewhere(error: Exception, status: int, kind: str) -> None:
    response = await post(PlayedModel((error,)))
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert int(response.headers["content-length"]) == len(response.content)
    if status != 422:
        assert response.headers["retry-after"] == "1"


async def test_errors_in_front_of_the_route_are_anthropics_too() -> None:
    async with client_of(create_app(gateway_for(PlayedModel(SAID), ServerSettings(max_body=10)))) as client:
        large = await client.post(PATH, json=HELLO)
        other = await client.post(PATH, json=HELLO, headers={"host": "evil.example"})
        method = await client.get(PATH)
        chat = await client.post("/v1/chat/completions", json=HELLO)
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")
    assert (other.status_code, other.json()["error"]["type"]) == (403, "permission_error")
    assert (method.status_code, method.json()["type"]) == (405, "error")
    assert chat.json()["object"] == "error"


async def test_a_stream_that_fails_ends_with_an_error_event() -> None:
    response = await post(PlayedModel((*START, TextDelta("half"), EngineCrashed("signal 9"))), stream=True)
    name, data = events(response.text)[-1]
    assert name == "error" and json.loads(data)["error"]["type"] == "overloaded_error"
    assert "signal 9" in json.loads(data)["error"]["message"]
    assert json.loads(data)["request_id"] == response.headers["x-request-id"]


async def test_strict_refuses_unknown_fields() -> None:
    body = {"messages": HELLO["messages"], "surprise": 1}
    assert (await post(PlayedModel(SAID), **body)).status_code == 200
    assert (await post(PlayedModel(SAID), ServerSettings(strict=True), **body)).status_code == 422


async def test_a_beginning_is_found_also_behind_a_thought() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    given = [*HELLO["messages"], {"role": "assistant", "content": [thought, {"type": "text", "text": "Well"}]}]
    body = (await post(PlayedModel((*START, TextDelta("Well, yes."), *SAID[-2:])), messages=given)).json()
    assert body["content"] == [{"type": "text", "text": ", yes."}]


def test_unsupported_blocks_say_which() -> None:
    with pytest.raises(Unsupported, match="server_tool_use"):
        translated(messages=[{"role": "assistant", "content": [{"type": "server_tool_use", "id": "x", "input": {}}]}])
