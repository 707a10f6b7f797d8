"""What differs between the dialects, and what a client sees of thinking, tool calls and ends."""

import json
from typing import Any

import httpx
import pytest

from ggufrun.api.calls.dialect import Dialect, dialect_of
from ggufrun.chat.types import (
    ChatEvent,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.engine.types import Stats
from tests.api.scripted import PlayedModel, listening

MISTRAL = {"user-agent": "mistral-client-python/3.7.0"}
OPENAI = {"user-agent": "OpenAI/Python 3.54.0"}
HELLO: dict[str, Any] = {"model": "played", "messages": [{"role": "user", "content": "hi"}]}
DONE = Completed(7, 5, (Stats(7, 5, generation_s=0.5),), 0.1, 0.6, 12, 100)
THOUGHT: tuple[ChatEvent, ...] = (
    Started(7, 100), ThinkingDelta("hm"), ThinkingDelta(" hm", closed=True), TextDelta("yes"), TextDelta("!"),
    ChoiceFinished("model_length"), DONE,
)  # fmt: skip
CALLED: tuple[ChatEvent, ...] = (
    Started(7, 100), ToolCallDelta(0, "abcdefghi", "look", ""), ToolCallDelta(0, "", "", '{"at": '),
    ToolCallDelta(0, "", "", '"x"}'), ToolCallDelta(1, "jklmnopqr", "look", "{}"), ChoiceFinished("tool_calls"), DONE,
)  # fmt: skip


async def ask(script: tuple[ChatEvent, ...], headers: dict[str, str], **body: Any) -> Any:
    async with listening(PlayedModel(script)) as client:
        response = await client.post("/v1/chat/completions", json=HELLO | body, headers=headers)
    assert response.status_code == 200, response.text
    return chunks_of(response) if body.get("stream") else response.json()


def chunks_of(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def thinking(text: str, *, closed: bool) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": closed}


async def test_mistrals_clients_read_thinking_as_parts_of_the_content() -> None:
    body = await ask(THOUGHT, MISTRAL)
    message = body["choices"][0]["message"]
    assert message["content"] == [thinking("hm hm", closed=True), {"type": "text", "text": "yes!"}]
    assert "reasoning_content" not in message and body["choices"][0]["finish_reason"] == "model_length"


async def test_a_stream_of_thinking_for_mistrals_clients() -> None:
    chunks = await ask(THOUGHT, MISTRAL, stream=True)
    assert [delta["content"] for delta in deltas(chunks)] == [
        [thinking("hm", closed=False)],
        [thinking(" hm", closed=True), {"type": "text", "text": "yes"}],
        "!",
        "",
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "model_length"


async def test_openais_clients_read_thinking_beside_the_content() -> None:
    choice = (await ask(THOUGHT, OPENAI))["choices"][0]
    assert choice["message"]["content"] == "yes!" and choice["message"]["reasoning_content"] == "hm hm"
    assert choice["finish_reason"] == "length"
    said = deltas(await ask(THOUGHT, OPENAI, stream=True))
    assert "".join(delta.get("reasoning_content", "") for delta in said) == "hm hm"
    assert "".join(delta.get("content", "") for delta in said) == "yes!"


async def test_a_thought_that_no_text_follows_is_closed() -> None:
    script = (Started(7, 100), ThinkingDelta("hm", closed=True), *CALLED[1:])
    said = deltas(await ask(script, MISTRAL, stream=True))
    assert said[0]["content"] == [thinking("hm", closed=True)] and said[1]["tool_calls"][0]["id"] == "abcdefghi"


async def test_a_thought_that_ends_the_answer_is_closed() -> None:
    script = (Started(7, 100), ThinkingDelta("hm"), ThinkingDelta("!", closed=True), ChoiceFinished("length"), DONE)
    said = deltas(await ask(script, MISTRAL, stream=True))
    assert [delta["content"] for delta in said] == [[thinking("hm", closed=False)], [thinking("!", closed=True)], ""]


async def test_tool_calls_come_as_fragments_that_both_dialects_read() -> None:
    chunks = await ask(CALLED, MISTRAL, stream=True)
    calls = [call for delta in deltas(chunks) for call in delta.get("tool_calls", ())]
    assert all("name" in call["function"] and "arguments" in call["function"] and "index" in call for call in calls)
    assert [call.get("id") for call in calls] == [*["abcdefghi"] * 3, "jklmnopqr"]
    assert calls[0]["type"] == "function" and calls[0]["function"] == {"name": "look", "arguments": ""}
    assert "".join(call["function"]["arguments"] for call in calls if call["index"] == 0) == '{"at": "x"}'
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_every_choice_of_every_chunk_has_a_finish_reason_and_the_last_one_the_usage() -> None:
    chunks = await ask(CALLED, MISTRAL, stream=True)
    assert all("finish_reason" in choice for chunk in chunks for choice in chunk["choices"])
    assert [("usage" in chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    extra = await ask(CALLED, OPENAI, stream=True, stream_options={"include_usage": True})
    assert extra[-1]["choices"] == [] and extra[-1]["usage"] == extra[-2]["usage"]


@pytest.mark.parametrize(
    ("headers", "body", "dialect"),
    [
        (MISTRAL, {"seed": 1}, "mistral"),
        ({"x-mistral-user-agent": "mistral-client-typescript/2.7.0", "user-agent": "Mozilla"}, {}, "mistral"),
        (OPENAI, {"random_seed": 1}, "openai"),
        ({"user-agent": "AsyncOpenAI/Python 3.54.0"}, {}, "openai"),
        ({"x-stainless-lang": "js", "user-agent": "Mozilla"}, {}, "openai"),
        ({"user-agent": "curl/8"}, {}, "mistral"),
        ({"user-agent": "curl/8"}, {"seed": 1}, "openai"),
        ({"user-agent": "curl/8"}, {"seed": 1, "random_seed": 2}, "mistral"),
        ({"user-agent": "curl/8"}, {"tool_choice": "any"}, "mistral"),
        (OPENAI | {"x-ggufrun-dialect": "Mistral"}, {}, "mistral"),
        ({"x-ggufrun-dialect": "klingon"}, {}, "mistral"),
    ],
)
def test_the_dialect_is_told_by_headers_then_by_fields(
    headers: dict[str, str], body: dict[str, Any], dialect: str
) -> None:
    assert dialect_of(headers, body) is Dialect(dialect)


async def test_an_openai_role_makes_an_openai_client() -> None:
    model = PlayedModel(THOUGHT)
    messages = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]
    async with listening(model) as client:
        response = await client.post("/v1/chat/completions", json={"messages": messages})
    assert response.json()["choices"][0]["message"]["content"] == "yes!"
    asked = model.requests[0]
    assert isinstance(asked, ChatRequest) and not asked.strict_order
