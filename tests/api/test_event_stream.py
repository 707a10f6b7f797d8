"""The reply of server-sent events: kept alive while nothing comes, and over when the client leaves or the lines end."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ggufrun.api.app import gateway_for
from ggufrun.api.calls import event_stream
from ggufrun.api.calls.event_stream import EventStream
from ggufrun.chat.types import TextDelta
from tests.api.scripted import PlayedModel, listening, until_ended
from tests.api.test_guard import ANSWER, CHAT, HELLO


async def sent_by(
    lines: AsyncGenerator[str, None], leave_after: float = 90.0, bodies: list[bytes] | None = None
) -> tuple[list[bytes], bool]:
    """The bodies that were sent, `bodies` as they come, and whether the resources were closed."""
    bodies = [] if bodies is None else bodies
    resources = AsyncExitStack()
    closed: list[bool] = []
    resources.callback(closed.append, True)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(leave_after)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            bodies.append(message["body"])

    await asyncio.wait_for(EventStream(lines, resources)({"type": "http"}, receive, send), 60)
    return bodies, closed == [True]


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.05)

    bodies: list[bytes] = []

    async def lines() -> AsyncGenerator[str, None]:
        while len(bodies) < 2:  # noqa: ASYNC110 - what was sent is a list
            await asyncio.sleep(0.01)
        yield "data: 1"

    _, closed = await sent_by(lines(), bodies=bodies)
    assert bodies[:2] == [b": keep-alive\n\n"] * 2 and bodies[-2:] == [b"data: 1\n\n", b""] and closed


async def test_a_stream_that_speaks_needs_no_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 1.0)  # longer than any pause here, shorter than all together

    async def lines() -> AsyncGenerator[str, None]:
        for number in range(12):
            await asyncio.sleep(0.1)
            yield f"data: {number}"

    bodies, _ = await sent_by(lines())
    assert bodies == [f"data: {number}\n\n".encode() for number in range(12)] + [b""]


async def test_a_client_that_leaves_ends_the_lines() -> None:
    ended = asyncio.Event()

    async def lines() -> AsyncGenerator[str, None]:
        try:
            yield "data: 1"
            await asyncio.Event().wait()
        finally:
            ended.set()

    bodies, closed = await sent_by(lines(), leave_after=0.05)
    assert bodies == [b"data: 1\n\n"] and closed and ended.is_set()


async def test_a_client_that_stays_and_reads_no_more_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is cancelled, which frees its model."""
    monkeypatch.setattr(event_stream, "STALLED_S", 0.3)
    model = PlayedModel((*ANSWER[:2], *[TextDelta("x" * 65_536)] * 1000, *ANSWER[3:]))
    gateway = gateway_for(model)
    async with listening(model, gateway) as client:
        host, port = client.base_url.host, client.base_url.port
        body = json.dumps(HELLO | {"stream": True}).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with socket.socket() as peer:
            peer.setblocking(False)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.get_running_loop().sock_connect(peer, (host, port))
            peer.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await asyncio.wait_for(until_ended(model), 60)
            assert gateway.models.served()[0].active == 0
        scraped = gateway.metrics.exposition(gateway.models.served())[0].decode()
    assert f'ggufrun_requests_total{{endpoint="{CHAT}",model="played",status="499"}} 1.0' in scraped


@pytest.mark.parametrize("sent", [1, 0])
async def test_a_send_that_hangs_ends_the_answer(monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    """A line or a comment, whichever it is."""
    monkeypatch.setattr(event_stream, "STALLED_S", 0.1)
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.04)
    resources = AsyncExitStack()
    closed: list[bool] = []
    resources.callback(closed.append, True)

    async def lines() -> AsyncGenerator[str, None]:
        for _ in range(sent):
            yield "data: 1"
        await asyncio.Event().wait()

    async def never(message: Any = None) -> Any:
        if message is None or message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await asyncio.wait_for(EventStream(lines(), resources)({"type": "http"}, never, never), 60)
    assert closed == [True]
