"""A reply of server-sent events: written as they come, kept alive while none come, ended when the client leaves.

One that stays and reads no more has left, too: it would hold its model for ever.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Any, Final, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ggufrun.errors import ClientLeft

T = TypeVar("T")
KEEP_ALIVE_S: Final = 10.0  # proxies and clients give up on a silent connection; 30 s is common
STALLED_S: Final = 60.0  # a client that takes nothing for so long reads no more
_COMMENT: Final = b": keep-alive\n\n"


class EventStream(Response):
    """Sends `lines`, a blank line behind each, and closes `resources` however it ends.

    A response of its own rather than Starlette's: a token costs one send here, and nothing else.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        lines: AsyncGenerator[str, None],
        resources: AsyncExitStack,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **headers})
        del self.headers["content-length"]
        self._lines, self._resources = lines, resources
        self._sent_at = 0.0  # when the last send began
        self._sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources, contextlib.aclosing(self._lines):
            writing = asyncio.create_task(self._write(send))
            others = [asyncio.create_task(client_left(receive)), asyncio.create_task(self._watch(send))]
            try:
                await asyncio.wait([writing, *others], return_when=asyncio.FIRST_COMPLETED)
                if writing.done():
                    with contextlib.suppress(OSError):  # the client has left
                        writing.result()
            finally:
                for task in (writing, *others):
                    task.cancel()
                await asyncio.gather(writing, *others, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        clock = asyncio.get_running_loop().time
        async for line in self._lines:
            self._sent_at, self._sending = clock(), True
            await send({"type": "http.response.body", "body": f"{line}\n\n".encode(), "more_body": True})
            self._sending = False
        self._sent_at, self._sending = clock(), True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, send: Send) -> None:
        """A comment whenever nothing has been sent for a while. Ends where a send does not get through, or fails.

        It looks at the clock now and then, which costs a token nothing.
        """
        clock = asyncio.get_running_loop().time
        self._sent_at = clock()
        while True:
            limit_s = STALLED_S if self._sending else KEEP_ALIVE_S
            await asyncio.sleep(min(max(self._sent_at + limit_s - clock(), 0.0), KEEP_ALIVE_S))
            since = clock() - self._sent_at
            if self._sending:
                if since >= STALLED_S:
                    return
            elif since >= KEEP_ALIVE_S:
                self._sent_at = clock()
                try:
                    async with asyncio.timeout(STALLED_S):
                        await send({"type": "http.response.body", "body": _COMMENT, "more_body": True})
                except TimeoutError:
                    return


async def client_left(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; where the client closes its connection first, `work` is cancelled and ClientLeft raised."""
    doing, gone = asyncio.create_task(work), asyncio.create_task(client_left(receive))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientLeft
        return doing.result()
    finally:
        for task in (doing, gone):
            task.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)
