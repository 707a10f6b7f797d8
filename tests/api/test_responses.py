"""POST /v1/responses: what its requests mean, and the shapes of its answers."""

import json
from typing import Any

import pytest

from ggufrun.api.agents.responses_body import ResponsesBody
from ggufrun.api.app import create_app, gateway_for
from ggufrun.chat.types import (
    ChatRequest,
    ChoiceFinished,
    LinkedImage,
    Logprob,
    Message,
    NamedTool,
    TextChunk,
    TextDelta,
    ThinkingChunk,
    ToolCallDelta,
)
from ggufrun.engine.types import FinishReason
from ggufrun.errors import EngineBusy, EngineCrashed, RequestError, SchemaNotSatisfied
from tests.api.agents import CALLED, DONE, SAID, SCHEMA, START, events
from tests.api.answering import answering
from tests.api.scripted import PlayedModel, client_of

PATH = "/v1/responses"
TOOL = {"type": "function", "name": "weather", "description": "The weather.", "parameters": SCHEMA}


def translated(**body: Any) -> ChatRequest:
    return ResponsesBody.model_validate({"input": "hi"} | body).to_request()


async def post(model: PlayedModel, **body: Any) -> Any:
    async with client_of(create_app(gateway_for(model))) as client:
        return await client.post(PATH, json={"input": "hi"} | body)


async def test_a_whole_answer() -> None:
    body = (await post(PlayedModel(CALLED), tools=[TOOL], metadata={"a": "b"}, instructions="Be terse.")).json()
    assert (body["object"], body["status"], body["model"]) == ("response", "completed", "played")
    assert body["id"].startswith("resp_") and body["completed_at"] >= body["created_at"]
    thought, said, weather, now = body["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Which city?"}] and thought["summary"] == []
    assert said["content"] == [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]
    assert (said["type"], said["role"], said["status"]) == ("message", "assistant", "completed")
    assert (weather["call_id"], weather["name"], weather["arguments"]) == ("abcdefghi", "weather", '{"city": "Paris"}')
    assert (now["type"], now["call_id"], now["arguments"]) == ("function_call", "jklmnopqr", "{}")
    assert len({item["id"] for item in body["output"]}) == 4
    assert body["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 29,
    }
    assert (body["tools"][0]["strict"], body["tool_choice"], body["metadata"]) == (None, "auto", {"a": "b"})
    assert (body["instructions"], body["store"], body["error"]) == ("Be terse.", False, None)


async def test_a_stream() -> None:
    response = await post(PlayedModel(CALLED), stream=True)
    assert "[DONE]" not in response.text
    found = [(name, json.loads(data)) for name, data in events(response.text)]
    assert all(name == data["type"] for name, data in found)
    assert [data["sequence_number"] for _, data in found] == list(range(len(found)))
    thought = ["output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"]
    said = ["output_item.added", "content_part.added", "output_text.delta"]
    call = ["output_item.added", "function_call_arguments.delta"]
    ended = ["content_part.done", "output_item.done"]
    assert [name.removeprefix("response.") for name, _ in found] == [
        *("created", "in_progress"),
        *(*thought, "reasoning_text.done", *ended),
        *(*said, "output_text.done", *ended),
        *(*call, "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        *(*call, "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    whole = found[-1][1]["response"]
    items = [data["item"] for name, data in found if name == "response.output_item.done"]
    assert whole["output"] == items and whole["usage"]["total_tokens"] == 29
    assert found[0][1]["response"]["status"] == "in_progress" and found[0][1]["response"]["usage"] is None
    for name, data in found:
        if "item_id" in data:
            assert data["item_id"] == items[data["output_index"]]["id"], name
    arguments = [data for name, data in found if name == "response.function_call_arguments.delta"]
    assert "".join(data["delta"] for data in arguments if data["output_index"] == 2) == '{"city": "Paris"}'


@pytest.mark.parametrize("reason", ["length", "model_length"])
async def test_an_answer_that_was_cut(reason: Any) -> None:
    model = PlayedModel((*START, TextDelta("half"), ChoiceFinished(reason), DONE))
    body = (await post(model)).json()
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert body["output"][-1]["status"] == "incomplete" and body["completed_at"] is None
    name, data = events((await post(model, stream=True)).text)[-1]
    assert name == "response.incomplete" and json.loads(data)["response"]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineCrashed("signal 9"), "server_error"),
        (EngineBusy(2), "rate_limit_exceeded"),
        (SchemaNotSatisfied("no", "{", 1), "invalid_prompt"),
    ],
)
async def test_a_stream_that_fails(error: Exception, code: str) -> None:
    found = events((await post(PlayedModel((*START, TextDelta("half"), error)), stream=True)).text)
    assert found[-1][0] == "response.failed"
    response = json.loads(found[-1][1])["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", code)
    assert response["error"]["message"] == str(error)
    assert (response["output"][0]["content"][0]["text"], response["output"][0]["status"]) == ("half", "incomplete")


