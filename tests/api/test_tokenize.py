"""POST /v1/tokenize: the count is the one that a chat reports."""

from typing import Any

import pytest

from ggufrun.engine.types import FinishReason
from tests.api.answering import answering

PATH = "/v1/tokenize"
HELLO = [{"role": "user", "content": "hello"}]


async def test_messages_count_as_in_chat() -> None:
    server = answering([(97,), FinishReason.STOP])
    body = {"messages": HELLO, "temperature": 0.5, "max_tokens": 7}
    counted = (await server.post(PATH, **body)).json()
    assert counted == {"tokens": list(b"hello"), "count": 5, "model": "fake"}
    usage = (await server.post("/v1/chat/completions", **body)).json()["usage"]
    assert counted["count"] == usage["prompt_tokens"]
    assert len(server.service.requests) == 1  # counting generates nothing


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"text": "a</s>"}, [*b"a</s>"]),
        ({"text": "a", "add_special": True}, [256, 97]),
        ({"text": "", "add_special": None, "messages": None}, []),
    ],
)
async def test_text(body: dict[str, Any], tokens: list[int]) -> None:
    server = answering([FinishReason.STOP])
    response = await server.post(PATH, **{name: value for name, value in body.items() if name != "messages"})
    assert response.json()["tokens"] == tokens


@pytest.mark.parametrize("body", [{}, {"messages": HELLO, "text": "a"}])
async def test_one_of_both_must_be_given(body: dict[str, Any]) -> None:
    assert (await answering([FinishReason.STOP]).post(PATH, **body)).status_code == 400


async def test_what_chat_refuses_is_refused() -> None:
    messages = [*HELLO, {"role": "assistant", "content": "hi"}]
    server = answering([FinishReason.STOP])
    response = await server.post(PATH, messages=messages)
    assert (response.status_code, response.json()["code"]) == (400, "3230")
    openai = await server.client.post(PATH, json={"messages": messages}, headers={"user-agent": "OpenAI/Python 3.54.0"})
    assert openai.status_code == 200
    assert (await server.post(PATH, text="a", model="other")).json()["error"]["code"] == "1500"
