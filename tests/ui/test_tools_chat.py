"""Tool calls in a chat of the whole page: of a model that must call, and of a chat that is opened. How it all ends."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect

from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.test_tools import pending

PROGRAM: Final = str(Path(__file__).with_name("mcp_server.py"))
_NUMBER: Final = {"type": "integer", "minimum": 0, "maximum": 99}
_ADD: Final = {
    "name": "tests__add",
    "parameters": {
        "type": "object",
        "properties": {"a": _NUMBER, "b": _NUMBER},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}
ADDER: Final = {
    "sampling": {"tool_choice": "any", "parallel_tool_calls": False, "temperature": 0, "max_tokens": 100},
    "tools": [{"type": "function", "function": _ADD}],
}


@pytest.fixture(scope="module")
def server(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    command, args = json.dumps(sys.executable), json.dumps([PROGRAM])
    (home / "ggufrun.toml").write_text(f'[mcp.tests]\ncommand = {command}\nargs = {args}\nenv = {{ A = "s3cr3t" }}\n')
    with served("demo", home, page=True) as running:
        yield running


@pytest.fixture
def user(browser: Browser, server: Served) -> Iterator[Tab]:
    """Who has not opened the page yet."""
    with tab(browser, str(server.client.base_url).rstrip("/")) as opened:
        yield opened


def programs(server: Served) -> list[psutil.Process]:
    return [each for each in psutil.Process(server.process.pid).children() if PROGRAM in each.cmdline()]


def messages(client: httpx.Client, chat: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/ggufrun/v1/chats/{chat}").raise_for_status().json()["messages"]
    return found


def results(client: httpx.Client, chat: str) -> list[tuple[str, str]]:
    """Of the tools, once the server has them and the answer has come."""
    end = time.monotonic() + 60
    while True:
        there = messages(client, chat)
        if there[-1]["role"] == "assistant" and there[-2]["role"] == "tool":
            return [(each["tool_call_id"], each["content"]) for each in there if each["role"] == "tool"]
        assert time.monotonic() < end, there
        time.sleep(0.1)


def test_a_models_call_is_run_and_it_goes_on(user: Tab, server: Served) -> None:
    server.client.put("/ggufrun/v1/presets/adder", json={"settings": ADDER}).raise_for_status()
    page, call = user.page, user.page.locator("#toolcall")
    user.open()
    page.locator("#preset input").click()
    page.get_by_role("option", name="adder").click()
    page.locator("#settings").get_by_text("Tools", exact=True).click()
    expect(page.get_by_label("tests: add")).to_be_checked()
    page.locator("#ask textarea").fill("Add 2 and 3.")
    page.locator("#ask textarea").press("Enter")
    expect(call).to_contain_text("Tool call tests__add on the MCP server tests.")
    assert not programs(server), "nothing is started before it is confirmed"
    page.locator("#toolrun").click()
    expect(call).to_contain_text("This is what the tool gave back.")
    expect(page.locator("#toolanswer textarea")).not_to_have_value("")
    answer = page.locator("#toolanswer textarea").input_value()
    page.locator("#toolsend").click()
    expect(page.get_by_label("tests (6 tools)")).to_be_checked()
    (chat,) = server.client.get("/ggufrun/v1/chats").json()["data"]
    there = messages(server.client, chat["id"])
    given = json.loads(there[1]["tool_calls"][0]["function"]["arguments"])
    assert answer == str(given["a"] + given["b"])
    assert results(server.client, chat["id"])[0] == (there[1]["tool_calls"][0]["id"], answer)
    assert len(programs(server)) == 1


def test_a_chats_open_calls_are_answered_by_hand(user: Tab, server: Served) -> None:
    client, page = server.client, user.page
    chat = client.post(
        "/ggufrun/v1/chats", json={"title": "Weather", "settings": {"sampling": {"max_tokens": 5}}}
    ).json()
    place = f"/ggufrun/v1/chats/{chat['id']}/messages"
    client.post(place, json={"content": "How warm is it?"}).raise_for_status()
    calls = pending(("temperature_in", '{"city": "<img src=x onerror=alert(1)>"}'), ("tests__add", '{"a": 1, "b": 1}'))
    client.post(place, json={"role": "assistant", "tool_calls": calls}).raise_for_status()
    user.open()
    page.locator("#chats").get_by_text("Weather").click()
    expect(page.locator("#toolcall")).to_contain_text("Tool call 1 of 2 temperature_in")
    page.locator("#toolanswer textarea").fill("21 degrees")
    page.locator("#toolnext").click()
    expect(page.locator("#toolcall")).to_contain_text("2 of 2")
    page.locator("#toolrefuse").click()
    page.locator("#toolsend").click()
    expect(page.locator("#toolcalls")).to_be_hidden()
    assert results(client, chat["id"]) == [("call0", "21 degrees"), ("call1", "The user refused this call.")]


def test_the_end_ends_mcp_servers_too(user: Tab, server: Served) -> None:
    """The last test: with the page open, and a program running."""
    user.open()
    (program,) = programs(server)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    assert not program.is_running()
    log = "".join(server.log)
    assert "s3cr3t" not in log and "mcp" not in log and "Traceback" not in log
    user.wrong.clear()  # the browser has lost its server