async def test_logprobs() -> None:
    entry = Logprob("Hi", 5, b"Hi", -0.5, (Logprob("Hi", 5, b"Hi", -0.5),))
    model = PlayedModel((*START, TextDelta("Hi", logprobs=(entry,)), ChoiceFinished("stop"), DONE))
    body = (await post(model, include=["message.output_text.logprobs"], top_logprobs=1)).json()
    shown = body["output"][0]["content"][0]["logprobs"]
    assert [(each["token"], each["logprob"], len(each["top_logprobs"])) for each in shown] == [("Hi", -0.5, 1)]
    request = model.requests[0]
    assert isinstance(request, ChatRequest) and request.options.logprobs == 1
    assert translated(top_logprobs=0).options.logprobs is None
    assert translated(include=["reasoning.encrypted_content"]).options.logprobs is None


def test_the_options() -> None:
    request = translated(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=7,
        reasoning={"effort": "low", "summary": "auto"},
        parallel_tool_calls=False,
        store=True,
        truncation="disabled",
        background=False,
        previous_response_id=None,
        stream=True,
    )
    options = request.options
    assert (options.temperature, options.top_p, options.max_tokens) == (0.5, 0.9, 7)
    assert (options.reasoning_effort, request.parallel_tool_calls, request.live) == ("low", False, True)


def test_formats() -> None:
    assert translated(text={"format": {"type": "text"}, "verbosity": "low"}).constraint is None
    constraint = translated(text={"format": {"type": "json_object"}}).constraint
    assert constraint is not None and constraint.kind == "json_object"
    schema = {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}
    constraint = translated(text={"format": schema}).constraint
    assert constraint is not None and (constraint.schema, constraint.strict) == (SCHEMA, True)


def test_a_history_of_items() -> None:
    items = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Zürich"}'},
        {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Sun."},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "Rain."}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "So."}], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "call_3", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_3", "output": "Noon."},
        {"role": "developer", "content": "Be quick."},
    ]
    messages = translated(input=items, instructions="Be terse.").messages
    assert [message.role for message in messages] == [
        *("system", "developer", "user", "assistant", "tool", "tool", "assistant", "tool", "user"),
    ]
    assistant = messages[3]
    assert assistant.content == (
        ThinkingChunk(type="thinking", thinking=(TextChunk(text="Hm."),)),
        TextChunk(text="I look."),
    )
    assert [call.id for call in assistant.tool_calls or ()] == ["call_1", "call_2"]
    assert [(message.tool_call_id, message.content) for message in messages if message.role == "tool"] == [
        ("call_1", "Sun."),
        ("call_2", "Rain."),
        ("call_3", "Noon."),
    ]
    assert messages[6].content == (ThinkingChunk(type="thinking", thinking=(TextChunk(text="So."),)),)
    assert translated(input="hi", instructions="x").messages == (
        Message(role="system", content="x"),
        Message(role="user", content="hi"),
    )


def test_tools() -> None:
    request = translated(
        tools=[TOOL, {"type": "web_search"}, {"type": "custom", "name": "patch"}],
        tool_choice={"type": "function", "name": "weather"},
    )
    assert [tool.function.name for tool in request.tools] == ["weather"]
    assert isinstance(request.tool_choice, NamedTool) and request.tool_choice.function.name == "weather"
    other = {**TOOL, "name": "other"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}
    request = translated(tools=[TOOL, other], tool_choice=allowed)
    assert [tool.function.name for tool in request.tools] == ["other"] and request.tool_choice == "required"


