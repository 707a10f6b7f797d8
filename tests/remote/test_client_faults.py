"""What goes wrong on the way to a remote, against one that is scripted byte by byte."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest

from ggufrun.api.errors import error_response
from ggufrun.chat.types import ChatEvent, ChatRequest, Message, Meter, Price, PromptProcessed, Started, TextDelta
from ggufrun.errors import GgufrunError
from ggufrun.remote.client import Used
from ggufrun.remote_errors import (
    RemoteBroke,
    RemoteBusy,
    RemoteDown,
    RemotePromptTooLong,
    RemoteRefused,
    RemoteRejected,
)
from tests.remote.asking_models import HELLO, events_of, opened, quick, text_of
from tests.remote.raw_server import DONE, Reply, as_json, chunk, event, raw_server, said

__all__ = ["quick"]
pytestmark = pytest.mark.usefixtures("quick")

UNAVAILABLE = as_json({"error": {"message": "loading"}}, 503)
LATER = as_json({"message": "slow down"}, 429, retry_after="0")


@pytest.mark.parametrize("first", [UNAVAILABLE, LATER, as_json({}, 502), as_json({}, 504), Reply(mute=True)])
async def test_what_may_go_better_is_tried_again(first: Reply) -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [first, first, said("Hi", "!")]
        assert text_of(await events_of(model)) == "Hi!"
        assert len(raw.asked) == 3


async def test_a_stream_that_ends_before_it_has_begun_is_tried_again() -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([], cut=True), Reply([]), said("Hi")]
        assert text_of(await events_of(model)) == "Hi"


@pytest.mark.parametrize(
    ("reply", "kind", "tries", "words"),
    [
        (as_json({"detail": "no"}, 500), RemoteDown, 1, "it answers 500 (no)"),
        (UNAVAILABLE, RemoteDown, 3, "it answers 503 (loading)"),
        (LATER, RemoteBusy, 3, "too much to do"),
        (as_json({}, 429, retry_after="3600"), RemoteBusy, 1, "in 3600 s"),
        (as_json({}, 503, retry_after="99"), RemoteBusy, 1, "in 99 s"),
        (as_json({"error": {"message": "bad key"}}, 401), RemoteRefused, 1, "does not accept this server's key"),
        (as_json({}, 403), RemoteRefused, 1, "does not accept this server's key"),
        (as_json({}, 404), RemoteDown, 1, "does not know the model"),
        (as_json({}, 302), RemoteDown, 1, "it answers 302"),
        (as_json({"error": {"message": "no such field"}}, 400), RemoteRejected, 1, "no such field"),
        (
            as_json({"detail": [{"loc": ["body", "n"], "msg": "too many"}]}, 422),
            RemoteRejected,
            1,
            "fast refuses the request: n: too many",
        ),
        (
            as_json({"error": {"message": "This model's maximum context length is 9 tokens."}}, 400),
            RemotePromptTooLong,
            1,
            "maximum context length is 9",
        ),
        (
            Reply([b"<html><h1>Hello</h1>"], 200, "text/html"),
            RemoteDown,
            1,
            "it does not stream, but answers a page of",
        ),
        (as_json({"choices": []}), RemoteDown, 1, "it does not stream"),
        (Reply([event({"error": {"message": "bad n", "code": 400}})]), RemoteRejected, 1, "bad n"),
        (Reply([event({"error": {"message": "out of memory"}})]), RemoteDown, 3, "out of memory"),
        (Reply([event({"object": "error", "message": "boom", "code": 500}), DONE]), RemoteDown, 1, "boom"),
        (Reply(mute=True), RemoteDown, 3, "closed the connection"),
    ],
)
async def test_before_the_first_event(reply: Reply, kind: type[GgufrunError], tries: int, words: str) -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [reply]
        with pytest.raises(kind) as caught:
            await events_of(model)
        assert type(caught.value) is kind and words in str(caught.value)
        assert len(raw.asked) == tries


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (Reply([], cut=True), "the connection was cut"),
        (Reply([]), "its stream ended without an end"),
        (Reply([DONE]), "its stream ended before the answer"),
        (Reply([chunk({}, "stop")]), "its stream ended without an end"),
        (Reply([b"data: {nonsense\n\n"]), "no JSON"),
        (Reply([event([1, 2])]), "no part of an answer"),
        (Reply([event({"choices": [{"index": 5, "delta": {"content": "x"}}]})]), "no part of an answer"),
        (Reply([event({"error": {"message": "the GPU fell out", "code": 500}})]), "the GPU fell out"),
        (Reply([chunk({}, "error"), DONE]), "the answer ended with 'error'"),
    ],
)
async def test_a_remote_that_dies_while_it_answers_is_not_asked_again(rest: Reply, words: str) -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([chunk({"content": "So "}), chunk({"content": "far"}), *rest.pieces], cut=rest.cut)]
        seen: list[ChatEvent] = []
        with pytest.raises(GgufrunError) as caught:
            await _collected(seen, model.complete(HELLO))
        assert text_of(seen) == "So far" and words in str(caught.value)
        assert len(raw.asked) == 1


async def _collected(seen: list[ChatEvent], events: AsyncIterator[ChatEvent]) -> None:
    async for each in events:
        seen.append(each)  # noqa: PERF401  # what came before an error counts, too


async def test_a_remote_that_falls_silent_is_waited_for_so_long_and_no_longer() -> None:
    async with raw_server() as raw, opened(raw, timeout_s=0.3) as model:
        raw.replies = [Reply([None])]
        with pytest.raises(RemoteDown, match=r"nothing came for 0\.3 s"):
            await events_of(model)
        raw.replies = [Reply([chunk({"content": "So far"}), None])]
        with pytest.raises(RemoteBroke, match=r"nothing came for 0\.3 s"):
            await events_of(model)


async def test_comments_keep_a_slow_remote_alive_and_tell_how_far_it_is() -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([b": ping\r\n\r\n", b": 3 of 9 prompt tokens processed\n\n", *said("Hi").pieces])]
        events = await events_of(model)
    assert isinstance(events[0], Started) and text_of(events) == "Hi"
    assert [(each.done, each.total) for each in events if isinstance(each, PromptProcessed)] == [(3, 9)]


async def test_who_leaves_ends_the_remote_s_answer() -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([chunk({"content": "So "}), None])]
        async with aclosing(model.complete(HELLO)) as events:
            async for each in events:
                if isinstance(each, TextDelta):
                    break
        async with asyncio.timeout(20):
            await raw.left.wait()


async def test_who_leaves_before_anything_has_come_ends_it_too() -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([None])]
        asking = asyncio.create_task(events_of(model))
        await raw.came.wait()
        asking.cancel()
        async with asyncio.timeout(20):
            await raw.left.wait()


async def test_bytes_that_come_in_any_pieces_are_the_same_answer() -> None:
    whole = b"".join(each for each in said("Grüße", " an", " alle").pieces if each)
    async with raw_server() as raw, opened(raw) as model:
        for size in (1, 7, len(whole)):
            raw.replies = [Reply([whole[at : at + size] for at in range(0, len(whole), size)])]
            assert text_of(await events_of(model)) == "Grüße an alle"


async def test_a_connection_is_used_again() -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [said("Hi")]
        for _ in range(3):
            await events_of(model)
        pool = model._client._http._transport._pool  # type: ignore[attr-defined]  # who else would know
        assert len(pool.connections) == 1


async def test_a_connection_that_the_remote_has_closed_meanwhile_is_no_failure() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        raw.replies = [said("Hi"), Reply(mute=True), said("Hi again")]
        assert text_of(await events_of(model)) == "Hi"
        assert text_of(await events_of(model)) == "Hi again"
        raw.replies = [Reply(mute=True), Reply(mute=True), said("Hi")]
        with pytest.raises(RemoteDown):  # a new one that is closed is another matter
            await events_of(model)
        assert len(raw.asked) == 5


@pytest.mark.parametrize("by", ["connection", "socks"])
async def test_a_connection_of_our_own_making_is_not_taken_for_a_stale_one(by: str) -> None:
    """By whatever way it is made: what fails on it would be sent again and again."""
    used = Used()
    await used.trace(f"{by}.connect_tcp.complete", {})
    assert used.again
    await used.trace(f"{by}.connect_tcp.started", {})
    assert not used.again


async def test_what_was_spent_is_known_also_of_an_answer_that_was_cut() -> None:
    charges = Price(prompt=1_000_000, completion=2_000_000)  # a dollar a token, and two
    async with raw_server() as raw, opened(raw, charges=charges) as model:
        raw.replies = [said("a", "b", prompt=5)]
        meter = Meter()
        await events_of(model, meter=meter)
        assert (meter.prompt_tokens, meter.completion_tokens, meter.spent_usd) == (5, 2, 9.0)
        assert meter.ttft_s is not None
        raw.replies = [Reply([chunk({"content": "x"}, usage={"prompt_tokens": 5, "completion_tokens": 1}), None])]
        meter = Meter()
        async with aclosing(model.complete(HELLO, meter)) as events:
            async for each in events:
                if isinstance(each, TextDelta):
                    break
        assert meter.spent_usd == 7.0
        long = ChatRequest((Message(role="user", content="word " * 400),))
        raw.replies = [Reply([chunk({"content": "x"}), chunk({"content": "y"})], cut=True)]
        meter = Meter()
        with pytest.raises(RemoteBroke):
            await events_of(model, long, meter)
        assert 400 < meter.spent_usd < 700  # nobody has said how many: about


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (RemoteBusy("fast", 9), 429, "9"),
        (RemoteBusy("fast"), 429, "1"),
        (RemoteDown("fast", "x", 4), 503, "4"),
        (RemoteDown("fast", "x"), 503, None),
        (RemoteRefused("fast"), 502, None),
        (RemoteBroke("fast", "x"), 502, None),
        (RemoteRejected("fast", "x", "n"), 400, None),
        (RemotePromptTooLong("fast", "x"), 400, None),
    ],
)
def test_as_clients_see_them(error: GgufrunError, status: int, wait: str | None) -> None:
    reply = error_response(error)
    assert (reply.status_code, reply.headers.get("retry-after")) == (status, wait)


async def test_the_key_and_the_address_are_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = "sk-R4nd0mS3cretOfTheTest"
    monkeypatch.setenv("REMOTE_KEY", key)
    caplog.set_level(logging.DEBUG)
    shown = []
    async with raw_server() as raw, opened(raw, key_env="REMOTE_KEY") as model:
        for status in (400, 401, 403, 404, 422, 429, 500, 503):
            raw.replies = [as_json({"error": {"message": f"Incorrect API key provided: {key}."}}, status)]
            with pytest.raises(GgufrunError) as caught:
                await events_of(model)
            shown += [str(caught.value), repr(caught.value), str(error_response(caught.value).body)]
        raw.replies = [Reply([chunk({"content": "x"}), event({"error": {"message": f"key {key} is used up"}})])]
        with pytest.raises(RemoteBroke) as broke:
            await events_of(model)
        shown += [str(broke.value), repr(model.info), repr(vars(model)), repr(vars(model._client))]  # type: ignore[attr-defined]  # all of it
        assert all(headers["authorization"] == f"Bearer {key}" for _, headers, _ in raw.asked)
        address = httpx.URL(raw.url).netloc.decode()
        assert not any(address in each for each in shown[:-2])
    assert "REMOTE_KEY" in caplog.text  # the operator is told which one it is
    assert not any(key in each for each in (*shown, caplog.text))
