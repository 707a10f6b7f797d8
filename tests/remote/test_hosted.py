"""A stand-in of the hosted API behind `ggufrun serve`: what is sent there, and what both SDKs get back"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from mistralai.client.errors import MistralError
from openai import APIError, APIStatusError, BadRequestError, RateLimitError

from tests.program import at_home, run_ggufrun
from tests.remote.front import CLOCK_TOOL, WEATHER_TOOL, Front, front, until, user
from tests.remote.hosted_api import KEY, Hosted, hosted_api
from tests.remote.hosted_scenes import BROKEN, LIMITED, LIMITED_LONG, NOTE, OVERLOADED, UNAUTHORIZED, WEATHER, Fault
from tests.remote.hosted_wire import NAME, Request

SETTINGS = """[remotes.hosted]
url = "{address}/v1"
kind = "mistral"
model = "mistral-medium-3.5"
key_env = "TEST_HOSTED_KEY"
timeout = 60
"""
MODEL = "hosted"
NOTE_FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "note",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "stars": {"type": "integer"}},
            "required": ["title", "stars"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def api() -> Iterator[Hosted]:
    with hosted_api() as hosted:
        yield hosted


@pytest.fixture(scope="module")
def server(api: Hosted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    home = tmp_path_factory.mktemp("hosted")
    with front(home, settings=SETTINGS.format(address=api.address), TEST_HOSTED_KEY=KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults_are_left(api: Hosted) -> Iterator[None]:
    yield
    assert not api.faults, "the test's faults were not asked for"


def test_it_is_one_of_the_models(server: Front, api: Hosted) -> None:
    (card,) = server.mistral().models.list().data
    assert card.id == MODEL and card.max_context_length == 262_144
    assert card.capabilities.vision and card.capabilities.function_calling and card.capabilities.reasoning


@pytest.mark.parametrize("stream", [False, True])
def test_text_usage_and_the_reason(server: Front, stream: bool) -> None:
    client = server.mistral()
    if stream:
        chunks = [event.data for event in client.chat.stream(model=MODEL, messages=user("hello"))]
        text = "".join(str(chunk.choices[0].delta.content or "") for chunk in chunks)
        usage, reason = chunks[-1].usage, chunks[-1].choices[0].finish_reason
    else:
        answer = client.chat.complete(model=MODEL, messages=user("hello"))
        text, usage, reason = answer.choices[0].message.content, answer.usage, answer.choices[0].finish_reason
    assert (text, reason) == ("Hello there!", "stop")
    assert usage is not None and (usage.prompt_tokens, usage.completion_tokens) == (4, 4)  # as the hosted API counts


def test_only_fields_that_it_knows_are_sent(server: Front, api: Hosted) -> None:
    """OpenAI's names, our own and vLLM's are 422 there. The strictest test is that the stand-in answers 200."""
    server.openai().chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "hello", "name": "ann"},
            {"role": "assistant", "content": "Yes?", "refusal": None},
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        ],
        max_completion_tokens=20, seed=7, temperature=0.5, top_p=0.9, stop=["\n\n"], frequency_penalty=0.1,
        presence_penalty=0.1, user="ann", store=False, parallel_tool_calls=True, metadata={"a": "b"},
        extra_body={"top_k": 5, "reasoning_effort": "none"},
    )  # fmt: skip
    sent = Request.model_validate(api.bodies[-1])
    assert (sent.model, sent.max_tokens, sent.random_seed, sent.top_k) == (NAME, 20, 7, 5)
    assert (sent.temperature, sent.top_p, sent.frequency_penalty) == (0.5, 0.9, 0.1)
    assert sent.stop in ("\n\n", ["\n\n"]) and sent.reasoning_effort == "none"
    assert [message.role for message in sent.messages] == ["system", "user", "assistant", "user"]


def test_thinking_comes_as_each_dialect_has_it(server: Front) -> None:
    answer = server.mistral().chat.complete(model=MODEL, messages=user("think"), reasoning_effort="high")
    thinking, text = answer.choices[0].message.content
    assert (thinking.type, thinking.thinking[0].text) == ("thinking", "Two and two.")
    assert text.text == "It is 4."
    message = server.openai().chat.completions.create(model=MODEL, messages=user("think")).choices[0].message
    assert (message.content, message.model_extra["reasoning_content"]) == ("It is 4.", "Two and two.")


@pytest.mark.parametrize("how", ["thinking in chunks", "thinking as a field"])
def test_earlier_thinking_is_given_back_as_chunks(server: Front, api: Hosted, how: str) -> None:
    chunks = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Two and two."}]},
        {"type": "text", "text": "It is 4."},
    ]
    said = {"content": chunks} if how.endswith("chunks") else {"content": "4.", "reasoning_content": "Two and two."}
    messages = [*user("think"), {"role": "assistant", **said}, *user("hello")]
    assert server.post(model=MODEL, messages=messages).status_code == 200
    first = api.bodies[-1]["messages"][1]["content"][0]
    assert (first["type"], first["thinking"][0]["text"]) == ("thinking", "Two and two.")


@pytest.mark.parametrize("scene", ["weather", "weather in pieces"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_and_its_result(server: Front, api: Hosted, scene: str, stream: bool) -> None:
    client = server.mistral()
    asked = {"model": MODEL, "tools": [WEATHER_TOOL, CLOCK_TOOL], "tool_choice": "any"}
    if stream:
        chunks = [event.data.choices[0] for event in client.chat.stream(messages=user(scene), **asked)]
        pieces = [call for chunk in chunks for call in chunk.delta.tool_calls or ()]
        name, arguments = pieces[0].function.name, "".join(str(piece.function.arguments) for piece in pieces)
        id_, reason = pieces[0].id, chunks[-1].finish_reason
    else:
        choice = client.chat.complete(messages=user(scene), **asked).choices[0]
        (call,) = choice.message.tool_calls
        name, arguments, id_, reason = call.function.name, call.function.arguments, call.id, choice.finish_reason
    assert api.bodies[-1]["tool_choice"] == "any"
    assert (name, json.loads(str(arguments)), id_, reason) == (
        "weather",
        json.loads(WEATHER),
        "a1B2c3D4e",
        "tool_calls",
    )
    told = [
        *user(scene),
        {"role": "assistant", "tool_calls": [{"id": id_, "function": {"name": name, "arguments": arguments}}]},
        {"role": "tool", "name": "weather", "tool_call_id": id_, "content": "22 degrees"},
    ]
    answer = client.chat.complete(messages=told, **asked | {"tool_choice": "auto"})
    assert answer.choices[0].message.content == "Sunny: 22 degrees"


def test_tool_ids_of_others_are_made_into_ones_that_it_takes(server: Front, api: Hosted) -> None:
    """A chat that began with another engine: OpenAI's ids are longer than the nine characters that are taken there."""
    call = {"id": "call_AbCdEfGhIjKlMnOp", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    told = [*user("x"), {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "noon"}]  # fmt: skip
    answer = server.openai().chat.completions.create(model=MODEL, messages=told, tools=[CLOCK_TOOL])
    assert answer.choices[0].message.content == "Sunny: noon"


def test_openai_s_words_for_a_forced_call(server: Front, api: Hosted) -> None:
    asked = {"model": MODEL, "messages": user("two calls"), "tools": [WEATHER_TOOL, CLOCK_TOOL]}
    answer = server.openai().chat.completions.create(**asked, tool_choice="required")
    assert [call.function.name for call in answer.choices[0].message.tool_calls or ()] == ["weather", "clock"]
    assert api.bodies[-1]["tool_choice"] in ("any", "required")
    named = {"type": "function", "function": {"name": "weather"}}
    server.openai().chat.completions.create(**asked, tool_choice=named)
    assert api.bodies[-1]["tool_choice"] == named


def test_only_one_call_where_only_one_is_wanted(server: Front) -> None:
    """The hosted API is asked for one; where it gives two all the same, the second is not passed on."""
    answer = server.openai().chat.completions.create(
        model=MODEL, messages=user("two calls"), tools=[WEATHER_TOOL, CLOCK_TOOL], parallel_tool_calls=False
    )
    assert [call.function.name for call in answer.choices[0].message.tool_calls or ()] == ["weather"]


def test_json_by_a_schema(server: Front, api: Hosted) -> None:
    answer = server.openai().chat.completions.create(model=MODEL, messages=user("note"), response_format=NOTE_FORMAT)
    assert json.loads(answer.choices[0].message.content or "") == json.loads(NOTE)
    assert api.bodies[-1]["response_format"]["json_schema"]["schema"] == NOTE_FORMAT["json_schema"]["schema"]


def test_json_that_breaks_its_schema_is_an_error(server: Front) -> None:
    """No remote is taken at its word."""
    with pytest.raises(APIStatusError) as caught:
        server.openai().chat.completions.create(model=MODEL, messages=user("no note"), response_format=NOTE_FORMAT)
    assert caught.value.status_code == 422 and "schema_not_satisfied" in str(caught.value.body)


def test_images_are_sent_as_they_are(server: Front, api: Hosted) -> None:
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # fmt: skip  # noqa: E501
    content = [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": pixel}}]
    answer = server.openai().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == "Hello there!"
    sent = Request.model_validate(api.bodies[-1]).messages[0].content
    assert isinstance(sent, list) and "base64," in str(sent[1])


@pytest.mark.parametrize(
    ("scene", "mistral", "openai"), [("long", "length", "length"), ("full", "model_length", "length")]
)
def test_an_answer_that_is_cut_short(server: Front, scene: str, mistral: str, openai: str) -> None:
    assert server.mistral().chat.complete(model=MODEL, messages=user(scene)).choices[0].finish_reason == mistral
    chosen = server.openai().chat.completions.create(model=MODEL, messages=user(scene)).choices[0]
    assert (chosen.finish_reason, chosen.message.content) == (openai, "so far")


@pytest.mark.parametrize("fault", [LIMITED, OVERLOADED, BROKEN], ids=["429", "503", "502 as HTML"])
def test_what_passes_is_tried_again(server: Front, api: Hosted, fault: Fault) -> None:
    api.faults += [fault, fault]
    before = api.requests
    assert server.mistral().chat.complete(model=MODEL, messages=user("hello")).choices[0].message.content
    assert api.requests == before + 3


def test_a_limit_that_lasts_is_told_at_once(server: Front, api: Hosted) -> None:
    api.faults.append(LIMITED_LONG)
    before = api.requests
    with pytest.raises(RateLimitError) as caught:
        server.openai().chat.completions.create(model=MODEL, messages=user("hello"))
    assert caught.value.response.headers["retry-after"] == "3600" and api.requests == before + 1


def test_a_key_that_is_refused_later_is_the_server_s_fault(server: Front, api: Hosted) -> None:
    """Whoever chats has no key there: 401 would send them to look for one of theirs."""
    api.faults.append(UNAUTHORIZED)
    before = api.requests
    with pytest.raises(APIStatusError) as caught:
        server.openai().chat.completions.create(model=MODEL, messages=user("hello"))
    assert caught.value.status_code >= 500 and api.requests == before + 1
    assert "TEST_HOSTED_KEY" not in str(caught.value) and api.address.removeprefix("http://") not in str(caught.value)
    until(lambda: any("TEST_HOSTED_KEY" in line for line in server.said), "it is said in the log")


def test_a_prompt_that_is_too_long(server: Front) -> None:
    with pytest.raises(BadRequestError) as caught:
        server.openai().chat.completions.create(model=MODEL, messages=user("word " * 5000))
    assert caught.value.code == "context_length_exceeded"


def test_a_connection_that_is_cut_ends_the_stream_with_an_error(server: Front) -> None:
    pieces: list[str] = []
    with pytest.raises(APIError):
        stream = server.openai().chat.completions.create(model=MODEL, messages=user("cut"), stream=True)
        pieces.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(pieces) == "so far"
    last = list(server.mistral().chat.stream(model=MODEL, messages=user("cut")))[-1].data.choices[0]
    assert last.finish_reason == "error"
    with pytest.raises(MistralError) as caught:
        server.mistral().chat.complete(model=MODEL, messages=user("cut"))
    assert caught.value.status_code >= 500


def test_an_answer_that_ends_with_an_error_is_one(server: Front) -> None:
    with pytest.raises(APIError):
        list(server.openai().chat.completions.create(model=MODEL, messages=user("failed"), stream=True))


def test_a_client_that_leaves_stops_the_answer_there(server: Front, api: Hosted) -> None:
    until(lambda: api.streaming == 0, "earlier answers have ended")
    before = api.left
    body = {"model": MODEL, "messages": user("slow"), "stream": True}
    with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body, timeout=60) as reply:
        lines = reply.iter_lines()
        assert "word" in "".join(next(lines) for _ in range(8))
        assert api.streaming == 1
    until(lambda: api.streaming == 0 and api.left == before + 1, "the hosted API was told")
    until(lambda: server.active() == 0, "the server has ended it too")


def test_what_was_spent_is_in_the_ledger(server: Front) -> None:
    """1.5 and 7.5 USD for a million tokens, by the usage that the hosted API has sent."""

    def spent() -> float:
        said = run_ggufrun("usage", "--json", "--by", "model", environment=at_home(server.home))
        assert said.returncode == 0, said.stderr
        return float(sum(row["spent_usd"] for row in json.loads(said.stdout)["rows"] if row["name"] == MODEL))

    before = spent()
    usage = server.post(model=MODEL, messages=user("hello")).raise_for_status().json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (4, 4)
    until(lambda: spent() > before, "the call is recorded")
    assert spent() - before == pytest.approx((4 * 1.5 + 4 * 7.5) / 1e6)
    before = spent()
    body = {"model": MODEL, "messages": user("slow"), "stream": True}
    with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body, timeout=60) as reply:
        lines = reply.iter_lines()
        until(lambda: "word" in next(lines), "it streams")
    until(lambda: spent() > before, "what was generated for a client that left is paid for, too")


def test_the_key_is_nowhere(server: Front, api: Hosted) -> None:
    """Last of all, after every kind of error. The page's and the API's own routes are asked, too."""
    for path in ("/v1/models", "/metrics", "/health", "/openapi.json"):
        assert KEY not in httpx.get(f"{server.address}{path}", timeout=30).text
    server.never_said(KEY)
