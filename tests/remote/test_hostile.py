"""Remotes that mean no good, or are very broken: nothing fills the memory, waits for ever, or gets another's key."""

import asyncio
import gzip
import logging
import time
from typing import Any

import pytest

from ggufrun.chat.types import ChoiceFinished
from ggufrun.errors import OptionError
from ggufrun.remote import backoff, client, probing, sse
from ggufrun.remote.breaker import FAILURES
from ggufrun.remote.probing import probed
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import RemoteBroke, RemoteDown, RemoteRefused, RemoteUnusable
from tests.api.scripted import listening
from tests.remote.asking_models import HELLO, events_of, opened, quick, text_of
from tests.remote.raw_server import DONE, Reply, as_json, chunk, event, raw_server, said

__all__ = ["quick"]
KEY = "sk-R4nd0mS3cretOfTheTest"
GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nobody_is_followed_elsewhere(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)
    async with raw_server() as other, raw_server() as raw, opened(raw, key_env="REMOTE_KEY") as model:
        other.replies = [said("mine")]
        raw.replies = [as_json({}, status, location=f"{other.url}/v1/chat/completions")]
        with pytest.raises(RemoteDown, match=f"it answers {status}"):
            await events_of(model)
        with pytest.raises(RemoteDown):
            await model.embed(["x"])
        raw.models = as_json({}, status, location=f"{other.url}/v1/models")
        with pytest.raises(RemoteUnusable, match="elsewhere, to 127"):
            await probed(RemoteSettings("fast", raw.url, key_env="REMOTE_KEY"))
        assert not other.came.is_set() and not other.asked


@pytest.mark.parametrize("location", [f"https://me:{KEY}@host/v1", f"https://[{KEY}", "http://x\x1b]0;y/"])
async def test_where_it_sends_one_is_shown_without_secrets(location: str) -> None:
    async with raw_server() as raw:
        raw.models = as_json({}, 302, location=location)
        with pytest.raises(RemoteUnusable, match=r"elsewhere|speak HTTP") as caught:
            await probed(RemoteSettings("fast", raw.url))
    assert KEY not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("start", [b"", chunk({"content": "So far"})])
@pytest.mark.parametrize("endless", [b"data: ", b"data: x\n", b": ping\ndata: x\n", b"x"])
@pytest.mark.usefixtures("quick")
async def test_an_event_without_an_end(start: bytes, endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST", 10_000)
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([start + endless, *[endless * 500] * 100, None] if start else [endless * 20_000, None])]
        with pytest.raises((RemoteDown, RemoteBroke), match="an event without an end"):
            async with asyncio.timeout(30):
                await events_of(model)


