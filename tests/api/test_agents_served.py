"""The agents' endpoints of a real server with a tiny Mistral model: counts, forced calls, schemas, beginnings."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.agents import SCHEMA
from tests.api.served import Served, served

HISTORY: list[Any] = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": ""},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Paris"}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "Sun."}]},
    {"role": "system", "content": "Be quick."},
]
MESSAGES: dict[str, Any] = {
    "system": [{"type": "text", "text": "You are terse."}],
    "messages": HISTORY,
    "tools": [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}],
}
ITEMS: dict[str, Any] = {
    "instructions": "You are terse.",
    "input": [
        {"role": "user", "content": "Weather?"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "toolu_01", "name": "weather", "arguments": '{"city": "Paris"}'},
        {"type": "function_call_output", "call_id": "toolu_01", "output": "Sun."},
        {"role": "developer", "content": "Be quick."},
    ],
    "tools": [{"type": "function", "name": "weather", "description": "The weather.", "parameters": SCHEMA}],
}


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--context", "2048", "--threads", "2", "--any-model")
    with served(tiny_model("mistral3-v13"), tmp_path_factory.mktemp("home"), *options) as running:
        yield running


def post(server: Served, path: str, body: dict[str, Any], **more: Any) -> Any:
    response = server.client.post(path, json={"model": "claude-sonnet-4-5"} | body | more)
    assert response.status_code == 200, response.text
    return response.json()


def test_counts_are_those_that_are_reported(server: Served) -> None:
    counted = post(server, "/v1/messages/count_tokens", MESSAGES)["input_tokens"]
    for _ in range(2):  # the second time, most of the prompt is cached
        usage = post(server, "/v1/messages", MESSAGES, max_tokens=2)["usage"]
        assert usage["input_tokens"] + usage["cache_read_input_tokens"] == counted
    assert usage["cache_read_input_tokens"] > 0
    assert post(server, "/v1/responses/input_tokens", ITEMS)["input_tokens"] == counted  # the same conversation
    assert post(server, "/v1/responses", ITEMS, max_output_tokens=2)["usage"]["input_tokens"] == counted


def test_a_forced_call_is_valid(server: Served) -> None:
    answer = post(server, "/v1/messages", MESSAGES, tool_choice={"type": "any"}, max_tokens=60)
    (call,) = [block for block in answer["content"] if block["type"] == "tool_use"][:1]
    assert call["name"] == "weather" and isinstance(call["input"]["city"], str)
    response = post(server, "/v1/responses", ITEMS, tool_choice="required", max_output_tokens=60)
    (item,) = [item for item in response["output"] if item["type"] == "function_call"][:1]
    assert isinstance(json.loads(item["arguments"])["city"], str)


def test_a_schema_holds(server: Served) -> None:
    format = {"type": "json_schema", "schema": SCHEMA}
    question = {"messages": HISTORY[:1]}
    answer = post(server, "/v1/messages", question, output_config={"format": format}, max_tokens=40)
    assert isinstance(json.loads(answer["content"][0]["text"])["city"], str)
    text = {"format": format | {"name": "place", "strict": True}}
    response = post(server, "/v1/responses", {"input": "Where?"}, text=text, max_output_tokens=40)
    assert isinstance(json.loads(response["output"][0]["content"][0]["text"])["city"], str)


def test_a_beginning_is_not_said_again(server: Served) -> None:
    given = [*HISTORY[:1], {"role": "assistant", "content": "Well then"}]
    answer = post(server, "/v1/messages", {"messages": given}, max_tokens=5)
    assert not "".join(block.get("text", "") for block in answer["content"]).startswith("Well")
    counted = post(server, "/v1/messages/count_tokens", {"messages": given})["input_tokens"]
    usage = answer["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == counted
