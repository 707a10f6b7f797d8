"""A limit for request bodies, held while they come in: a larger one is a 413 and is never in memory."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.api.errors import error_response
from ggufrun.errors import BodyTooLarge

# Closing a connection while its client still sends would reset it, and the client might never read the reply.
DRAIN_S: Final = 5.0


class BodyLimit:
    """`limit` in bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        if int(headers.get(b"content-length", 0)) > self._limit:  # the HTTP parser has seen to it that it is a number
            await self._refuse(scope, receive, send)
        elif b"transfer-encoding" in headers:
            await self._count(scope, receive, send)
        else:  # never more than its content-length says
            await self._app(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application read a body of unknown length; past the limit, answer in its place."""
        seen, started, refused = 0, False, False

        async def counted() -> Message:
            nonlocal seen, refused
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= self._limit or refused:
                return message
            if not started:
                refused = True
                await self._refuse(scope, receive, send)
            return {"type": "http.disconnect"}

        async def passed(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        await self._app(scope, counted, passed)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(BodyTooLarge(self._limit))
        response.suit(scope)
        response.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        try:
            async with asyncio.timeout(DRAIN_S):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})
