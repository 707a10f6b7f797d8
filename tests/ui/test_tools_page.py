"""The tools in a browser, on a page of their own: written, of MCP servers; calls answered, run, refused, cancelled."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from ggufrun.mcp_servers import McpServer
from ggufrun.records.keys import KeyStore
from ggufrun.ui.tools.naming import name_of
from tests.api.served import served
from tests.ui.browser import Tab, tab
from tests.ui.late import late
from tests.ui.test_tools import pending, tool
from tests.ui.tools_page import tools_page

PROGRAM: Final = str(Path(__file__).with_name("mcp_server.py"))
SECRET: Final = "s3cr3t-token"
SLOW: Final = name_of("tests", "files/slow.read")
HOSTILE: Final = "<img src=x onerror=alert(1)>"


class Place:
    """Where the page is, and who there is."""

    def __init__(self, url: str, admin: str, chatter: str, late: Path) -> None:
        self.url, self.admin, self.chatter, self.late = url, admin, chatter, late


@pytest.fixture(scope="module")
def place(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home")
    with closing(KeyStore(home / "ggufrun.db")) as keys:
        admin, chatter = keys.add("admin", scope="admin"), keys.add("chatter")
    env, late = {"TOKEN": SECRET}, home / "late"
    servers = {
        "tests": McpServer("tests", sys.executable, (PROGRAM,), env),
        "broken": McpServer("broken", sys.executable, (PROGRAM, "--broken"), env),
        "late": McpServer("late", sys.executable, (PROGRAM, "--after", str(late))),
    }
    with served("demo", home) as server, tools_page(str(server.client.base_url), servers) as url:
        yield Place(url, admin, chatter, late)
    assert not programs(), "the page's end ends them"


@pytest.fixture
def user(browser: Browser, place: Place) -> Iterator[Tab]:
    with opened(browser, place, place.admin) as there:
        yield there


def opened(browser: Browser, place: Place, key: str) -> Any:
    return tab(browser, place.url, extra_http_headers={"Cookie": f"key={key}"})


def programs() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if PROGRAM in each.cmdline()]


def told(page: Page) -> list[str]:
    """The names of the tools that a model would be told of."""
    text = page.locator("#told textarea").input_value()
    return [each["function"]["name"] for each in json.loads(text or "[]")]


def expect_told(page: Page, *names: str) -> None:
    end = time.monotonic() + 30
    while told(page) != [*names]:
        assert time.monotonic() < end, told(page)
        page.wait_for_timeout(50)


def write(page: Page, text: str) -> None:
    """Over what is written."""
    page.locator("#toolsjson .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text) if text else page.keyboard.press("Delete")


def set_state(page: Page, name: str, value: Any) -> None:
    page.locator(f"#{name} textarea").fill(json.dumps(value))
    page.locator(f"#{name} textarea").press("Enter")


def given(page: Page) -> list[tuple[str, str]]:
    expect(page.locator("#given textarea")).not_to_have_value("")
    set_state(page, "pending", [])  # as the chat does that has stored them
    expect(page.locator("#toolcalls")).to_be_hidden()
    return [(each["name"], each["content"]) for each in json.loads(page.locator("#given textarea").input_value())]


def test_tools_are_written_as_json(user: Tab) -> None:
    user.open()
    page, wrong = user.page, user.page.locator("#toolswrong")
    page.locator("#toolexample").click()
    expect_told(page, "temperature_in")
    expect(page.locator("#toolsjson")).to_contain_text("temperature_in")
    write(page, '[\n {"a" 1}\n]')
    expect(wrong).to_have_text("Line 2, column 7: a colon is missing.")
    assert told(page) == ["temperature_in"], "what is wrong is not used"
    write(page, json.dumps([tool("ok"), tool("bad", parameters={"type": HOSTILE})]))
    expect(wrong).to_contain_text(f"Tool 2, 'bad': Invalid tool schema: '{HOSTILE}' is not valid")
    write(page, '[{"type": "function", "function": {}}]')
    expect(wrong).to_contain_text("Tool 1: function.name: Field required")
    write(page, json.dumps([tool("one"), tool("tests__two")]))
    expect(wrong).to_contain_text("Tool 2, 'tests__two': names with 'tests__' are for tools of the MCP server 'tests'")
    write(page, json.dumps([tool("one"), tool("two")]))
    expect(wrong).to_have_text("")
    expect_told(page, "one", "two")
    write(page, "")
    expect_told(page)


def test_mcp_tools_join_the_written_ones(user: Tab) -> None:
    user.open()
    page = user.page
    write(page, json.dumps([tool("one")]))
    expect_told(page, "one")
    page.get_by_label("tests (not connected)").check()
    expect(page.get_by_label("tests (6 tools)")).to_be_checked()
    mcp = [f"tests__{name}" for name in ("add", "echo", "fail")]
    expect(page.get_by_label("tests: leave")).to_be_checked()
    expect_told(page, "one", *mcp, SLOW, "tests__picture", "tests__leave")
    for name in ("fail", "picture", "leave", SLOW.removeprefix("tests__")):
        page.get_by_label(f"tests: {name}").uncheck()
    expect_told(page, "one", "tests__add", "tests__echo")

    page.get_by_label("broken (not connected)").check()
    expect(page.locator("#mcpfailed")).to_contain_text(
        "broken: It ended, or does not speak MCP. Its last words: no token …"
    )
    expect(page.get_by_label("broken (failed)")).not_to_be_checked()
    expect(page.get_by_label("tests (6 tools)")).to_be_checked()
    assert told(page) == ["one", "tests__add", "tests__echo"]
    assert SECRET not in page.content()
    page.get_by_label("tests (6 tools)").uncheck()
    expect_told(page, "one")
    expect(page.locator("#mcptools")).to_be_hidden()


def test_what_was_chosen_in_another_chat_is_not_used(user: Tab, place: Place) -> None:
    user.open()
    page = user.page
    set_state(page, "chat", "first")
    page.get_by_label("late (not connected)").check()
    expect(page.get_by_label("late (connecting …)")).to_be_disabled()
    set_state(page, "chat", "second")
    set_state(page, "told", [tool("mine")])
    expect(page.locator("#toolsjson")).to_contain_text("mine")
    place.late.touch()
    expect(page.locator("#mcpfailed")).to_contain_text("Another chat was opened meanwhile")
    expect(page.get_by_label("late (6 tools)")).not_to_be_checked()
    assert told(page) == ["mine"]
    page.get_by_label("late (6 tools)").check()
    expect(page.get_by_label("late: add")).to_be_checked()
    names = ("add", "echo", "fail", name_of("late", "files/slow.read").removeprefix("late__"), "picture", "leave")
    expect_told(page, "mine", *(f"late__{name}" for name in names))


def test_a_chats_tools_are_shown(user: Tab) -> None:
    user.open()
    page = user.page
    stored = [tool("mine"), tool("tests__add"), tool("gone__x")]
    set_state(page, "told", stored)
    expect(page.locator("#toolsjson")).to_contain_text("gone__x")
    expect(page.locator("#toolsjson")).not_to_contain_text("tests__add")
    expect(page.get_by_label("tests: add")).to_be_checked()
    write(page, "[]")
    expect_told(page, "tests__add")
    page.get_by_label("tests: add").uncheck()
    expect_told(page)
    page.get_by_label("tests: add").check()
    expect_told(page, "tests__add")
    set_state(page, "told", [])
    expect(page.locator("#mcptools")).to_be_hidden()
    expect(page.locator("#toolsjson .cm-content")).to_have_text("")


def test_who_may_not_manage_the_server_has_no_mcp_servers(browser: Browser, place: Place) -> None:
    with opened(browser, place, place.chatter) as user:
        user.open()
        set_state(user.page, "told", [tool("tests__add")])
        expect(user.page.locator("#toolsjson")).to_contain_text("tests__add")
        expect(user.page.locator("#mcpservers")).to_be_hidden()
        set_state(user.page, "pending", pending(("tests__add", '{"a": 1, "b": 2}')))
        expect(user.page.locator("#toolanswer")).to_be_visible()
        expect(user.page.locator("#toolrun")).to_be_hidden()


def test_calls_are_answered_by_hand_run_and_refused(user: Tab) -> None:
    user.open()
    page, call, answer = user.page, user.page.locator("#toolcall"), user.page.locator("#toolanswer textarea")
    calls = [
        (HOSTILE, json.dumps({"</pre>": HOSTILE})),
        ("tests__add", '{"a": 2, "b": 3}'),
        ("tests__fail", '{"why": '),
    ]
    set_state(page, "pending", pending(*calls, ("other", "{}")))
    expect(call).to_contain_text(f"Tool call 1 of 4 {HOSTILE}")
    expect(page.locator("#toolrun")).to_be_hidden()
    answer.fill("by <b>hand</b>")
    page.locator("#toolnext").click()
    expect(call).to_contain_text("Tool call 2 of 4 tests__add on the MCP server tests.")
    expect(answer).to_have_value("")
    page.locator("#toolrun").click()
    expect(answer).to_have_value("5")
    expect(call).to_contain_text("This is what the tool gave back.")
    page.locator("#toolnext").click()
    expect(call).to_contain_text("no JSON object")
    expect(page.locator("#toolrun")).to_be_hidden()
    page.locator("#toolrefuse").click()
    expect(call).to_contain_text("4 of 4")
    expect(page.locator("#toolsend")).to_be_disabled()
    answer.press_sequentially("last")
    page.locator("#toolsend").click()
    assert given(page) == [
        (HOSTILE, "by <b>hand</b>"),
        ("tests__add", "5"),
        ("tests__fail", "The user refused this call."),
        ("other", "last"),
    ]


def test_results_stay_until_the_chat_has_them(user: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.ui.tools.calls._AGAIN_S", 8.0)  # so that what holds meanwhile can be looked at
    user.open()
    page, call, answer = user.page, user.page.locator("#toolcall"), user.page.locator("#toolanswer textarea")
    set_state(page, "chat", "first")
    place = {"chat": "first", "message": "1"}
    set_state(page, "pending", pending(("f", "{}"), ("g", "{}"), **place))
    answer.fill("one")
    page.locator("#toolnext").click()
    expect(call).to_contain_text("2 of 2")
    expect(answer).to_have_value("")
    answer.press_sequentially("two")
    page.locator("#toolsend").click()
    expect(call).to_contain_text("The results are sent …")
    expect(page.locator("#toolsend")).to_be_disabled()
    expect(answer).to_be_disabled()
    expect(call).to_contain_text("The chat has not gone on with these results.")
    expect(answer).to_have_value("two")
    page.locator("#toolsend").click()
    expect(page.locator("#times input")).to_have_value("2")
    assert {each["chat"] for each in json.loads(page.locator("#given textarea").input_value())} == {"first"}
    set_state(page, "pending", pending(("f", "{}"), ("g", "{}"), **place)[1:])  # it could store the first one only
    expect(call).not_to_contain_text("2 of 2")
    expect(answer).to_have_value("two")

    set_state(page, "chat", "second")
    expect(page.locator("#chat textarea")).to_have_value('"second"')
    page.locator("#toolsend").click()
    expect(call).to_contain_text("Another chat is open by now: nothing was sent.")
    expect(page.locator("#times input")).to_have_value("2")


def test_many_calls_are_all_answered(user: Tab) -> None:
    user.open()
    page, call, answer = user.page, user.page.locator("#toolcall"), user.page.locator("#toolanswer textarea")
    many = [("f", json.dumps({"n": number})) for number in range(40)]
    set_state(page, "pending", pending(*many))
    expect(call).to_contain_text("Tool call 1 of 40")
    answer.fill("one")
    for number in range(2, 21):
        page.locator("#toolnext").click()
        expect(call).to_contain_text(f"Tool call {number} of 40")
    expect(answer).to_have_value("")
    answer.press_sequentially("twenty")
    page.get_by_role("button", name="Refuse the other 39").click()
    expect(page.locator("#toolrefuserest")).to_be_hidden()
    expect(call).to_contain_text("20 of 40")
    page.locator("#toolsend").click()
    found = given(page)
    assert len(found) == 40 and (found[0][1], found[19][1]) == ("one", "twenty")
    assert {content for _, content in found} == {"one", "twenty", "The user refused this call."}


@pytest.mark.parametrize("button", ["run", "always", "refuse", "send"])
def test_what_is_clicked_is_done_to_the_call_that_was_seen(user: Tab, button: str) -> None:
    """Another chat's call comes, and the click is on its way."""
    user.open()
    page, call, answer = user.page, user.page.locator("#toolcall"), user.page.locator("#toolanswer textarea")
    set_state(page, "pending", pending(("tests__add", '{"a": 2, "b": 3}'), chat="first", message="1"))
    expect(call).to_contain_text('"a": 2')
    answer.press_sequentially("by hand")
    expect(page.locator("#toolsend")).to_be_enabled()
    with late(page) as arrives:
        page.locator(f"#tool{button}").click()
    set_state(page, "pending", pending(("tests__add", '{"a": 7, "b": 8}'), chat="second", message="1"))
    expect(call).to_contain_text('"a": 7')
    arrives()
    expect(page.get_by_text("That call is not open any more: nothing was done.")).to_be_visible()
    expect(call).to_contain_text('"a": 7')
    expect(answer).to_have_value("")
    expect(page.locator("#toolsend")).to_be_disabled()
    expect(page.locator("#mcpallowed")).to_be_hidden()
    expect(page.locator("#times input")).to_have_value("0")
    # Gradio cancels what has no number yet, and the browser says that it cannot.
    user.wrong[:] = [each for each in user.wrong if "status of 422" not in each]


