"""One MCP server of the user's, for all who may use it: begun when it is first wanted, and begun again after a failure.

Calls are made from the tasks of those who call.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

from ggufrun.mcp_servers import McpServer
from ggufrun.ui.tools.allowed import mark_of
from ggufrun.ui.tools.life import Life
from ggufrun.ui.tools.results import Outcome, outcome_of
from ggufrun.ui.tools.session import McpChanged, McpFailed, McpTool, begun, seconds, session_with, words
from ggufrun.ui.tools.stderr_tail import Tail

if TYPE_CHECKING:
    from mcp import ClientSession

State = Literal["off", "connecting", "connected", "failed"]
_PING_S: Final = 3.0


class Connection:
    """`problem` is what it failed for. `tools` stay known when it has failed."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.state: State = "off"
        self.problem = ""
        self.tools: tuple[McpTool, ...] = ()
        self._life: Life | None = None  # the one whose session is handed out
        self._lives: set[Life] = set()  # with those that are ending
        self._asking = asyncio.Lock()
        self._closed = False
        self._running = 0

    async def connect(self) -> "ClientSession":
        """The session that there is, or a new one. Raises McpFailed."""
        return await self._living().session()

    async def mark(self, name: str) -> str:
        """Of what the tool is now, which another definition or server has not. Raises McpFailed."""
        await self._alive()
        return self._mark(self._tool(name))

    async def call(self, name: str, arguments: dict[str, Any], mark: str = "") -> Outcome:
        """`mark`: only if the tool still has this one. Raises McpFailed. What is cancelled here, is cancelled there."""
        session = await self._alive()
        tool = self._tool(name)
        if mark and self._mark(tool) != mark:
            raise McpChanged("This tool is another one than the one that you allowed: it asks again.")
        self._running += 1
        try:
            return await self._called(session, tool.tool, arguments)
        finally:
            self._running -= 1

    async def close(self) -> None:
        """For good."""
        self._closed, self.state = True, "off"
        await asyncio.gather(*(life.end() for life in list(self._lives)))

    def _tool(self, name: str) -> McpTool:
        tool = next((each for each in self.tools if each.name == name), None)
        if tool is None:
            raise McpFailed(f"{self.server.name} has no tool of this name any more.")
        return tool

    def _mark(self, tool: McpTool) -> str:
        server = self.server
        program = (server.command, server.args, dict(server.env))
        address = (server.url, dict(server.headers))
        return mark_of(server.name, program, address, tool.tool, tool.definition)

    def _living(self) -> Life:
        """The one that there is, or a new one."""
        if self._closed:
            raise McpFailed("The connection was closed.")
        if self._life is None or self._life.ended:
            self.state, self.problem, self._life = "connecting", "", Life()
            self._lives.add(self._life)
            self._life.begin(self._live(self._life))
        return self._life

    async def _live(self, life: Life) -> None:
        tail = Tail()
        state: State = "off"
        problem = ""
        try:
            async with session_with(self.server, tail) as session:
                tools = await begun(session, self.server)
                if self._life is life:
                    self.state, self.tools = "connected", tools
                life.there.set_result(session)
                await life.over.wait()
        except Exception as error:  # whatever a program of others does: only its own connection ends, and says so
            state, problem = "failed", words(error, self.server, tail)
            if not life.there.done():
                life.there.set_exception(McpFailed(problem))
        finally:
            tail.end.close()
            life.there.cancel()
            self._lives.discard(life)
            if self._life is life:
                self.state, self.problem = state, problem

    async def _alive(self) -> "ClientSession":
        """A session that answers: a program may have ended, a server on HTTP may have forgotten us."""
        async with self._asking:  # or the second who finds it dead would end what the first has begun since
            life = self._living()
            session = await life.session()
            if self._running:  # it may be busy with that, and must not lose it
                return session
            try:
                async with asyncio.timeout(_PING_S):
                    await session.send_ping()
                return session
            except Exception:  # of whatever kind: a new session is the remedy, and if there is none, its error is told
                if self._life is life:
                    self._life = None  # nobody gets it while it ends
                await life.end()
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


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
