"""Every field of a chat request: honoured, accepted and ignored, or refused, as the hosted API's table says."""

from dataclasses import replace
from typing import Any

import pytest

from ggufrun.api.app import create_app
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage.metrics import Metrics
from ggufrun.chat.types import ChatRequest, ChoiceFinished, Completed, NamedTool, Started, TextDelta
from ggufrun.engine.types import FinishReason, Stats
from ggufrun.pool.served import OneModel
from tests.api.scripted import PlayedModel, client_of
from tests.chat.local_model import model
from tests.fakes import FakeService

ANSWER = (Started(7, 100), TextDelta("ok"), ChoiceFinished("stop"), Completed(7, 1, (Stats(7, 1),), 0.1, 0.2, 8, 100))
USER = {"role": "user", "content": "hi"}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("a", "b")]


async def post(strict: bool = False, **body: Any) -> tuple[int, dict[str, Any], list[Any]]:
    played = PlayedModel(ANSWER)
    app = create_app(Gateway(OneModel(played), ServerSettings(strict=strict), Metrics()))
    async with client_of(app) as client:
        response = await client.post("/v1/chat/completions", json={"model": "played", "messages": [USER], **body})
    return response.status_code, response.json(), played.requests


async def asked(**body: Any) -> ChatRequest:
    status, reply, requests = await post(**body)
    assert status == 200, reply
    assert isinstance(requests[0], ChatRequest)
    return requests[0]


@pytest.mark.parametrize(
    ("body", "option", "value"),
    [
        ({"temperature": 1.5}, "temperature", 1.5),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_completion_tokens": 6}, "max_tokens", 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", 6),
        ({"min_tokens": 3}, "min_tokens", 3),
        ({"stop": "x"}, "stop", ("x",)),
        ({"stop": ["x", "y"]}, "stop", ("x", "y")),
        ({"random_seed": 4}, "seed", 4),
        ({"seed": 5}, "seed", 5),
        ({"seed": 5, "random_seed": 4}, "seed", 4),
        ({"presence_penalty": 0.5}, "presence_penalty", 0.5),
        ({"frequency_penalty": -0.5}, "frequency_penalty", -0.5),
        ({"repetition_penalty": 1.1}, "repetition_penalty", 1.1),
        ({"top_k": 7}, "top_k", 7),
        ({"n": 2}, "n", 2),
        ({"logprobs": True, "top_logprobs": 3}, "logprobs", 3),
        ({"logprobs": True}, "logprobs", 0),
        ({"logprobs": False, "top_logprobs": 0}, "logprobs", None),
        ({"logit_bias": {"5": -100}}, "logit_bias", ((5, -100.0),)),
        ({"reasoning_effort": "none"}, "reasoning_effort", "none"),
        ({"reasoning_effort": "max"}, "reasoning_effort", "max"),
    ],
)
async def test_options_are_honoured(body: dict[str, Any], option: str, value: object) -> None:
    assert getattr((await asked(**body)).options, option) == value


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"safe_prompt": True}, "safe_prompt", True),
        ({"prompt_mode": "reasoning"}, "prompt_mode", "reasoning"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", False),
        ({"tools": TOOLS, "tool_choice": "any"}, "tool_choice", "any"),
        ({"tools": TOOLS, "tool_choice": "required"}, "tool_choice", "required"),
        ({"tools": TOOLS, "tool_choice": "none"}, "tool_choice", "none"),
        ({"stream": False}, "live", False),
        ({"tools": []}, "tools", ()),
    ],
)
async def test_fields_are_honoured(body: dict[str, Any], field: str, value: object) -> None:
    assert getattr(await asked(**body), field) == value


