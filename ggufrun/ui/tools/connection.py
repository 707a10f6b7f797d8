"""One MCP server of the user's, for all who may use it: begun when it is first wanted, and begun again after a failure.

A task of its own enters and leaves what the libraries open. Calls are made from the tasks of those who call.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

from ggufrun.mcp_servers import McpServer
from ggufrun.ui.tools.results import Outcome, outcome_of
from ggufrun.ui.tools.session import McpFailed, McpTool, begun, seconds, session_with, words
from ggufrun.ui.tools.stderr_tail import Tail

if TYPE_CHECKING:
    from mcp import ClientSession

State = Literal["off", "connecting", "connected", "failed"]
_PING_S: Final = 3.0
_END_S: Final = 0.5  # for a program to end by itself, once its standard input is closed
_KILL_S: Final = 0.15


class Connection:
    """`problem` is what it failed for. `tools` stay known when it has failed."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.state: State = "off"
        self.problem = ""
        self.tools: tuple[McpTool, ...] = ()
        self._life: asyncio.Task[None] | None = None
        self._there: asyncio.Future[ClientSession] | None = None
        self._over = asyncio.Event()
        self._running = 0

    async def connect(self) -> "ClientSession":
        """The session that there is, or a new one. Raises McpFailed."""
        if self._life is None or self._life.done() or self._there is None:
            self.state, self.problem, self._over = "connecting", "", asyncio.Event()
            self._there = asyncio.get_running_loop().create_future()
            self._there.add_done_callback(_looked_at)
            self._life = asyncio.create_task(self._live(self._there, self._over))
        try:
            return await asyncio.shield(self._there)
        except asyncio.CancelledError:
            if self._there.cancelled():
                raise McpFailed("The connection was closed.") from None
            raise

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Raises McpFailed. What is cancelled here, is cancelled there."""
        session = await self._alive()
        tool = next((each.tool for each in self.tools if each.name == name), None)
        if tool is None:
            raise McpFailed(f"{self.server.name} has no tool of this name any more.")
        self._running += 1
        try:
            return await self._called(session, tool, arguments)
        finally:
            self._running -= 1

    async def close(self) -> None:
        """Ends its program. Quick, for this is also the end of ours."""
        self._over.set()
        if self._life is None or self._life.done():
            return
        self.state = "off"
        await asyncio.wait({self._life}, timeout=_END_S)
        for _ in range(4):  # a program that goes on is waited for once more after the first, and killed
            if not self._life.done():
                self._life.cancel()
                await asyncio.wait({self._life}, timeout=_KILL_S)

    async def _live(self, there: "asyncio.Future[ClientSession]", over: asyncio.Event) -> None:
        tail = Tail()
        try:
            async with session_with(self.server, tail) as session:
                self.tools = await begun(session, self.server)
                self.state = "connected"
                there.set_result(session)
                await over.wait()
            self.state = "off"
        except Exception as error:  # whatever a program of others does: only its own connection ends, and says so
            self.state, self.problem = "failed", words(error, self.server, tail)
            if not there.done():
                there.set_exception(McpFailed(self.problem))
        finally:
            tail.end.close()
            there.cancel()

    async def _alive(self) -> "ClientSession":
        """A session that answers: a program may have ended, a server on HTTP may have forgotten us."""
        session = await self.connect()
        if self._running:  # it may be busy with that, and must not lose it
            return session
        try:
            async with asyncio.timeout(_PING_S):
                await session.send_ping()
            return session
        except Exception:  # of whatever kind: a new session is the remedy, and if there is none, its error is told
            await self.close()
            return await self.connect()

    async def _called(self, session: "ClientSession", tool: str, arguments: dict[str, Any]) -> Outcome:
        from anyio import BrokenResourceError, ClosedResourceError
        from mcp import McpError, types

        request = types.CallToolRequest(params=types.CallToolRequestParams(name=tool, arguments=arguments))
        number = session._request_id  # the id that this request gets: the library tells it nobody
        try:
            result = await session.send_request(
                types.ClientRequest(request), types.CallToolResult, request_read_timeout_seconds=seconds(self.server)
            )
        except asyncio.CancelledError:
            await self._cancel(session, number)
            raise
        except McpError as error:
            raise McpFailed(self._refused(error)) from error
        except (ClosedResourceError, BrokenResourceError) as error:
            raise McpFailed(self._lost()) from error
        except ValueError as error:
            raise McpFailed("What it gave back is no result of a tool.") from error
        return outcome_of(result)

    async def _cancel(self, session: "ClientSession", number: int) -> None:
        from mcp import types

        params = types.CancelledNotificationParams(requestId=number, reason="The user cancelled it.")
        told = types.CancelledNotification(params=params)
        task = asyncio.create_task(session.send_notification(types.ClientNotification(told)))
        task.add_done_callback(_ended)
        await asyncio.wait({task}, timeout=1.0)

    def _lost(self) -> str:
        self.state, self.problem = "failed", "The connection ended."
        return "The connection ended while it ran: what it did is not known. Run it again to connect again."

    def _refused(self, error: Exception) -> str:
        from mcp import types

        code = getattr(getattr(error, "error", None), "code", 0)
        if code == 408:
            return (
                f"It did not answer within {self.server.timeout:g} s. Raise its timeout in ggufrun.toml, or try again."
            )
        if code == types.CONNECTION_CLOSED:
            return self._lost()
        return self.server.hide(f"It refuses the call: {error}")


def _looked_at(there: "asyncio.Future[ClientSession]") -> None:
    if not there.cancelled():
        there.exception()


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
