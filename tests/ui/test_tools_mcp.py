"""Connections with real MCP servers: programs on their standard streams, and one on HTTP. No page."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from ggufrun.mcp_servers import McpServer
from ggufrun.ui.client import Api, Server
from ggufrun.ui.errors import ApiError
from ggufrun.ui.tools.connection import Connection
from ggufrun.ui.tools.mcp import Mcp
from ggufrun.ui.tools.session import McpChanged, McpFailed

pytestmark = pytest.mark.process

PROGRAM: Final = str(Path(__file__).with_name("mcp_server.py"))
START_S: Final = 30.0


def program(*args: str, **more: Any) -> McpServer:
    return McpServer("tests", sys.executable, (PROGRAM, *args), **more)


@pytest.fixture
async def tests() -> AsyncIterator[Connection]:
    connection = Connection(program())
    yield connection
    await connection.close()
    assert not programs(), "no program is left, and no zombie"


def programs() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if each.status() == psutil.STATUS_ZOMBIE or _is_ours(each)]


def _is_ours(process: psutil.Process) -> bool:
    return PROGRAM in process.cmdline()


@contextmanager
def on_http() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(port):
        yield f"http://127.0.0.1:{port}/mcp"


@contextmanager
def started(port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "--port", str(port)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


async def until_written(path: Path) -> str:
    return await asyncio.to_thread(_until_written, path)


def _until_written(path: Path) -> str:
    end = time.monotonic() + START_S
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return path.read_text()


def tool(connection: Connection, part: str) -> str:
    return next(each.name for each in connection.tools if part in each.name)


async def test_its_tools_are_listed_and_called(tests: Connection) -> None:
    await tests.connect()
    assert tests.state == "connected" and [each.tool for each in tests.tools][:3] == ["add", "echo", "fail"]
    definition = tests.tools[0].definition
    assert definition["function"]["name"] == "tests__add" and definition["function"]["description"]
    assert definition["function"]["parameters"]["required"] == ["a", "b"]
    assert (await tests.call("tests__add", {"a": 2, "b": 3})).text == "5"
    failed = await tests.call("tests__fail", {"why": "<i>because</i>"})
    assert failed.failed and failed.text.endswith("<i>because</i>")
    assert "image/png" in (await tests.call("tests__picture", {})).text
    assert (await tests.call("tests__echo", {"text": "x" * 1000, "times": 200})).text.endswith("100.0 kB of 200.0 kB.]")
    assert (await tests.call("tests__add", {"a": "no"})).failed
    with pytest.raises(McpFailed, match="has no tool of this name"):
        await tests.call("tests__gone", {})


async def test_a_tool_that_has_changed_is_not_the_one_that_was_allowed(tmp_path: Path) -> None:
    connection, other = Connection(program("--other", str(tmp_path / "other"))), Connection(program("--port", "0"))
    try:
        mark = await connection.mark("tests__echo")
        assert mark and mark != await connection.mark("tests__add") and mark == await connection.mark("tests__echo")
        assert (await connection.call("tests__echo", {"text": "a"}, mark)).text == "a"
        (tmp_path / "other").touch()
        assert (await connection.call("tests__echo", {"text": "a"}, mark)).text == "a", "it is the same program still"
        with pytest.raises(McpFailed):
            await connection.call("tests__leave", {})
        with pytest.raises(McpChanged, match="it asks again"):
            await connection.call("tests__echo", {"text": "a"}, mark)
        assert (await connection.call("tests__echo", {"text": "a"})).text == "a", "where the user says so"
        assert mark != await connection.mark("tests__echo") and mark != await other.mark("tests__echo")
    finally:
        await asyncio.gather(connection.close(), other.close())


async def test_two_who_come_at_once_share_one_program(tests: Connection) -> None:
    both = await asyncio.gather(tests.call("tests__add", {"a": 1, "b": 1}), tests.call("tests__add", {"a": 2, "b": 2}))
    assert [each.text for each in both] == ["2", "4"] and len(programs()) == 1


async def test_a_call_is_cancelled_there_too(tests: Connection, tmp_path: Path) -> None:
    await tests.connect()
    mark = tmp_path / "mark"
    call = asyncio.create_task(tests.call(tool(tests, "slow"), {"seconds": 60, "mark": str(mark)}))
    assert await until_written(mark) == "begun"
    mark.write_text("")
    call.cancel()
    assert await until_written(mark) == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await tests.call("tests__add", {"a": 1, "b": 1})).text == "2"


async def test_a_call_that_takes_too_long_ends(tmp_path: Path) -> None:
    connection = Connection(program(timeout=0.2))
    await connection.connect()
    with pytest.raises(McpFailed, match=r"within 0\.2 s. Raise its timeout"):
        await connection.call(tool(connection, "slow"), {"seconds": 60})
    await connection.close()


async def test_a_program_that_ended_is_started_again(tests: Connection) -> None:
    with pytest.raises(McpFailed, match="what it did is not known"):
        await tests.call("tests__leave", {})
    states = [tests.state]
    assert (await tests.call("tests__add", {"a": 1, "b": 1})).text == "2"
    assert [*states, tests.state] == ["failed", "connected"]


async def test_two_who_find_it_ended_begin_one_together(tests: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await tests.connect()

    async def dead() -> Any:
        await asyncio.sleep(0.1)  # the other asks, too
        raise ConnectionError

    monkeypatch.setattr(first, "send_ping", dead)
    name = tool(tests, "slow")
    one = asyncio.create_task(tests.call(name, {"seconds": 1}))
    two = asyncio.create_task(tests.call("tests__add", {"a": 1, "b": 1}))
    assert (await two).text == "2" and len(programs()) == 1
    assert (await one).text == "waited", "the second has not ended what the first runs on"


async def test_nobody_gets_a_session_that_ends(tests: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await tests.connect()

    pinged = asyncio.Event()

    async def dead() -> Any:
        pinged.set()
        raise ConnectionError

    monkeypatch.setattr(first, "send_ping", dead)
    (program,) = programs()
    call = asyncio.create_task(tests.call("tests__add", {"a": 1, "b": 1}))
    await pinged.wait()  # it ends by now
    assert program.is_running() and await tests.connect() is not first
    assert (await call).text == "2" and len(programs()) == 1
    await tests.close()
    with pytest.raises(McpFailed, match="was closed"):
        await tests.connect()


async def test_a_program_that_does_not_end_is_killed() -> None:
    connection = Connection(program("--stubborn"))
    await connection.connect()
    began = time.monotonic()
    await connection.close()
    assert time.monotonic() - began < 15 and not programs()


async def test_what_fails_is_said_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    secret = {"TOKEN": "s3cr3t-token"}
    for server, says in (
        (program("--broken", env=secret), "Its last words: no token … for <script>"),
        (McpServer("none", "no-such-program-anywhere"), "There is no program 'no-such-program-anywhere'"),
        (McpServer("quiet", "true"), "It ended, or does not speak MCP."),
        (McpServer("web", url="http://user:s3cr3t-token@127.0.0.1:9/mcp"), "No MCP server answers at 127.0.0.1:9."),
    ):
        connection = Connection(server)
        with pytest.raises(McpFailed) as caught:
            await connection.connect()
        assert says in str(caught.value) and connection.state == "failed" and connection.problem == str(caught.value)
        assert "s3cr3t" not in str(caught.value) + caplog.text
        await connection.close()
    assert not programs()


async def test_a_server_on_http_is_found_again_after_a_restart() -> None:
    with on_http() as url:
        connection = Connection(McpServer("web", url=url, headers={"Authorization": "Bearer s3cr3t"}))
        assert (await connection.call("web__add", {"a": 2, "b": 3})).text == "5"
        wrong = Connection(McpServer("web", url=url.replace("/mcp", "/wrong")))
        with pytest.raises(McpFailed, match="Correct its url"):
            await wrong.connect()
        await wrong.close()
    with started(int(url.rpartition(":")[2].removesuffix("/mcp"))):
        assert (await connection.call("web__add", {"a": 2, "b": 3})).text == "5", "its session was forgotten there"
        await connection.close()


class Caller(Api):
    """A user whom the server lets manage it, or does not."""

    def __init__(self, *, admin: bool) -> None:
        super().__init__(Server("http://127.0.0.1:9"), "")
        self._admin = admin

    async def get(self, path: str, **query: Any) -> Any:
        assert path == "/ggufrun/v1/server"
        if not self._admin:
            raise ApiError("This needs the scope admin.", 403)
        return {}


async def test_only_those_who_manage_the_server_have_them() -> None:
    there = {"tests": program()}
    mcp, admin, other = Mcp(lambda: there), Caller(admin=True), Caller(admin=False)
    assert await mcp.fresh(other) == {} and await mcp.of(admin) == {}, "the file is not even read for others"
    assert list(await mcp.fresh(admin)) == ["tests"] and await mcp.of(other) == {}
    with pytest.raises(McpFailed, match="No MCP server here"):
        await mcp.call(other, "tests__add", {"a": 1, "b": 1})
    assert not programs()
    assert (await mcp.call(admin, "tests__add", {"a": 1, "b": 1})).text == "2"
    await mcp.close()
    assert not programs()


async def test_what_is_changed_in_the_file_ends_and_begins_anew() -> None:
    there = {"tests": program(), "other": McpServer("other", "none")}
    mcp, admin = Mcp(lambda: there), Caller(admin=True)
    first = (await mcp.fresh(admin))["tests"]
    await first.connect()
    assert (await mcp.fresh(admin))["tests"] is first
    there = {"tests": program(timeout=5)}
    servers = await mcp.fresh(admin)
    assert list(servers) == ["tests"] and servers["tests"] is not first
    await mcp.close()
    assert not programs()