async def test_a_long_stream_of_whole_events_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the network cuts it."""
    monkeypatch.setattr(sse, "LONGEST", 1_000)
    events = sse.Events()
    found = []
    whole = b"data: something\n\n" * 500
    for at in range(0, len(whole), 16):
        found += events.feed(whole[at : at + 16])
    assert found == [b"something"] * 500


async def test_what_is_compressed_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * (1 << 22))
    async with raw_server() as raw, opened(raw) as model:
        for type_ in ("text/event-stream", "application/json"):
            raw.replies = [Reply([bomb], 200, type_, GZIP)]
            with pytest.raises(RemoteDown, match="it compresses what it sends"):
                await events_of(model)
            with pytest.raises(RemoteDown, match="it compresses what it sends"):
                await model.embed(["x"])
        raw.replies = [Reply([bomb], 401, "application/json", GZIP)]
        with pytest.raises(RemoteRefused):
            await events_of(model)
        raw.models = Reply([bomb], 200, "application/json", GZIP)
        with pytest.raises(RemoteUnusable, match="it compresses what it sends"):
            await probed(RemoteSettings("fast", raw.url))


async def test_a_reply_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_REPLY", 1000)
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [as_json({"data": "x" * 2000})]
        with pytest.raises(RemoteBroke, match="its reply is too long"):
            await model.embed(["x"])


async def test_a_refusal_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_REFUSAL", (1000, 0.2))
    async with raw_server() as raw, opened(raw) as model:
        for more in ([None], [b"x" * 600] * 9):
            raw.replies = [Reply([b'{"error": "', *more], 500, "application/json")]
            with pytest.raises(RemoteDown, match="it answers 500"):
                async with asyncio.timeout(30):
                    await events_of(model)


async def test_a_list_of_models_that_drips_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "WHOLE_S", 0.2)
    async with raw_server() as raw:
        raw.models = Reply([b'{"data": [', None], 200, "application/json")
        with pytest.raises(RemoteUnusable, match="no answer came in time"):
            await probed(RemoteSettings("fast", raw.url))


async def test_names_and_numbers_that_nobody_can_show() -> None:
    names = [{"id": "a\x1b[2J\nb"}, {"id": f"{'x' * 5000}"}]
    async with raw_server() as raw:
        raw.models = as_json({"data": names})
        for model in ("", "a"):
            with pytest.raises(RemoteUnusable) as caught:
                await probed(RemoteSettings("fast", raw.url, model))
            assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
        odd: dict[str, Any] = {"temperature": float("nan"), "top_p": float("inf"), "top_k": 10**400, "min_p": True}
        raw.models = as_json({"data": [names[0] | {"default_sampling": odd}]})
        found = await probed(RemoteSettings("fast", raw.url))
    assert found.info.description.isprintable() and found.info.defaults == type(found.info.defaults)()


@pytest.mark.parametrize(
    "odd",
    [
        chunk({}, "stop", usage={"prompt_tokens": float("inf"), "completion_tokens": 1}),
        chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": -5}),
        chunk({}, "stop", usage={"prompt_tokens": 10**30, "completion_tokens": 5}),
        chunk({}, prompt_progress={"processed": "1", "total": 2, "cache": 0}),
        chunk({"content": [{"type": "text", "text": {"a": 1}}]}),
        chunk({"reasoning_content": ["x"]}),
        chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": {"a": 1}, "arguments": "{}"}}]}),
    ],
)
async def test_what_is_no_part_of_an_answer_ends_it_and_opens_no_breaker(odd: bytes) -> None:
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [Reply([chunk({"content": "So far"}), odd, DONE])]
        for _ in range(FAILURES + 1):
            with pytest.raises(RemoteBroke, match=r"no part of an answer|a count of tokens that is none"):
                await events_of(model)
        assert not model.info.note, "one answer is no use, and the remote is not down"


async def test_a_filter_of_contents_opens_no_breaker_and_an_engine_that_fails_does() -> None:
    async with raw_server() as raw, opened(raw) as model:
        for reason, down in (("content_filter", False), ("error", True)):
            raw.replies = [Reply([chunk({"content": "So far"}), chunk({}, reason), DONE])]
            for _ in range(FAILURES):
                with pytest.raises(RemoteBroke, match=f"the answer ended with '{reason}'"):
                    await events_of(model)
            assert bool(model.info.note) is down


async def test_of_connections_that_are_kept_all_may_be_closed_by_now() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        raw.replies = [said("Hi")]
        await asyncio.gather(*(events_of(model) for _ in range(4)))
        raw.replies = [*[Reply(mute=True)] * 4, said("Hi again")]
        assert text_of(await events_of(model)) == "Hi again"


async def test_who_leaves_between_two_tries_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 60.0)
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [as_json({}, 503)]
        asking = asyncio.create_task(events_of(model))
        await raw.came.wait()
        before = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert time.monotonic() - before < 30 and len(raw.asked) == 1
        raw.replies = [said("Hi")]
        assert isinstance((await events_of(model))[-2], ChoiceFinished), "nobody holds it up"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_remote_says_anything(stream: bool) -> None:
    async with raw_server() as raw, opened(raw) as model, listening(model) as client_:
        raw.replies = [Reply([None])]
        body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        asking = asyncio.create_task(client_.post("/v1/chat/completions", json=body))
        async with asyncio.timeout(30):
            await raw.came.wait()
            asking.cancel()
            await raw.left.wait()


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY"])
async def test_a_proxy_that_is_none(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f"nonsense://me:{KEY}@proxy:1")
    with pytest.raises(RemoteUnusable, match="the environment names") as caught:
        await probed(RemoteSettings("fast", "https://remote.invalid/v1"))
    assert KEY not in str(caught.value) and caught.value.__cause__ is None
    async with raw_server() as raw, opened(raw) as model:
        raw.replies = [said("Hi")]
        assert text_of(await events_of(model)) == "Hi", "nothing on this machine goes over a proxy"


@pytest.mark.parametrize("url", ["http://host/v1\nx", "http://ho st/v1", "http://host/\x1b[2J"])
def test_addresses_that_cannot_be_shown(url: str) -> None:
    with pytest.raises(OptionError) as caught:
        RemoteSettings("fast", url)
    assert str(caught.value).isprintable()


async def test_half_a_key_is_hidden_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where it stands far behind in what a remote says, and is brought forward by the blanks that are left out."""
    monkeypatch.setenv("REMOTE_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    async with raw_server() as raw, opened(raw, key_env="REMOTE_KEY") as model:
        raw.replies = [Reply([b"bad key" + b" " * (4096 - 7 - 12) + KEY.encode()], 400, "text/plain")]
        with pytest.raises(Exception, match="bad key …") as caught:
            await events_of(model, HELLO)
    assert KEY[:12] not in f"{caught.value}{caplog.text}"


async def test_no_page_of_the_server_has_the_key_or_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)
    async with raw_server() as raw, opened(raw, key_env="REMOTE_KEY") as model, listening(model) as front:
        raw.replies = [as_json({"error": f"Incorrect key: {KEY}"}, 401)]
        body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}
        shown = [await front.post("/v1/chat/completions", json=body)]
        paths = ("/v1/models", "/v1/models/fast", "/metrics", "/health", "/ggufrun/v1/models", "/openapi.json")
        shown += [await front.get(path) for path in paths]
    assert "fast" in shown[1].text and shown[0].status_code == 502
    for reply in shown:
        said_ = f"{reply.headers.raw}{reply.text}"
        assert KEY not in said_ and "REMOTE_KEY" not in said_ and raw.url.removeprefix("http://") not in said_


async def test_infinite_log_probabilities_can_be_written() -> None:
    from ggufrun.remote.logprobs import entries_of

    said_ = {"content": [{"token": "x", "logprob": float("-inf"), "top_logprobs": []}]}
    assert entries_of(said_, 0)[0].logprob == -9999.0
    assert event(entries_of({"tokens": ["x"], "token_logprobs": [float("nan")]}, 0)[0].logprob) == b"data: -9999.0\n\n"
