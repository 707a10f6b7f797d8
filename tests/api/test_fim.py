"""POST /v1/fim/completions: chat's shapes around a gap."""

from typing import Any

import pytest

from ggufrun.engine.types import FinishReason
from tests.api.answering import answering

PATH = "/v1/fim/completions"
STOP = FinishReason.STOP


async def test_shapes_are_those_of_chat() -> None:
    server = answering([tuple(b"x, y"), STOP], supports_fim=True)
    fields: dict[str, Any] = {"temperature": 0, "max_tokens": 9, "min_tokens": 1, "random_seed": 3, "stop": ["\n\n"]}
    body = (await server.post(PATH, model="fake", prompt="f(", suffix=")", **fields, metadata={"a": 1})).json()
    assert body["object"] == "chat.completion"
    message = {"role": "assistant", "content": "x, y", "tool_calls": None, "prefix": False}
    assert body["choices"] == [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
    assert body["usage"]["total_tokens"] == 10
    request = server.service.requests[0]
    assert (request.prompt, request.max_tokens, request.min_tokens) == (tuple(b"<f(|)>"), 9, 1)
    assert request.sampling.seed == 3
    chunks = await server.chunks(PATH, prompt="f(", suffix=")")
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "x, y"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop" and chunks[-1]["usage"]["total_tokens"] == 10


@pytest.mark.parametrize("suffix", [{}, {"suffix": None}, {"suffix": ""}])
async def test_there_may_be_nothing_behind_the_gap(suffix: dict[str, Any]) -> None:
    server = answering([(97,), STOP], supports_fim=True)
    assert (await server.post(PATH, prompt="f(", **suffix)).status_code == 200
    assert server.service.requests[0].prompt == tuple(b"<f(|>")


@pytest.mark.parametrize("body", [{"suffix": ")"}, {}, {"suffix": ")", "stream": True}])
async def test_a_model_that_cannot_is_a_400(body: dict[str, Any]) -> None:
    response = await answering([STOP]).post(PATH, prompt="f(", **body)
    assert response.status_code == 400
    assert "cannot fill in the middle" in response.json()["error"]["message"]


async def test_the_prompt_is_needed() -> None:
    response = await answering([STOP], supports_fim=True).post(PATH, suffix=")")
    assert response.status_code == 422 and response.json()["detail"][0]["loc"] == ["body", "prompt"]
