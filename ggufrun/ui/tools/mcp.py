"""The MCP servers of the user's ggufrun.toml, on the machine where the page runs. A browser can add none.

A page that starts what it is told to would be a hole; and only who may manage the server may use them.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ggufrun.mcp_servers import McpServer
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.tools.connection import Connection
from ggufrun.ui.tools.naming import server_of
from ggufrun.ui.tools.results import Outcome
from ggufrun.ui.tools.session import McpFailed

Read = Callable[[], Mapping[str, McpServer]]


def no_servers() -> Mapping[str, McpServer]:
    return {}


class Mcp:
    """`read` gives what ggufrun.toml has now. Raises GgufrunError where it is faulty."""

    def __init__(self, read: Read = no_servers) -> None:
        self._read = read
        self._connections: dict[str, Connection] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def of(self, api: Api) -> Mapping[str, Connection]:
        """Those that this user may use: all, or none."""
        return self._connections if await _may(api) else {}

    async def fresh(self, api: Api) -> Mapping[str, Connection]:
        """As `of`, with the file read anew. What is no longer in it, or is other now, ends."""
        if not await _may(api):
            return {}
        servers = await asyncio.to_thread(self._read)
        for name, connection in list(self._connections.items()):
            if servers.get(name) != connection.server:
                self._end(self._connections.pop(name))
        for name, server in servers.items():
            self._connections.setdefault(name, Connection(server))
        return self._connections

    async def call(self, api: Api, name: str, arguments: dict[str, Any], mark: str = "") -> Outcome:
        """`name` as the model has it. `mark`: only a tool that has it.

        Raises McpFailed, and ApiError for users who may not.
        """
        return await (await self._with(api, name)).call(name, arguments, mark)

    async def mark(self, api: Api, name: str) -> str:
        """Of a tool as it is now. Raises as `call` does."""
        return await (await self._with(api, name)).mark(name)

    async def close(self) -> None:
        """With the page. The programs end."""
        await asyncio.gather(*(each.close() for each in self._connections.values()), *self._closing)

    async def _with(self, api: Api, name: str) -> Connection:
        connections = await self.of(api)
        connection = connections.get(server_of(name, connections))
        if connection is None:
            raise McpFailed("No MCP server here has this tool. Answer by hand, or refuse.")
        return connection

    def _end(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _may(api: Api) -> bool:
    """Who may manage the server: with an admin key, or on this machine while there are no keys."""
    try:
        await api.get("/ggufrun/v1/server")
    except ApiError as error:
        if error.status in (401, 403):
            return False
        raise
    return True