async def test_a_named_tool_and_allowed_tools() -> None:
    named = await asked(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "b"}})
    assert isinstance(named.tool_choice, NamedTool) and named.tool_choice.function.name == "b"
    allowed: dict[str, Any] = {"mode": "required", "tools": [{"type": "function", "function": {"name": "a"}}]}
    some = await asked(tools=TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert some.tool_choice == "required" and [tool.function.name for tool in some.tools] == ["a"]


@pytest.mark.parametrize(
    ("allowed", "param", "said"),
    [
        ([{"function": {"name": "a"}}, {"function": {"name": "c"}}], "1", "tool_choice allows 'c'"),
        ([{"function": 5}], "0.function", "Input should be an object"),
        ([{"function": None}], "0.function", "Input should be an object"),
        ([{"function": {"name": [1]}}], "0.function.name", "Input should be a valid string"),
        ([{"name": "a"}], "0.function", "Field required"),
        ([{"type": "mcp", "function": {"name": "a"}}], "0.type", "Input should be 'function'"),
        ([5], "0", "Input should be an object"),
    ],
)
async def test_allowed_tools_are_tools_of_the_request(allowed: list[Any], param: str, said: str) -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}}
    status, reply, requests = await post(tools=TOOLS, tool_choice=choice)
    assert status == 422 and not requests and said in reply["message"], reply
    assert reply["param"] == f"tool_choice.allowed_tools.tools.{param}"


@pytest.mark.parametrize(
    "body",
    [
        {"prediction": {"type": "content", "content": "x"}},
        {"prediction": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
        {"metadata": {"a": 1}},
        {"prompt_cache_key": "k"},
        {"service_tier": "auto"},
        {"service_tier": "priority"},
        {"guardrails": []},
        {"prompt_logprobs": False},
        {"modalities": ["text"]},
        {"user": "u", "store": False, "verbosity": "low", "safety_identifier": "s", "prompt_cache_retention": "24h"},
        {"something_new": {"deep": [1]}},
        {"model": None},
        {"model": ""},
        dict.fromkeys(
            (
                *("temperature", "top_p", "max_tokens", "min_tokens", "stream", "stop", "random_seed", "n", "logprobs"),
                *("presence_penalty", "frequency_penalty", "repetition_penalty", "top_k", "top_logprobs", "tools"),
                *("response_format", "tool_choice", "parallel_tool_calls", "reasoning_effort", "prompt_mode"),
                *("safe_prompt", "prediction", "metadata", "prompt_cache_key", "service_tier", "guardrails", "seed"),
                *("prompt_logprobs", "top_prompt_logprobs", "max_completion_tokens", "stream_options", "logit_bias"),
                *("modalities", "audio", "web_search_options", "functions", "function_call", "min_p"),
            )
        ),
    ],
)
async def test_what_changes_nothing_is_accepted(body: dict[str, Any]) -> None:
    assert replace(await asked(**body), strict_order=True) == await asked()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt_logprobs": True}, "prompt_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"top_logprobs": 2, "logprobs": False}, "top_logprobs"),
        ({"top_prompt_logprobs": 2}, "top_prompt_logprobs"),
        ({"guardrails": [{"block_on_error": True}]}, "guardrails"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"web_search_options": {"x": 1}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [*TOOLS, {"type": "web_search"}]}, "tools.2.type"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom", "custom": {}}}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "UNKNOWN", "raw": {}}]}]}, "messages.0.content.0"),
        ({"messages": [USER, {"role": "user", "content": [{"type": "document_url", "document_url": "x"}]}]},
         "messages.1.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:,"}]}]},
         "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": "x"}]}]},
         "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_refused_and_named(body: dict[str, Any], param: str) -> None:
    status, reply, requests = await post(**body)
    assert status == 422 and not requests, reply
    assert reply["param"] == reply["error"]["param"] == param
    assert [str(part) for part in reply["detail"][0]["loc"]][1:] == param.split(".")
    assert reply["detail"][0]["msg"] and reply["message"]


async def test_parts_of_a_message_become_its_text() -> None:
    parts = [
        {"text": "a "}, {"type": "text", "text": "b "}, {"type": "reference", "reference_ids": [1]},
        {"type": "refusal", "refusal": "c"},
        {"type": "resource", "resource": {"uri": "x", "content": {"type": "text", "text": "d"}}},
    ]  # fmt: skip
    request = await asked(messages=[{"role": "user", "content": parts}])
    content = request.messages[0].content
    assert isinstance(content, tuple)
    assert [chunk.text for chunk in content if chunk.type == "text"] == ["a ", "b ", "c", "d"]