def test_a_tool_that_is_allowed_runs_by_itself_in_that_chat(user: Tab) -> None:
    user.open()
    page, call, allowed = user.page, user.page.locator("#toolcall"), user.page.locator("#mcpallowed")
    times, sums = page.locator("#times input"), {"a": 2, "b": 3}

    def comes(chat: str, message: str, *, name: str = "tests__add", fresh: bool = True, **more: int) -> None:
        of = {"chat": chat, "message": message, "fresh": fresh, "round": 1, **more}
        set_state(page, "pending", pending((name, json.dumps({**sums, "of": message})), **of))
        expect(call).to_contain_text(f'"of": "{message}"')

    def asks() -> None:
        expect(page.locator("#toolrun")).to_be_visible()
        expect(page.locator("#toolanswer textarea")).to_have_value("")

    set_state(page, "chat", "first")
    comes("first", "m1")
    asks()
    expect(allowed).to_be_hidden()
    page.locator("#toolalways").click()
    expect(call).to_contain_text("This is what the tool gave back.")
    expect(allowed.get_by_label("tests__add")).to_be_checked()
    expect(times).to_have_value("0")  # the first one is sent as ever
    comes("first", "m2")
    expect(times).to_have_value("1")
    assert json.loads(page.locator("#given textarea").input_value())[0]["content"] == "5"
    comes("first", "m2", again=1)
    expect(page.get_by_role("button", name="Run again")).to_be_visible()  # once is enough for an answer
    for other in ({"fresh": False}, {"name": "tests__echo"}, {"round": 26}):
        comes("first", f"m3 {other}", **other)
        asks()
    set_state(page, "chat", "second")
    expect(allowed).to_be_hidden()
    comes("second", "m4")
    asks()
    set_state(page, "chat", "first")
    expect(allowed.get_by_label("tests__add")).to_be_checked()
    comes("first", "m5")
    expect(times).to_have_value("2")
    allowed.get_by_label("tests__add").uncheck()
    expect(allowed).to_be_hidden()
    comes("first", "m6")
    asks()
    expect(times).to_have_value("2")


