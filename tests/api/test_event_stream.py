"""The reply of server-sent events: kept alive while nothing comes, and over when the client leaves or the lines end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ggufrun.api.calls import event_stream
from ggufrun.api.calls.event_stream import EventStream


async def sent_by(lines: AsyncGenerator[str, None], leave_after: float = 5.0) -> tuple[list[bytes], bool]:
    """The bodies that were sent, and whether the resources were closed."""
    bodies: list[bytes] = []
    resources = AsyncExitStack()
    closed: list[bool] = []
    resources.callback(closed.append, True)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(leave_after)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            bodies.append(message["body"])

    await asyncio.wait_for(EventStream(lines, resources)({"type": "http"}, receive, send), 10)
    return bodies, closed == [True]


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.05)

    async def lines() -> AsyncGenerator[str, None]:
        await asyncio.sleep(0.18)
        yield "data: 1"

    bodies, closed = await sent_by(lines())
    assert bodies[:2] == [b": keep-alive\n\n"] * 2 and bodies[-2:] == [b"data: 1\n\n", b""] and closed


async def test_a_stream_that_speaks_needs_no_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.2)

    async def lines() -> AsyncGenerator[str, None]:
        for number in range(10):
            await asyncio.sleep(0.05)
            yield f"data: {number}"

    bodies, _ = await sent_by(lines())
    assert bodies == [f"data: {number}\n\n".encode() for number in range(10)] + [b""]


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
