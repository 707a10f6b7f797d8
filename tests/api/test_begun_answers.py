"""`prefix: true` and the order of messages, over HTTP."""

from typing import Any

import pytest

from ggufrun.engine.types import FinishReason
from tests.api.answering import answering

PATH = "/v1/chat/completions"
BEGUN = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Dear ", "prefix": True}]


@pytest.mark.parametrize("choices", [1, 2])
async def test_streamed_or_not_the_answer_begins_with_the_prefix(choices: int) -> None:
    script = [tuple(b" f"), tuple(b"riend"), FinishReason.STOP]
    encoder: dict[str, Any] = {"prefix": "Dear ", "prefix_spaces": 1}
    whole = (await answering(script, **encoder).post(PATH, messages=BEGUN, n=choices)).json()
    chunks = await answering(script, **encoder).chunks(PATH, messages=BEGUN, n=choices)
    for index in range(choices):
        pieces = [c["delta"]["content"] for chunk in chunks for c in chunk["choices"] if c["index"] == index]
        assert "".join(pieces) == whole["choices"][index]["message"]["content"] == "Dear friend"
        assert pieces[0] == "Dear "


@pytest.mark.parametrize(("agent", "status"), [("mistral-client-python/3.7.0", 400), ("OpenAI/Python 3.54.0", 200)])
async def test_a_trailing_assistant_is_for_openais_clients(agent: str, status: int) -> None:
    messages = [BEGUN[0], {"role": "assistant", "content": "Dear "}]
    server = answering([(97,), FinishReason.STOP])
    response = await server.client.post(PATH, json={"messages": messages}, headers={"user-agent": agent})
    assert response.status_code == status
    if status == 400:
        error = response.json()
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_message_order", "3230", "messages")
        assert "Expected last role User or Tool (or Assistant with prefix True)" in error["message"]
        assert error["message"].count("for serving but got assistant") == 1
