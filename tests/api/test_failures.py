"""Answers that fail: what the client reads, what the log keeps, and that no generation is left behind."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest

from ggufrun.api.app import create_app, gateway_for
from ggufrun.chat.types import ChatEvent, ChoiceFinished, Completed, PromptProcessed, Started, TextDelta
from ggufrun.engine.types import Stats
from ggufrun.errors import EngineBusy, EngineCrashed, GgufrunError, OutOfMemory, RequestError
from tests.api.scripted import PlayedModel, listening, until_ended

SECRET = "the password is swordfish"
HELLO = {"messages": [{"role": "user", "content": "hi"}]}
START: tuple[ChatEvent, ...] = (Started(7, 100), PromptProcessed(7, 7, 3))


async def stream(model: PlayedModel, **more: Any) -> list[dict[str, Any]]:
    """The chunks of a streamed answer; [DONE] must be behind them."""
    async with listening(model) as client:
        response = await client.post("/v1/chat/completions", json=HELLO | {"stream": True} | more)
    assert response.status_code == 200, response.text
    lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


@pytest.mark.parametrize(
    ("error", "said", "kind"),
    [
        (EngineCrashed("signal 9"), "signal 9", "server_error"),
        (EngineBusy(3), "queue is full", "rate_limited"),
        (
            OutOfMemory("No memory is left.", "Use a smaller context."),
            "Use a smaller context.",
            "server_error",
        ),
        (GgufrunError("Something else."), "Something else.", "server_error"),
        (ValueError(SECRET), "its log has the details", "server_error"),
    ],
)
async def test_a_stream_that_fails_ends_with_the_error(error: Exception, said: str, kind: str) -> None:
    chunks = await stream(PlayedModel((*START, TextDelta("half"), error)))
    assert [c["delta"].get("content") for chunk in chunks for c in chunk["choices"]] == ["half", ""]
    last = chunks[-1]
    assert last["choices"][0]["finish_reason"] == "error"
    assert said in last["error"]["message"] and last["error"]["type"] == kind
    assert SECRET not in json.dumps(chunks)
    assert last["usage"]["prompt_tokens"] == last["usage"]["total_tokens"] == 7
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}


async def test_a_bug_in_a_stream_is_logged_under_the_answers_id(caplog: pytest.LogCaptureFixture) -> None:
    chunks = await stream(PlayedModel((*START, ValueError(SECRET))))
    record = next(record for record in caplog.records if record.name == "ggufrun.api.calls.respond")
    assert record.levelno == logging.ERROR and chunks[-1]["id"] in record.getMessage()
    assert record.exc_info is not None and isinstance(record.exc_info[1], ValueError)


async def test_every_choice_of_a_failed_stream_has_an_end() -> None:
    texts = [TextDelta(str(choice), choice) for choice in range(3)]
    chunks = await stream(PlayedModel((*START, *texts, ChoiceFinished("length", 1), EngineCrashed("signal 9"))), n=4)
    ends = {c["index"]: c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]}
    assert ends == {0: "error", 1: "length", 2: "error", 3: "error"}
    assert ["error" in chunk for chunk in chunks] == [False] * 6 + [True]
    assert ["usage" in chunk for chunk in chunks] == [False] * 6 + [True]


async def test_a_failure_behind_the_last_choices_end_is_said_too() -> None:
    chunks = await stream(PlayedModel((*START, TextDelta("all"), ChoiceFinished("stop"), EngineCrashed("signal 9"))))
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop" and "signal 9" in chunks[-1]["error"]["message"]


async def test_a_failure_behind_a_whole_answer_changes_nothing() -> None:
    done = Completed(7, 1, (Stats(7, 1),), 0.1, 0.2, 8, 100)
    chunks = await stream(PlayedModel((*START, TextDelta("all"), ChoiceFinished("stop"), done, ValueError(SECRET))))
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop" and "error" not in chunks[-1]
    assert chunks[-1]["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_bug_before_the_answer_is_a_500_in_the_envelope(
    caplog: pytest.LogCaptureFixture, streamed: bool
) -> None:
    model = PlayedModel((ValueError(SECRET),))
    async with listening(model) as client:
        for _ in range(3):
            response = await client.post("/v1/chat/completions", json=HELLO | {"stream": streamed})
            assert response.status_code == 500 and response.headers["content-type"] == "application/json"
            assert response.headers["connection"] == "close"
            body = response.json()
            assert body["object"] == "error" and body["type"] == body["error"]["type"] == "server_error"
            assert body["message"] == "The server failed; its log has the details."
            assert SECRET not in response.text and "Traceback" not in response.text
    assert caplog.text.count("Traceback") >= 3 and SECRET in caplog.text
    assert model.ended == 3


async def test_a_client_that_leaves_closes_the_answer() -> None:
    model = PlayedModel((*START, TextDelta("half"), None))
    async with listening(model) as client:
        async with client.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}) as response:
            async for line in response.aiter_lines():
                if "half" in line:
                    break
        await until_ended(model)


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_client_that_left_before_the_first_line_closes_the_answer(spec_version: str) -> None:
    model = PlayedModel((*START, TextDelta("all"), None))
    messages = [{"type": "http.request", "body": json.dumps(HELLO | {"stream": True}).encode()}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if spec_version == "2.4":  # which says so; servers of 2.3 drop what nobody reads
            raise OSError("The client is gone.")
        await asyncio.sleep(0)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "asgi": {"spec_version": spec_version}, "http_version": "1.1", "method": "POST",
        "path": "/v1/chat/completions", "query_string": b"", "headers": headers,
    }  # fmt: skip
    await asyncio.wait_for(create_app(gateway_for(model))(scope, receive, send), 60)
    assert len(model.requests) == model.ended == 1


class Refusing(AsyncGenerator[ChatEvent, None]):
    """An answer that is no generator function's, so that nobody but its reader closes it."""

    closed = False

    async def asend(self, value: None) -> ChatEvent:
        raise EngineBusy(3)

    async def athrow(self, *error: Any) -> ChatEvent:
        self.closed = True
        raise StopAsyncIteration


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_is_refused_is_closed(monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
    model, answer = PlayedModel(()), Refusing()
    monkeypatch.setattr(model, "complete", lambda request, meter: answer)
    async with listening(model) as client:
        response = await client.post("/v1/chat/completions", json=HELLO | {"stream": streamed})
    assert (response.status_code, response.headers["retry-after"], answer.closed) == (429, "1", True)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (EngineCrashed("signal 9"), "1"),
        (EngineCrashed("signal 9", restarting=False, retry_s=47), "47"),
        (EngineCrashed("no such file", restarting=False), None),
    ],
)
async def test_retry_after_is_when_it_can_be_tried_again(error: Exception, seconds: str | None) -> None:
    async with listening(PlayedModel((error,))) as client:
        response = await client.post("/v1/chat/completions", json=HELLO)
    assert response.status_code == 503 and response.headers.get("Retry-After") == seconds


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_absurd_number_of_choices_takes_no_memory_before_it_is_refused(streamed: bool) -> None:
    async with listening(PlayedModel((RequestError("n is too large.", "", "n"),))) as client:
        body = HELLO | {"n": 10**12, "stream": streamed}
        response = await asyncio.wait_for(client.post("/v1/chat/completions", json=body), 60)
    assert response.status_code == 400 and response.json()["error"]["param"] == "n"