async def test_histories_of_both_dialects_are_read() -> None:
    history = [
        {"role": "developer", "content": "s"},
        {"role": "user", "content": "u", "name": "me"},
        {"role": "assistant", "content": None, "refusal": "no", "annotations": [], "audio": None},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "tool_call_id": "x", "content": "2"},
    ]
    read = (await asked(messages=history)).messages
    assert [message.role for message in read] == [
        "developer", "user", "assistant", "user", "assistant", "tool", "assistant", "tool",
    ]  # fmt: skip
    assert read[1].name is None and read[2].content == "no" and read[5].name == "f"
    assert read[4].tool_calls is not None and read[4].tool_calls[0].function.name == "f"
    assert read[6].tool_calls is not None and read[6].tool_calls[0].function.arguments == {"a": 1}


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"something_new": 1}, ["something_new"]),
        ({"max_completion_tokens": 5}, ["max_completion_tokens"]),
        ({"seed": 5}, ["seed"]),
        ({"messages": [{**USER, "mood": "bad"}]}, ["messages", 0, "mood"]),
        ({"response_format": {"type": "text", "colour": 1}}, ["response_format", "colour"]),
    ],
)
async def test_strict_refuses_what_the_hosted_api_does_not_know(body: dict[str, Any], loc: list[str | int]) -> None:
    status, reply, requests = await post(strict=True, **body)
    assert status == 422 and not requests
    assert reply["detail"][0] == {
        "type": "extra_forbidden", "loc": ["body", *loc], "msg": "Extra inputs are not permitted",
    }  # fmt: skip
    assert (await post(**body))[0] == 200


@pytest.mark.parametrize(
    ("message", "field", "kind"),
    [
        ({"role": "developer", "content": "x"}, "role", "literal_error"),
        ({"role": "function", "content": "x", "name": "f"}, "role", "literal_error"),
        ({**USER, "name": "me"}, "name", "extra_forbidden"),
        ({"role": "assistant", "refusal": "no"}, "refusal", "extra_forbidden"),
        ({"role": "assistant", "content": "x", "reasoning_content": "y"}, "reasoning_content", "extra_forbidden"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "function_call", "extra_forbidden"),
    ],
)
async def test_strict_refuses_openais_messages(message: dict[str, Any], field: str, kind: str) -> None:
    status, reply, requests = await post(strict=True, messages=[USER, message])
    assert status == 422 and not requests, reply
    assert (reply["param"], reply["detail"][0]["type"]) == (f"messages.1.{field}", kind)
    assert (await post(messages=[USER, message]))[0] == 200


async def test_strict_wants_the_answer_to_fit() -> None:
    for path, body in (("/v1/chat/completions", {"messages": [USER]}), ("/v1/fim/completions", {"prompt": "hi"})):
        for strict, most, status in ((True, 4096, 422), (True, 10, 200), (True, None, 200), (False, 4096, 200)):
            answering = model(FakeService([tuple(b"ok"), FinishReason.STOP]), supports_fim=True)
            gateway = Gateway(OneModel(answering), ServerSettings(strict=strict), Metrics())
            async with client_of(create_app(gateway)) as client:
                response = await client.post(path, json={**body, "max_tokens": most})
            assert response.status_code == status, response.text
            if status == 422:
                assert response.json()["param"] == "max_tokens" and "the context holds 4096" in response.text


async def test_strict_takes_all_that_mistrals_sdk_sends() -> None:
    body = {"temperature": None, "stream": False, "tool_choice": None, "random_seed": 1, "safe_prompt": False}
    message = {"role": "assistant", "content": "x", "prefix": True, "tool_calls": None}
    assert (await post(strict=True, messages=[USER, message], **body))[0] == 200
    status, reply, _ = await post(strict=True, temperature=1.7)
    assert status == 422 and reply["param"] == "temperature"


async def test_unknown_models_and_any_model() -> None:
    status, reply, _ = await post(model="gpt-9")
    assert (status, reply["code"], reply["type"]) == (400, "1500", "invalid_model") and "played" in reply["message"]
    played = PlayedModel(ANSWER)
    app = create_app(Gateway(OneModel(played), ServerSettings(any_model=True), Metrics()))
    async with client_of(app) as client:
        response = await client.post("/v1/chat/completions", json={"model": "gpt-9", "messages": [USER]})
        alias = await client.post("/v1/v1/chat/completions", json={"messages": [USER]})
    assert response.status_code == alias.status_code == 200 and response.json()["model"] == "played"