def test_a_run_is_seen_and_cancelled_and_can_fail(user: Tab, tmp_path: Path) -> None:
    user.open()
    page, call, answer = user.page, user.page.locator("#toolcall"), user.page.locator("#toolanswer textarea")
    mark = tmp_path / "mark"
    set_state(page, "pending", pending((SLOW, json.dumps({"seconds": 60, "mark": str(mark)}))))
    page.locator("#toolrun").click()
    expect(call).to_contain_text("It runs …")
    expect(answer).to_be_disabled()
    wait_for(mark, "begun")
    page.locator("#toolcancel").click()
    expect(call).to_contain_text("Cancelled.")
    wait_for(mark, "cancelled")
    expect(page.locator("#toolsend")).to_be_disabled()
    for name, said in (("fail", "The tool reports an error."), ("leave", "what it did is not known")):
        set_state(page, "pending", pending((f"tests__{name}", "{}")))
        expect(page.locator("#toolcall")).to_contain_text(name)
        page.locator("#toolrun").click()
        expect(call).to_contain_text(said)
    set_state(page, "pending", pending(("tests__add", '{"a": 2, "b": 2}')))
    expect(call).to_contain_text("add")
    page.locator("#toolrun").click()
    expect(answer).to_have_value("4")
    answer.fill("five")  # a user may know better
    page.locator("#toolsend").click()
    assert given(page) == [("tests__add", "five")]


def test_another_chat_ends_a_run(user: Tab, tmp_path: Path) -> None:
    user.open()
    page = user.page
    mark = tmp_path / "mark"
    set_state(page, "pending", pending((SLOW, json.dumps({"seconds": 60, "mark": str(mark)}))))
    page.locator("#toolrun").click()
    wait_for(mark, "begun")
    set_state(page, "pending", [])
    expect(page.locator("#toolcalls")).to_be_hidden()
    wait_for(mark, "cancelled")


def wait_for(mark: Path, text: str) -> None:
    end = time.monotonic() + 30
    while not (mark.exists() and mark.read_text() == text):
        assert time.monotonic() < end
        time.sleep(0.05)
