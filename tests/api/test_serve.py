"""`ggufrun serve` on the demo model: shapes, features on and off, errors, crashes, a client that leaves."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.api.served import Served, served, text_of

pytestmark = pytest.mark.model

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "product_name": {"type": "string", "maxLength": 30},
        "severity": {"enum": ["low_severity", "high_severity"]},
        "breaking": {"type": "boolean"},
    },
    "required": ["product_name", "severity", "breaking"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "note", "schema": SCHEMA}}
SYSTEM = " ".join(f"Rule {i}: answer politely, cite paragraph {i * 7 % 101} and never mention it." for i in range(30))


@pytest.fixture(scope="module")
def server(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served("demo", tmp_path_factory.mktemp("home"), "--context", "4096") as running:
        yield running


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_health_and_models(server: Served) -> None:
    assert server.client.get("/health").json() == {"status": "ok"}
    card = server.client.get("/v1/models").json()["data"][0]
    assert card["id"] == "demo" and card["type"] == "base" and card["max_context_length"] == 4096


def test_an_answer_has_what_both_dialects_need(server: Served) -> None:
    body = server.chat("What is the capital of France?", max_tokens=20).json()
    assert body["choices"][0]["message"]["content"].strip()
    assert body["object"] == "chat.completion" and len(body["id"]) == 32
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] <= usage["prompt_tokens"] + 20
    assert body["timings"]["model_steps"] >= usage["completion_tokens"] - body["timings"]["accepted_tokens"]


def test_a_stream_adds_up_to_the_answer(server: Served) -> None:
    whole = server.chat("Name three colours.", max_tokens=6).json()
    chunks = list(server.stream(user("Name three colours."), max_tokens=6))
    assert text_of(chunks) == whole["choices"][0]["message"]["content"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert all("finish_reason" in choice for chunk in chunks for choice in chunk["choices"])
    last = chunks[-1]
    assert last["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert last["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    with_usage = list(server.stream(user("Hi"), max_tokens=3, stream_options={"include_usage": True}))
    assert with_usage[-1]["choices"] == [] and with_usage[-1]["usage"]["completion_tokens"] == 3


def test_json_schema_jumps_forward(server: Served) -> None:
    body = server.chat("Write a release note as JSON.", response_format=FORMAT, max_tokens=100).json()
    jsonschema.validate(json.loads(body["choices"][0]["message"]["content"]), SCHEMA)
    assert body["timings"]["forced_tokens"] > 10
    assert body["timings"]["model_steps"] <= body["usage"]["completion_tokens"] - body["timings"]["forced_tokens"] + 2


def test_json_that_meets_its_limit_is_closed(server: Served) -> None:
    free = server.chat("Write a long JSON object.", response_format={"type": "json_object"}, max_tokens=25).json()
    assert isinstance(json.loads(free["choices"][0]["message"]["content"]), dict)
    tight = server.chat("Write a note.", response_format=FORMAT, max_tokens=26).json()
    jsonschema.validate(json.loads(tight["choices"][0]["message"]["content"]), SCHEMA)
    small = server.chat("Write a note.", response_format=FORMAT, max_tokens=5)
    assert small.status_code == 422 and "max_tokens" in small.json()["message"]


def test_stop_strings_penalties_logprobs_and_n(server: Served) -> None:
    counted = server.chat("Count: one two three four five six", max_tokens=60).json()["choices"][0]["message"][
        "content"
    ]
    word = counted.split()[3]
    body = server.chat("Count: one two three four five six", max_tokens=60, stop=[word]).json()["choices"][0]
    assert body["message"]["content"] == counted[: counted.index(word)] and body["finish_reason"] == "stop"
    asked = {"max_tokens": 4, "n": 2, "temperature": 1, "seed": 3}
    body = server.chat("Say a word.", logprobs=True, top_logprobs=3, **asked).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    for choice in body["choices"]:
        entries = choice["logprobs"]["content"]
        assert all(len(e["top_logprobs"]) == 3 and e["logprob"] <= 0 and bytes(e["bytes"]) for e in entries)
    alone = server.chat("Say a word.", **(asked | {"n": 1})).json()
    assert len(alone["choices"]) == 1 and alone["usage"]["completion_tokens"] <= 4


def test_tools_are_called_when_they_must_be(server: Served) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    body = server.chat("Weather in Paris?", tools=tools, tool_choice="any", parallel_tool_calls=False).json()
    call = body["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["name"] == "get_weather" and len(call["id"]) == 9
    assert set(json.loads(call["function"]["arguments"])) == {"city"}
    assert body["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"messages": []}, 400, "empty"),
        ({"messages": user("hi"), "temperature": 3}, 422, "temperature"),
        ({"messages": user("word " * 5000)}, 400, "4096"),
        ({"messages": user("hi"), "max_tokens": 0}, 422, "max_tokens"),
        ({"messages": [{"role": "nobody", "content": "hi"}]}, 422, "role"),
        ({"messages": user("hi"), "response_format": {"type": "json_schema"}}, 422, "json_schema"),
        ({"messages": user("hi"), "response_format": {"type": "regex", "source": "("}}, 422, ""),
    ],
)
def test_bad_requests_are_refused_before_headers(server: Served, body: dict[str, Any], status: int, said: str) -> None:
    for stream in (False, True):
        response = server.client.post("/v1/chat/completions", json=body | {"stream": stream})
        assert response.status_code == status, response.text
        error = response.json()
        assert error["object"] == "error" and said in error["message"] and "\n" not in error["message"]
        assert error["error"]["message"] == error["message"]
        assert isinstance(error.get("detail", []), list) and ("detail" in error) == (status == 422)


def test_a_schema_that_cannot_be_enforced_is_refused_with_its_pointer(server: Served) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    response = server.chat("hi", response_format=wanted)
    assert response.status_code == 422 and "/properties/a/uniqueItems" in response.json()["message"]


def test_unknown_paths_answer_in_the_envelope(server: Served) -> None:
    response = server.client.get("/v1/nothing")
    assert response.status_code == 404 and response.json()["object"] == "error"


def test_a_client_that_leaves_stops_its_generation(server: Served) -> None:
    cpu = server.worker().cpu_times

    def idle() -> bool:
        before = cpu().user
        time.sleep(1.0)
        return cpu().user - before < 0.2

    for stream in (True, False):
        body = {"messages": user("Tell me a very long story."), "stream": stream, "max_tokens": 3000, "temperature": 0}
        with (
            httpx.Client(base_url=server.client.base_url, timeout=1.5) as client,
            pytest.raises((httpx.ReadTimeout, StopIteration)),
            client.stream("POST", "/v1/chat/completions", json=body) as response,
        ):
            lines = response.iter_lines()
            for _ in range(6):
                next(lines)
            raise StopIteration
        assert any(idle() for _ in range(8)), "the worker goes on computing for a client that has left"


def test_a_killed_worker_ends_its_streams_and_the_next_request_is_served(server: Served) -> None:
    worker = server.worker()
    chunks: list[dict[str, Any]] = []
    body = {"messages": user("Tell me a very long story."), "stream": True, "max_tokens": 3000, "temperature": 0}
    with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                chunks.append(json.loads(line[6:]))
                if len(chunks) == 3:
                    worker.kill()
    assert chunks[-1]["choices"][0]["finish_reason"] == "error" and "ended" in chunks[-1]["error"]["message"]
    deadline = time.monotonic() + 60
    while (answer := server.chat("Name a colour.", max_tokens=12)).status_code != 200:
        assert answer.status_code == 503 and time.monotonic() < deadline
        time.sleep(0.2)
    assert answer.json()["usage"]["completion_tokens"] > 0


def test_switched_off_features_do_nothing(demo_path: Path, tmp_path: Path) -> None:
    off = ("--no-drafting", "--no-jump-forward", "--no-share-prefixes", "--no-disk-cache")
    with served(demo_path, tmp_path, "--context", "2048", *off) as plain:
        code = "def f(x):\n    return x + 1\n" * 6
        for _ in range(2):
            answers = [
                plain.chat(f"Repeat exactly:\n{code}", max_tokens=40).json(),
                plain.chat("Write a note.", response_format=FORMAT, max_tokens=60).json(),
            ]
        for answer in answers:
            counts = answer["timings"]
            names = ("cached", "restored", "forced", "drafted", "accepted")
            assert [counts[f"{name}_tokens"] for name in names] == [0] * 5
            assert counts["model_steps"] >= answer["usage"]["completion_tokens"]


def test_copying_is_drafted(server: Served) -> None:
    code = "\n".join(f"def handler_{i}(request):\n    return request.get('field_{i}')" for i in range(6))
    body = server.chat(f"Repeat this code exactly:\n```python\n{code}\n```", max_tokens=150).json()
    assert body["timings"]["accepted_tokens"] > 20
    assert body["timings"]["model_steps"] < body["usage"]["completion_tokens"]


def test_a_long_prompt_is_restored_after_a_restart(demo_path: Path, tmp_path: Path) -> None:
    messages = [{"role": "system", "content": SYSTEM}, *user("Say hello.")]
    said = []
    for _ in range(2):
        with served("demo", tmp_path, "--context", "2048") as running:
            chunks = list(running.stream(messages, max_tokens=10))
            said.append((text_of(chunks), chunks[-1]["timings"]))
        assert running.process.returncode == 0  # SIGTERM: the prefix was saved before the end
    assert said[0][1]["restored_tokens"] == 0
    assert said[1][1]["restored_tokens"] >= chunks[-1]["usage"]["prompt_tokens"] - 1
