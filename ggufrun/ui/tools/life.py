"""What goes on in the background of one session with an MCP server, from its beginning to its end."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from ggufrun.ui.tools.session import McpFailed

if TYPE_CHECKING:
    from mcp import ClientSession

_END_S: Final = 0.5  # for a program to end by itself, once its standard input is closed
_KILL_S: Final = 0.15


class Life:
    """`there`: its session, once there is one. One task has to enter and leave what the libraries open."""

    def __init__(self) -> None:
        self.there: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self.there.add_done_callback(_looked_at)
        self.over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        return self._task is not None and self._task.done()

    def begin(self, lived: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(lived)

    async def session(self) -> "ClientSession":
        """Raises McpFailed. Who waits for it may be cancelled without harm to others."""
        try:
            return await asyncio.shield(self.there)
        except asyncio.CancelledError:
            if self.there.cancelled():
                raise McpFailed("The connection was closed.") from None
            raise

    async def end(self) -> None:
        """With its program. Quick, for this is also the end of ours."""
        self.over.set()
        if self._task is None or self._task.done():
            return
        await asyncio.wait({self._task}, timeout=_END_S)
        for _ in range(4):  # a program that goes on is waited for once more after the first, and killed
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=_KILL_S)


def _looked_at(there: "asyncio.Future[ClientSession]") -> None:
    if not there.cancelled():
        there.exception()
