"""Raw text, gaps and token counts with the real SDKs against a real server with a tiny Mistral model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mistralai.client import Mistral
from openai import BadRequestError, OpenAI

from tests.api.served import Served, served
from tests.chat.samples import CALL, RESULT, WEATHER

USER = {"role": "user", "content": "Weather?"}


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--context", "2048", "--threads", "2")
    with served(tiny_model("mistral3-v13"), tmp_path_factory.mktemp("home"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def mistral(server: Served) -> Iterator[Mistral]:
    with Mistral(api_key="local", server_url=str(server.client.base_url).rstrip("/")) as client:
        yield client


@pytest.fixture(scope="module")
def openai(server: Served) -> Iterator[OpenAI]:
    with OpenAI(api_key="local", base_url=f"{str(server.client.base_url).rstrip('/')}/v1", max_retries=0) as client:
        yield client


def name(server: Served) -> str:
    return str(server.client.get("/v1/models").json()["data"][0]["id"])


def test_mistrals_sdk_fills_a_gap(server: Served, mistral: Mistral) -> None:
    asked: dict[str, Any] = {"model": name(server), "prompt": "def f(", "suffix": "return a", "max_tokens": 6}
    whole = mistral.fim.complete(**asked, temperature=0, random_seed=1)
    assert (
        whole.usage.prompt_tokens
        == len(server.client.post("/v1/tokenize", json={"text": "def f("}).json()["tokens"]) + 5
    )
    message = whole.choices[0].message
    assert message is not None and whole.choices[0].finish_reason in ("stop", "length")
    with mistral.fim.stream(**asked, temperature=0, random_seed=1) as events:
        pieces = [event.data.choices[0].delta.content for event in events]
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == message.content


def test_openais_sdk_goes_on_from_text(server: Served, openai: OpenAI) -> None:
    model = name(server)
    whole = openai.completions.create(model=model, prompt="Once", max_tokens=6, temperature=0, echo=True)
    assert whole.choices[0].text.startswith("Once") and whole.object == "text_completion"
    stream = openai.completions.create(model=model, prompt="Once", max_tokens=6, temperature=0, echo=True, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text
    several = openai.completions.create(model=model, prompt=["Once", "Twice"], max_tokens=4, temperature=0, n=2)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    assert several.choices[0].text == several.choices[1].text
    assert whole.choices[0].text.startswith("Once" + several.choices[0].text)
    ids = server.client.post("/v1/tokenize", json={"text": "Once", "add_special": True}).json()["tokens"]
    by_ids = openai.completions.create(model=model, prompt=ids, max_tokens=6, temperature=0, echo=True)
    assert by_ids.choices[0].text == whole.choices[0].text
    scored = openai.completions.create(model=model, prompt="Once", max_tokens=4, temperature=0, logprobs=2)
    logprobs = scored.choices[0].logprobs
    assert logprobs is not None and logprobs.text_offset is not None and logprobs.top_logprobs is not None
    assert len(logprobs.text_offset) == len(logprobs.top_logprobs) == 4
    with pytest.raises(BadRequestError):
        openai.completions.create(model="other", prompt="Once")


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [USER]},
        {"messages": [USER], "tools": [WEATHER], "safe_prompt": True},
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT], "tools": [WEATHER]},
        {"messages": [USER], "prompt_mode": "reasoning"},
        {"messages": [USER, {"role": "assistant", "content": "It is ", "prefix": True}]},
    ],
)
def test_the_count_is_what_usage_says(server: Served, body: dict[str, Any]) -> None:
    counted = server.client.post("/v1/tokenize", json=body).json()
    answer = server.client.post("/v1/chat/completions", json={**body, "max_tokens": 1}).json()
    assert counted["count"] == len(counted["tokens"]) == answer["usage"]["prompt_tokens"]


def test_what_the_model_can_do_is_said(server: Served) -> None:
    able = server.client.get("/v1/models").json()["data"][0]["capabilities"]
    assert (able["completion_chat"], able["completion_fim"], able["reasoning"]) == (True, True, True)


def test_one_bad_tool_among_many_is_named(server: Served) -> None:
    bad = {"type": "function", "function": {"name": "bad", "parameters": {"type": "no type"}}}
    for choice in ("auto", "any"):
        body = {"messages": [USER], "tools": [WEATHER, bad], "tool_choice": choice}
        response = server.client.post("/v1/chat/completions", json=body)
        assert response.status_code in (400, 422)
        assert response.json()["param"] == "tools.1.function.parameters"


def test_the_document_has_the_routes(server: Served) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    for path in ("/v1/fim/completions", "/v1/completions", "/v1/tokenize"):
        operation = paths[path]["post"]
        assert operation["summary"] and {"200", "400", "422"} <= set(operation["responses"])
        assert "$ref" in operation["requestBody"]["content"]["application/json"]["schema"]
