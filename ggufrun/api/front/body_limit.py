"""Limits for request bodies, held while they come in: a larger one is a 413, and one that stops coming a 408."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.api.errors import error_response
from ggufrun.errors import BodyStopped, BodyTooLarge

IDLE_S: Final = 60.0  # without a byte more
# Closing a connection while its client still sends would reset it, and the client might never read the reply.
DRAIN_S: Final = 5.0


class BodyLimit:
    """`limit` in bytes. What is larger is never in memory."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        length = int(headers.get(b"content-length", 0))  # the HTTP parser has seen to it that it is a number
        if length > self._limit:
            await self._refuse(BodyTooLarge(self._limit), scope, receive, send)
        elif length or b"transfer-encoding" in headers:
            await self._watch(scope, receive, send)
        else:  # there is none
            await self._app(scope, receive, send)

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application read the body; where that is to end, answer in its place."""
        seen, whole, started, refused = 0, False, False, False

        async def watched() -> Message:
            nonlocal seen, whole, refused
            if whole:
                return await receive()
            try:
                async with asyncio.timeout(IDLE_S):
                    message = await receive()
            except TimeoutError:
                error: BodyStopped | BodyTooLarge = BodyStopped(IDLE_S)
            else:
                seen += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if seen <= self._limit or refused:
                    return message
                error = BodyTooLarge(self._limit)
            if not started and not refused:
                refused = True
                await self._refuse(error, scope, receive, send)
            return {"type": "http.disconnect"}

        async def passed(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        await self._app(scope, watched, passed)

    async def _refuse(self, error: BodyStopped | BodyTooLarge, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(error)
        response.suit(scope)
        response.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        if isinstance(error, BodyTooLarge):
            await _drain(receive)
        await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    try:
        async with asyncio.timeout(DRAIN_S):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
