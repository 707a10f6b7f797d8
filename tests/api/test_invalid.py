"""Bodies that cannot be read or are of the wrong shape: one 422, in the words of the body, never a long one."""

import json
from typing import Any

import httpx
import pytest

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.errors import error_body
from ggufrun.errors import SchemaError
from tests.api.scripted import PlayedModel, client_of
from tests.api.test_fields import ANSWER, TOOLS, USER

CHAT = "/v1/chat/completions"
TEXT_OR_LIST = "Input should be a valid string, or a list"
JSON = "application/json"


async def send(content: bytes, content_type: str | None = JSON, path: str = CHAT) -> httpx.Response:
    async with client_of(create_app(gateway_for(PlayedModel(ANSWER)))) as client:
        headers = {} if content_type is None else {"content-type": content_type}
        return await client.post(path, content=content, headers=headers)


async def refused(body: Any, path: str = CHAT) -> dict[str, Any]:
    response = await send(json.dumps(body).encode(), path=path)
    assert response.status_code == 422, response.text
    reply: dict[str, Any] = response.json()
    return reply


def chat(**more: Any) -> dict[str, Any]:
    return {"messages": [USER], **more}


def said(**message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", **message}]}


@pytest.mark.parametrize(
    ("path", "body", "param", "message"),
    [
        (CHAT, chat(stop=5), "stop", "Input should be a text or a list of texts"),
        (CHAT, chat(stop=["a", 5]), "stop.1", "Input should be a valid string"),
        (CHAT, chat(tool_choice=5), "tool_choice", "Input should be 'auto', 'none', 'any' or 'required', or an object"),
        (CHAT, chat(tool_choice="most"), "tool_choice", "Input should be 'auto', 'none', 'any' or 'required'"),
        (CHAT, chat(tool_choice={"type": []}), "tool_choice.type", "Input should be a valid string"),
        (CHAT, chat(logit_bias={"abc": 1}), "logit_bias.abc", "Input should be a valid integer"),
        (CHAT, chat(logit_bias={"5": "much"}), "logit_bias.5", "Input should be a valid number"),
        (CHAT, said(content=5), "messages.0.content", TEXT_OR_LIST),
        (CHAT, said(content=[{"type": 4}]), "messages.0.content.0.type", "Input should be a valid string"),
        (CHAT, said(content=[{}, {"type": "image_url", "image_url": 4}]), "messages.0.content.1.image_url",
         "Input should be a valid string, or an object"),
        (CHAT, said(tool_calls=[{"id": "1"}]), "messages.0.tool_calls.0.function", "Field required"),
        (CHAT, {"messages": [5]}, "messages.0", "Input should be an object"),
        (CHAT, {"messages": "hi"}, "messages", "Input should be a list"),
        (CHAT, {}, "messages", "Field required"),
        (CHAT, {"messages": None}, "messages", "Input should be a list"),
        ("/v1/completions", {"prompt": [1, "a"]}, "prompt", "Input should be a text, a list of texts, or token ids"),
        ("/v1/completions", {"prompt": {}}, "prompt", "Input should be a text, a list of texts, or token ids"),
        ("/v1/embeddings", {"input": [1, "a"]}, "input", "Input should be a text, a list of texts, or token ids"),
        ("/v1/responses", {"input": 5}, "input", TEXT_OR_LIST),
        ("/v1/responses", {"input": [{"content": [{"type": 4}]}]}, "input.0.content.0.type",
         "Input should be a valid string"),
        ("/v1/schema/check", {"schema": 5}, "schema", "Input should be an object, or a valid boolean"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_as_it_stands_in_the_body(
    path: str, body: dict[str, Any], param: str, message: str
) -> None:
    reply = await refused(body, path)
    assert reply["param"] == param and reply["message"].startswith(f"{param}: {message}"), reply
    (detail,) = reply["detail"] if param != "logit_bias.5" else reply["detail"][:1]
    assert [str(part) for part in detail["loc"]] == ["body", *param.split(".")]


async def test_blocks_in_blocks_are_found() -> None:
    content = [{"type": "tool_result", "content": [{"type": "text", "text": 5}]}]
    reply = await refused({"messages": [{"role": "user", "content": content}]}, "/v1/messages")
    assert reply["error"]["message"] == "messages.0.content.0.content.0.text: Input should be a valid string"


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain", "nonsense", JSON])
async def test_a_body_is_json_whatever_it_is_called(content_type: str | None) -> None:
    response = await send(json.dumps(chat()).encode(), content_type)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a"\n 1}', "The body is not JSON (line 2, character 2: Expecting ':' delimiter)."),
        (b"{'a': 1}", "The body is not JSON (line 1, character 2: Expecting property name enclosed in double quotes)."),
        (b"messages=hi", "The body is not JSON (line 1, character 1: Expecting value)."),
        (b"[" * 100_000, "The body is not JSON that can be read: it is nested too deeply."),
        (b'{"n": ' + b"9" * 5000 + b"}", "The body is not JSON that can be read: a number in it is too long."),
        (b'{"a": "\xff"}', "The body is not JSON that can be read: byte 8 is not UTF-8."),
        (b"", "The body is empty: send a JSON object"),
        (b"[]", "The body should be a JSON object"),
        (b"null", "The body should be a JSON object"),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, "application/x-www-form-urlencoded"])
async def test_broken_json_is_a_422_that_says_where(content: bytes, message: str, content_type: str) -> None:
    response = await send(content, content_type)
    reply = response.json()
    assert (response.status_code, reply["message"], reply["param"]) == (422, message, None)
    assert reply["detail"][0]["loc"] == ["body"] and reply["detail"][0]["msg"] == message


def test_a_place_in_a_schema_may_be_long_too() -> None:
    pointer = "/0/function/parameters/properties/" + "x" * 100_000
    body = error_body(SchemaError("it is no schema.", pointer, f"tools{pointer.replace('/', '.')}"))
    assert len(json.dumps(body)) < 10_000 and body["param"].startswith("tools.0.function.parameters")
    assert body["detail"][0]["loc"][:4] == ["body", "tools", 0, "function"]


async def test_a_reply_is_never_as_long_as_its_request() -> None:
    long = "x" * 100_000
    for body in (
        {"messages": [5] * 20_000},
        chat(model=long),
        said(content=[{"type": long}]),
        chat(tools=[{"type": long}]),
        chat(tool_choice={"type": long}),
        chat(logit_bias={long: "1"}),
        chat(temperature=int("9" * 4000)),
        chat(tools=TOOLS, tool_choice={
            "type": "allowed_tools", "allowed_tools": {"tools": [{"function": {"name": long}}]}}),
    ):  # fmt: skip
        response = await send(json.dumps(body).encode())
        assert response.status_code in (400, 422) and len(response.content) < 10_000, response.text[:300]
        assert len(response.json().get("detail", ())) <= 20
    async with client_of(create_app(gateway_for(PlayedModel(ANSWER)))) as client:
        for path in (f"/v1/models/{long[:9000]}", f"/{long[:9000]}"):
            response = await client.get(path)
            assert response.status_code == 404 and len(response.content) < 2000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat()),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/fim/completions", {"prompt": "hi"}),
        ("/v1/messages", chat()),
        ("/v1/messages/count_tokens", chat()),
        ("/v1/responses", {"input": "hi"}),
        ("/v1/tokenize", chat()),
    ],
)
async def test_no_model_and_null_mean_the_only_one(path: str, body: dict[str, Any]) -> None:
    without, null = [await send(json.dumps(each).encode(), path=path) for each in (body, {**body, "model": None})]
    assert without.status_code == null.status_code == 200, null.text
