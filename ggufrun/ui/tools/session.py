"""A session with one MCP server: begun, its tools listed, and words for what goes wrong with it."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from ggufrun.errors import GgufrunError
from ggufrun.mcp_servers import McpServer, program_of
from ggufrun.ui.tools.naming import name_of
from ggufrun.ui.tools.stderr_tail import Tail

if TYPE_CHECKING:
    from mcp import ClientSession

START_S: Final = 30.0
MOST_TOOLS: Final = 128
_PAGES: Final = 20


class McpFailed(GgufrunError):
    """An MCP server did not do what it was asked, in words for the page."""


class McpChanged(McpFailed):
    """A tool is not the one that was meant."""


@dataclass(frozen=True, slots=True)
class McpTool:
    name: str  # SERVER__TOOL
    tool: str  # as its server calls it
    definition: dict[str, Any]  # as /v1/chat/completions takes it


@asynccontextmanager
async def session_with(server: McpServer, tail: Tail) -> "AsyncIterator[ClientSession]":
    """Entered and left in one task, as anyio wants. Raises whatever the libraries do: see `words`."""
    await asyncio.to_thread(importlib.import_module, "mcp.client.streamable_http")  # half a second
    import mcp
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client

    _silence()
    if server.command:
        program = mcp.StdioServerParameters(
            command=program_of(server), args=list(server.args), env=dict(server.env) or None
        )
        with tail.end as errors:
            async with stdio_client(program, errors) as (read, write), mcp.ClientSession(read, write) as session:
                errors.close()
                yield session
        return
    limits = httpx.Timeout(START_S, read=max(server.timeout, START_S))
    async with (
        httpx.AsyncClient(headers=dict(server.headers), timeout=limits) as http,
        streamable_http_client(server.url, http_client=http) as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        yield session


async def begun(session: "ClientSession", server: McpServer) -> tuple[McpTool, ...]:
    """The tools that it has."""
    async with asyncio.timeout(START_S):
        await session.initialize()
        found: dict[str, McpTool] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await session.list_tools(cursor)
            for tool in page.tools:
                name = name_of(server.name, tool.name)
                found.setdefault(name, McpTool(name, tool.name, _definition(name, tool.description, tool.inputSchema)))
            cursor = page.nextCursor
            if not cursor or len(found) >= MOST_TOOLS:
                break
        return tuple(found.values())[:MOST_TOOLS]


def words(error: BaseException, server: McpServer, tail: Tail) -> str:
    """What went wrong, and what to do next, without secrets."""
    causes = list(_leaves(error))
    said = next(filter(None, (_said(cause, server) for cause in causes)), "")
    if not said:
        said = "It ended, or does not speak MCP." if server.command else "It does not speak MCP there. Correct its url."
    last = tail.last() if server.command else ""
    return server.hide(f"{said} Its last words: {last}" if last else said)


def seconds(server: McpServer) -> timedelta:
    return timedelta(seconds=server.timeout)


def _silence() -> None:
    """The library would log what servers send, whole; some of it on the root logger."""
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_of_mcp)


def _not_of_mcp(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.parent.name != "mcp"


def _definition(name: str, description: str | None, schema: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "description": description or "", "parameters": schema or {"type": "object"}}
    return {"type": "function", "function": function}


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _said(error: BaseException, server: McpServer) -> str:
    host = urlsplit(server.url).netloc.rpartition("@")[2]
    match error:
        case FileNotFoundError():
            return f"There is no program {server.command!r}. Install it, or write where it is."
        case OSError() if server.command:
            return f"{server.command!r} cannot be started: {error.strerror}."
        case httpx.HTTPStatusError() if error.response.status_code in (401, 403):
            return f"{host} refuses (status {error.response.status_code}). Correct its headers in ggufrun.toml."
        case httpx.HTTPStatusError():
            return f"{host} answers with status {error.response.status_code}. Correct its url in ggufrun.toml."
        case httpx.TimeoutException() | TimeoutError():
            return f"It did not answer within {START_S:.0f} s."
        case httpx.HTTPError():
            return f"No MCP server answers at {host}. Start it, or correct its url in ggufrun.toml."
    return ""