@pytest.mark.parametrize(
    ("allowed", "param", "said"),
    [
        ({"type": "function", "name": "storm"}, "tool_choice.tools.0", "'storm', which is not among the tools"),
        ({"type": "function", "name": "weather", "namespace": "x"}, "tool_choice.tools.0", "'x__weather'"),
        ({"type": "function"}, "tool_choice.tools.0", "An allowed function needs its name"),
        ({"type": "function", "name": [1]}, "tool_choice.tools.0.name", "Input should be a valid string"),
        (5, "tool_choice.tools.0", "Input should be an object"),
        ({"type": "mcp", "server_label": "x"}, "tools", "'mcp'"),
    ],
)
async def test_allowed_tools_are_tools_of_the_request(allowed: Any, param: str, said: str) -> None:
    choice = {"type": "allowed_tools", "tools": [allowed]}
    response = await post(PlayedModel(()), input="hi", tools=[TOOL], tool_choice=choice)
    reply = response.json()
    assert (response.status_code, reply["param"]) == (422, param) and said in reply["message"], reply


SPACE = {"type": "namespace", "name": "mcp__maps", "description": "Maps.", "tools": [{**TOOL, "name": "find"}]}
PLACES = {"type": "function_call", "call_id": "c", "name": "find", "namespace": "mcp__maps", "arguments": "{}"}


async def test_tools_in_a_namespace_are_called_by_it() -> None:
    call = ToolCallDelta(0, "abcdefghi", "mcp__maps__find", "{}")
    model = PlayedModel((*START, call, ChoiceFinished("tool_calls"), DONE))
    body = (await post(model, input=[PLACES], tools=[SPACE, TOOL])).json()
    (item,) = body["output"]
    assert (item["namespace"], item["name"]) == ("mcp__maps", "find") and body["tools"][0] == SPACE
    request = model.requests[0]
    assert isinstance(request, ChatRequest)
    assert [tool.function.name for tool in request.tools] == ["mcp__maps__find", "weather"]
    assert [call.function.name for call in request.messages[0].tool_calls or ()] == ["mcp__maps__find"]
    added = [
        json.loads(data)["item"]
        for name, data in events((await post(model, tools=[SPACE], stream=True)).text)
        if name.startswith("response.output_item")
    ]
    assert [(item["namespace"], item["name"]) for item in added] == [("mcp__maps", "find")] * 2


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}


def test_images_stay_where_they_stand() -> None:
    text = {"type": "input_text", "text": "a"}
    output = {"type": "function_call_output", "call_id": "x", "output": [text, IMAGE]}
    asked, told = translated(input=[{"role": "user", "content": [IMAGE, text, IMAGE]}, output]).messages
    images = [LinkedImage(url="data:image/png;base64,AA==", at=f"input.0.content.{at}") for at in (0, 2)]
    assert asked.content == (images[0], TextChunk(text="a"), images[1])
    assert told.content == (TextChunk(text="a"), images[0].model_copy(update={"at": "input.1.output.1"}))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": [{"role": "assistant", "content": [IMAGE]}]}, "input.0.content.0"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input.0.content.0"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input.0.content.0"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.type"),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]}, "input.0.output.0"),
        ({"input": [{"content": "x"}]}, "input.0.role"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [{"type": "custom", "name": "patch"}]}, "tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        translated(**fields)
    assert caught.value.param == param


async def test_errors_name_the_fields_of_this_api() -> None:
    server = answering([tuple(b"x"), FinishReason.STOP])
    for body, status, param in (
        ({"max_output_tokens": 0}, 422, "max_output_tokens"),
        ({"input": ""}, 400, "input"),
        ({"input": "x" * 5000}, 400, "input"),
        ({"previous_response_id": "resp_1"}, 422, "previous_response_id"),
    ):
        response = await server.post(PATH, **{"input": "hi"} | body)
        assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_a_response_repeats_the_models_defaults() -> None:
    body = (await post(PlayedModel(SAID))).json()
    assert (body["temperature"], body["top_p"], body["text"]) == (0.7, 1.0, {"format": {"type": "text"}})
    assert body["output"][0]["content"][0]["text"] == "Hi there."
