"""What the chat's handlers do when several things happen at once: without a browser, and a server that is held."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from copy import deepcopy
from html import unescape
from typing import Any, cast

import gradio as gr
import pytest

from ggufrun.ui.chat.desk import Desk
from ggufrun.ui.chat.panel import chat_panel
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.settings.sampling import texts_of
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.settings.values import with_sampling, with_system
from ggufrun.ui.shared import Shared, ToolResult
from ggufrun.ui.users import Users

REQUEST = cast(gr.Request, None)
CHATS = "/ggufrun/v1/chats"
Json = dict[str, Any]


class Held(Api):
    """A server whose replies come when the test lets them. `asked`: what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.held: dict[tuple[str, str], asyncio.Event] = {}
        self.reached: dict[tuple[str, str], asyncio.Event] = {}
        self.failing: dict[tuple[str, str], Exception] = {}
        self.chats: dict[str, Json] = {}
        self.streams: list[list[Json] | ApiError] = []

    def hold(self, method: str, path: str) -> asyncio.Event:
        return self.held.setdefault((method, path), asyncio.Event())

    async def get(self, path: str, **query: Any) -> Any:
        return await self._answer("GET", path)

    async def post(self, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        return await self._answer("POST", path, body)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._answer("PATCH", path, body)

    async def delete(self, path: str) -> Any:
        return await self._answer("DELETE", path)

    async def events(self, path: str, body: Any = None, **query: Any) -> AsyncGenerator[Any, None]:
        self.asked.append(("EVENTS", path, None))
        stream = self.streams.pop(0)
        if isinstance(stream, ApiError):
            raise stream
        for event in stream:
            yield event

    async def seen(self, method: str, path: str) -> None:
        await self.reached.setdefault((method, path), asyncio.Event()).wait()

    def count(self, method: str, path: str) -> int:
        return sum((method, path) == each[:2] for each in self.asked)

    async def _answer(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        self.reached.setdefault((method, path), asyncio.Event()).set()
        if held := self.held.get((method, path)):
            await held.wait()
        if error := self.failing.get((method, path)):
            raise error
        if path == "/v1/models":
            return {"data": []}
        if (method, path) == ("POST", CHATS):
            return self.chats.setdefault("new", chat("new"))
        id, *more = path.removeprefix(f"{CHATS}/").split("/")
        if more == ["runs"]:
            return {"id": "r", "added": [said("q", "user", "Hi")], "message": said("a", "assistant", "", "q")}
        if more == ["messages"]:
            return {**said(f"t{len(self.asked)}", "tool", "", body["parent"]), "tool_call_id": body["tool_call_id"]}
        if method == "GET" and id not in self.chats:
            raise ApiError("gone", 404)
        return self.chats.get(id)


def said(id: str, role: str, content: str = "", parent: str | None = None, **more: Any) -> Json:
    return {"id": id, "role": role, "parent": parent, "content": content, **more}


def chat(id: str, *messages: Json, **more: Any) -> Json:
    head = messages[-1]["id"] if messages else None
    found: Json = {
        "id": id,
        "messages": messages,
        "head": head,
        "run": None,
        "model": "",
        "settings": {},
        "updated": 1.0,
    }
    return {**found, **more}


def answered(id: str, **more: Any) -> Json:
    return chat(id, said("1", "user", "Hello."), said("2", "assistant", "Hello!", "1"), **more)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(Users, "api", lambda *_: held)
    held.chats = {"A": answered("A"), "B": answered("B")}
    return held


@pytest.fixture
def desk() -> Desk:
    views: list[View] = []
    with pytest.MonkeyPatch.context() as patch, gr.Blocks():
        patch.setattr("ggufrun.ui.chat.panel._listen", lambda view, *_: views.append(view))
        chat_panel(Shared.made(Users()), gr.HTML(js_on_load="trigger('open'); trigger('gone')"))
    return Desk(views[0])


async def all_of(updates: AsyncIterator[Changes]) -> Changes:
    """The last value of each component."""
    last: Changes = {}
    async for update in updates:
        last |= update
    return last


async def opened(desk: Desk, tab: Tab, chat: str) -> Changes:
    return await all_of(desk.opening.opened(chat, tab, REQUEST))


def facts(desk: Desk, changes: Changes) -> Json:
    return dict(json.loads(unescape(changes[desk.view.facts].split('"')[1])))


def box(text: str, *files: str) -> Json:
    return {"text": text, "files": list(files)}


def on(tab: Tab, message: str = "") -> Json:
    """What a browser tells that shows what the tab has."""
    chat = tab.conversation
    return {"chat": chat.id, "opens": tab.opens, "head": chat.head, "run": chat.run, "message": message}


async def until(api: Held, method: str, path: str) -> None:
    async with asyncio.timeout(60):
        await api.seen(method, path)


async def test_a_message_is_taken_even_if_another_chat_was_opened(desk: Desk, api: Held) -> None:
    tab = Tab()
    await opened(desk, tab, "A")
    begins = api.hold("POST", f"{CHATS}/A/runs")
    sending = asyncio.create_task(all_of(desk.send(box("Hi"), on(tab), "m", TabSettings(), tab, REQUEST)))
    await until(api, "POST", f"{CHATS}/A/runs")
    await opened(desk, tab, "B")
    begins.set()
    changes = await sending
    assert facts(desk, changes)["chat"] == "B" and facts(desk, changes)["taken"] == [1, ["A"], "Hi", 0]
    assert tab.conversation.id == "B" and not tab.is_busy


def test_the_script_knows_what_was_taken_by_its_text_and_files() -> None:
    tab = Tab()
    for text, brief in (("Hi", "Hi"), ("é" * 2000, "é" * 2000), ("a" * 1500 + "b" * 1500, "a" * 1000 + "b" * 1000)):
        tab.was_taken((text, ("f", "g")), "A", "")
        assert tab.taken[1:] == (("A", ""), brief, 2)
    assert tab.taken.times == 3


async def test_what_was_read_along_last_makes_place_for_what_is_shown_now(desk: Desk, api: Held) -> None:
    """The last update of an answer that was left may reach the browser after the chat that it was left for."""
    tab = Tab()
    await opened(desk, tab, "A")
    await all_of(desk.again(on(tab), "m", TabSettings(), tab, REQUEST))
    await opened(desk, tab, "B")
    changes = await desk.following.ended(tab, REQUEST)
    assert changes[desk.view.running] == [] and desk.view.meter in changes and desk.view.ask in changes
    await all_of(desk.again(on(tab), "m", TabSettings(), tab, REQUEST))  # another one comes
    changes = await desk.following.ended(tab, REQUEST)
    assert changes[desk.view.running] and tab.is_busy


async def test_enter_twice_sends_once(desk: Desk, api: Held) -> None:
    tab = Tab()
    twice = [all_of(desk.send(box("Hi"), on(tab), "m", TabSettings(), tab, REQUEST)) for _ in range(2)]
    await asyncio.gather(*twice)
    assert api.count("POST", CHATS) == 1 and api.count("POST", f"{CHATS}/new/runs") == 1
    assert tab.is_busy and tab.wanted == "new"
    tab = Tab()
    await opened(desk, tab, "A")
    again = [all_of(desk.again(on(tab), "m", TabSettings(), tab, REQUEST)) for _ in range(2)]
    await asyncio.gather(*again)
    assert api.count("POST", f"{CHATS}/A/runs") == 1


@pytest.mark.parametrize("where", [("POST", f"{CHATS}/A/runs"), ("POST", CHATS)])
async def test_what_nobody_expects_leaves_the_tab_as_it_was(
    desk: Desk, api: Held, where: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab()
    if where[1] != CHATS:
        await opened(desk, tab, "A")
    api.failing[where] = RuntimeError("unexpected")
    with pytest.raises(RuntimeError):
        await all_of(desk.send(box("Hi"), on(tab), "m", TabSettings(), tab, REQUEST))
    assert not tab.is_busy
    monkeypatch.setattr("ggufrun.ui.chat.tab.rows", lambda *_, **__: 1 / 0)
    before = tab.conversation
    with pytest.raises(ZeroDivisionError):
        await opened(desk, tab, "B")
    assert tab.conversation is before and not tab.is_busy


async def test_ids_of_any_kind_are_shown(desk: Desk, api: Held) -> None:
    calls = [{"id": [1], "function": {"name": {}}}]
    api.chats["A"] = chat("A", said("1", "user", "?"), said("2", "assistant", "", "1", tool_calls=calls))
    place = {"chat": "A", "message": "2", "round": 1, "fresh": False}
    assert (await opened(desk, Tab(), "A"))[desk.view.shared.pending] == [{**calls[0], **place}]


async def test_the_last_chat_that_was_clicked_is_shown(desk: Desk, api: Held) -> None:
    tab = Tab()
    await opened(desk, tab, "A")
    comes = api.hold("GET", f"{CHATS}/B")
    slow = asyncio.create_task(opened(desk, tab, "B"))
    await until(api, "GET", f"{CHATS}/B")
    await opened(desk, tab, "A")
    comes.set()
    assert desk.view.said not in await slow and tab.conversation.id == "A"


async def test_a_stop_before_the_run_began_holds(desk: Desk, api: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.ui.chat.stopping._STOP_S", 0)
    tab = Tab()
    await opened(desk, tab, "A")
    begins = api.hold("POST", f"{CHATS}/A/runs")
    sending = asyncio.create_task(all_of(desk.send(box("Hi"), on(tab), "m", TabSettings(), tab, REQUEST)))
    await until(api, "POST", f"{CHATS}/A/runs")
    await desk.stopping.stop(on(tab), tab, REQUEST)
    assert not api.count("DELETE", f"{CHATS}/A/runs/r")
    begins.set()
    await sending
    assert api.count("DELETE", f"{CHATS}/A/runs/r") == 1


async def test_settings_that_were_taken_out_do_not_hold(desk: Desk, api: Held) -> None:
    tab = Tab()
    api.chats["A"]["settings"] = {"system": "Be brief."}
    await opened(desk, tab, "A")
    before = TabSettings({"system": "of the chat before"})
    await desk.heard(before, tab)
    await all_of(desk.again(on(tab), "m", before, tab, REQUEST))
    assert api.asked[-1][2]["settings"] == {}, "the fields are not yet those of this chat"
    tab.over()
    before.replace({}, chat="A")
    await desk.heard(before, tab)
    await all_of(desk.again(on(tab), "m", TabSettings({"sampling": {"top_p": 1}}), tab, REQUEST))
    told = {"system": None, "sampling": {"top_p": 1}, "schema": None, "tools": None}
    assert api.asked[-1][2]["settings"] == told


async def test_what_stands_in_the_fields_holds_before_their_events_come(desk: Desk, api: Held) -> None:
    settings, texts = TabSettings(), {**texts_of({}), "seed": "7"}
    await all_of(desk.send(box("Hi"), on(Tab()), "m", settings, Tab(), REQUEST, "Be brief.", texts))
    wanted = {"system": "Be brief.", "sampling": {"seed": 7}}
    asked = {path: body["settings"] for method, path, body in api.asked if method == "POST"}
    assert asked == {CHATS: wanted, f"{CHATS}/new/runs": {**wanted, "schema": None, "tools": None}}
    settings.change(with_system(settings.now, "Be brief."), "new")
    await settings.keep(api)
    assert not api.count("PATCH", f"{CHATS}/new"), "the chat has it"
    settings.change(with_system(settings.now, "Newer."), "new")
    settings.take("Be brief.", texts)
    assert settings.now == {"system": "Newer.", "sampling": {"seed": 7}}, "what was sent before it is older"


async def test_what_is_changed_while_the_chat_is_made_is_kept(desk: Desk, api: Held) -> None:
    settings, tab = TabSettings({"system": "Older."}), Tab()
    begins = api.hold("POST", CHATS)
    sending = asyncio.create_task(all_of(desk.send(box("Hi"), on(tab), "m", settings, tab, REQUEST)))
    await until(api, "POST", CHATS)
    settings.change({"system": "Newer."}, "")
    begins.set()
    await sending
    kept = [body for method, path, body in api.asked if (method, path) == ("PATCH", f"{CHATS}/new")]
    assert kept == [{"settings": {"system": "Newer."}}]


async def test_two_changes_at_once_are_both_kept(api: Held) -> None:
    settings, other = TabSettings(), deepcopy(TabSettings())
    settings.replace({}, chat="A")
    comes = api.hold("PATCH", f"{CHATS}/A")
    settings.change(with_system(settings.now, "Be brief."), "A")
    first = asyncio.create_task(settings.keep(api))
    await until(api, "PATCH", f"{CHATS}/A")
    settings.change(with_sampling(settings.now, {"seed": 7}), "A")
    second = asyncio.create_task(settings.keep(api))
    settings.change({**settings.now, "schema": True}, "B")  # of A still: nothing of B is in the fields
    comes.set()
    await asyncio.gather(first, second)
    assert api.asked[-1][1:] == (f"{CHATS}/A", {"settings": settings.now}) and len(settings.now) == 3
    api.failing["PATCH", f"{CHATS}/A"] = ApiError("full", 507)
    settings.change({}, "A")
    with pytest.raises(ApiError):
        await settings.keep(api)
    api.failing.clear()
    await settings.keep(api)
    assert api.asked[-1][2] == {"settings": {}} and other.now == {}


async def test_a_branch_is_told_of_once_the_server_has_it(desk: Desk, api: Held) -> None:
    other = said("3", "assistant", "Hi!", "1")
    api.chats["A"]["messages"] = (*api.chats["A"]["messages"], other)
    tab, told = Tab(), desk.view.shared.chats_changed
    await opened(desk, tab, "A")
    seen = [(api.count("PATCH", f"{CHATS}/A"), told in each) async for each in desk.switch("3", on(tab), tab, REQUEST)]
    assert seen == [(0, False), (1, True)] and tab.conversation.head == "3"
    assert await all_of(desk.switch("unknown", on(tab), tab, REQUEST)) == {} and tab.conversation.head == "3"
    api.failing["PATCH", f"{CHATS}/A"] = ApiError("no", 400)
    await all_of(desk.switch("2", on(tab), tab, REQUEST))
    assert tab.conversation.head == "3"


async def test_results_are_those_that_are_awaited(desk: Desk, api: Held) -> None:
    calls = [{"id": "c", "function": {"name": "f"}}]
    api.chats["A"] = chat("A", said("1", "user", "?"), said("2", "assistant", "", "1", tool_calls=calls))
    tab, pending = Tab(), desk.view.shared.pending
    await opened(desk, tab, "A")

    async def sent(result: ToolResult) -> list[Any]:
        updates = [each async for each in desk.results([result], "m", TabSettings(), tab, REQUEST)]
        return [call for each in updates for call in each.get(pending, ())]

    for wrong in (("other", "A", "2"), ("c", "B", "2"), ("c", "A", "1"), ("c", "", "")):
        (again,) = await sent(ToolResult(wrong[0], "f", "1", *wrong[1:]))
        assert again.pop("again") and again["id"] == "c" and not api.count("POST", f"{CHATS}/A/messages")
    api.failing["POST", f"{CHATS}/A/messages"] = ApiError("full", 507)
    assert (await sent(ToolResult("c", "f", "1", "A", "2")))[-1]["again"], "the state is another one"
    assert not api.count("POST", f"{CHATS}/A/runs") and not tab.is_busy
    api.failing.clear()
    assert await sent(ToolResult("c", "f", "1", "A", "2")) == [] and tab.is_busy


async def test_a_look_asks_for_little_and_takes_the_settings_over(desk: Desk, api: Held) -> None:
    tab = Tab()
    await opened(desk, tab, "A")
    await all_of(desk.opening.looked(TabSettings(), tab, REQUEST))
    assert api.count("GET", f"{CHATS}/A") == 1
    api.chats["A"] |= {"updated": 2.0, "settings": {"system": "Be brief.", "left_out": ["1"]}}
    (seen,) = [each async for each in desk.opening.looked(TabSettings(), tab, REQUEST)]
    assert seen[desk.view.shared.apply].settings["system"] == "Be brief."
    api.chats["A"] |= {"updated": 3.0, "settings": {"system": "My own."}}
    (seen,) = [each async for each in desk.opening.looked(TabSettings({"system": "My own."}), tab, REQUEST)]
    assert desk.view.shared.apply not in seen and not tab.is_busy


async def test_a_lost_connection_is_made_again(desk: Desk, api: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.ui.chat.answering._PAUSE_S", 0)
    tab = Tab()
    await opened(desk, tab, "A")
    await all_of(desk.again(on(tab), "m", TabSettings(), tab, REQUEST))
    assert tab.shown and all(row.message != "a" for row in tab.shown)
    start = {"type": "start", "message": said("a", "assistant", "", "q")}
    end = {"type": "end", "message": said("a", "assistant", "So.", "q")}
    api.streams = [ApiError("lost", 0), [start, {"type": "text", "text": "So.", "tokens": 1, "ms": 1}, end]]
    api.chats["A"] = chat("A", said("q", "user", "Hi"), said("a", "assistant", "So.", "q"), run="r")
    await all_of(desk.following.follow(tab, REQUEST))
    assert api.count("EVENTS", f"{CHATS}/A/runs/r/events") == 2
    changes = await desk.following.ended(tab, REQUEST)
    assert not tab.is_busy and changes[desk.view.running] == [] and desk.view.meter in changes
    assert [row.message for row in tab.shown] == ["q", "a"], "even if the server has the run for a while"
    assert facts(desk, changes)["run"] is None
    assert await all_of(desk.following.follow(tab, REQUEST)) == {}


async def test_ids_are_quoted(desk: Desk, api: Held) -> None:
    await opened(desk, Tab(), "A/export")
    assert api.asked[-1][1] == f"{CHATS}/A%2Fexport"
