"""What is done in the moment in which another chat is opened, done to what was seen or to nothing. No browser."""

import asyncio
from typing import Any, cast

import gradio as gr
import pytest

from ggufrun.ui.chat.desk import Desk
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.view import Changes
from ggufrun.ui.settings.tab_settings import TabSettings
from tests.ui.test_chat_desk import CHATS, REQUEST, Held, Json, all_of, answered, box, chat, on, opened, said, until
from tests.ui.test_chat_desk import api as api  # the fixtures
from tests.ui.test_chat_desk import desk as desk

DEEDS = ("send", "example", "edit", "again", "deed again", "deed continue", "deed switch")


async def done(desk: Desk, deed: str, seen: Json, tab: Tab) -> Changes:
    rest: tuple[Any, ...] = ("m", TabSettings(), tab, REQUEST)
    what, _, do = deed.partition(" ")
    match what:
        case "send":
            updates = desk.send(box("Hi"), seen, *rest)
        case "example":
            updates = desk.example(cast(Any, Event(value="Hi")), seen, *rest)
        case "edit":
            updates = desk.edit(cast(Any, Event(index=0, value="Hi")), {**seen, "message": "1"}, *rest)
        case "again":
            updates = desk.again(seen, *rest)
        case _:
            told = {"do": do, "to": "2", "seen": seen}
            updates = desk.deed(cast(gr.EventData, Event(_data=told)), *rest)
    return await all_of(updates)


class Event:
    """As much of Gradio's as the handlers read."""

    def __init__(self, **more: Any) -> None:
        self.__dict__ |= more


def changed(api: Held) -> list[tuple[str, str]]:
    """What the server was asked to change."""
    return [(method, path) for method, path, _ in api.asked if method in ("POST", "PATCH", "DELETE")]


@pytest.mark.parametrize("deed", DEEDS)
async def test_what_was_done_in_another_chat_changes_nothing(
    desk: Desk, api: Held, deed: str, recwarn: pytest.WarningsRecorder
) -> None:
    tab = Tab()
    await opened(desk, tab, "A")
    seen = on(tab)
    await opened(desk, tab, "B")  # and the browser has not shown it yet
    await done(desk, deed, seen, tab)
    assert changed(api) == [] and not tab.is_busy and tab.conversation.id == "B"
    assert "That chat is not open any more: nothing was changed." in [str(each.message) for each in recwarn]


@pytest.mark.parametrize("deed", DEEDS)
async def test_what_is_done_while_another_chat_comes_changes_nothing(
    desk: Desk, api: Held, deed: str, recwarn: pytest.WarningsRecorder
) -> None:
    tab = Tab()
    await opened(desk, tab, "A")
    comes = api.hold("GET", f"{CHATS}/B")
    opening = asyncio.create_task(opened(desk, tab, "B"))
    await until(api, "GET", f"{CHATS}/B")
    await done(desk, deed, on(tab), tab)
    comes.set()
    await opening
    assert changed(api) == [] and tab.conversation.id == "B" and not tab.is_busy
    assert "Another chat is being opened: nothing was changed." in [str(each.message) for each in recwarn]


@pytest.mark.parametrize("deed", [each for each in DEEDS if each != "deed switch"])
async def test_what_was_done_is_done_where_it_was_seen(desk: Desk, api: Held, deed: str) -> None:
    api.chats["A"]["messages"][1]["meta"] = {"state": "stopped"}
    tab = Tab()
    await opened(desk, tab, "A")
    seen = on(tab) if deed != "example" else {**on(tab), "chat": "A"}
    await done(desk, deed, seen, tab)
    assert changed(api) == [("POST", f"{CHATS}/A/runs")] and tab.is_busy


@pytest.mark.parametrize("deed", ["send", "again", "deed continue"])
async def test_what_the_branch_has_gone_beyond_is_not_done(desk: Desk, api: Held, deed: str) -> None:
    tab = Tab()
    await opened(desk, tab, "A")
    await done(desk, deed, {**on(tab), "head": "1"}, tab)
    assert changed(api) == [] and not tab.is_busy


async def test_an_edit_is_of_the_message_that_it_was_begun_on(desk: Desk, api: Held) -> None:
    """Its row has another one by now: of another branch."""
    tab = Tab()
    await opened(desk, tab, "A")
    edit = desk.edit(cast(Any, Event(index=0, value="Hi")), on(tab, "9"), "m", TabSettings(), tab, REQUEST)
    assert desk.view.said in await all_of(edit) and changed(api) == [], "and the browser gets what there is"
    edit = desk.edit(cast(Any, Event(index=1, value="Hi")), on(tab, "2"), "m", TabSettings(), tab, REQUEST)
    await all_of(edit)
    assert changed(api) == [], "an answer"


async def test_what_is_sent_in_a_new_chat_is_sent_there_or_nowhere(desk: Desk, api: Held) -> None:
    tab = Tab()
    new = on(tab)
    await opened(desk, tab, "B")
    await done(desk, "send", new, tab)
    assert changed(api) == []
    await opened(desk, tab, "")
    await done(desk, "send", on(tab), tab)
    assert changed(api) == [("POST", CHATS), ("POST", f"{CHATS}/new/runs")]


@pytest.mark.parametrize("opens_b", ["whole", "half"])
async def test_stop_stops_the_answer_that_it_was_seen_beside(desk: Desk, api: Held, opens_b: str) -> None:
    api.chats["A"], api.chats["B"] = answered("A", run="ra"), answered("B", run="rb")
    tab = Tab()
    await opened(desk, tab, "A")
    seen, comes = on(tab), api.hold("GET", f"{CHATS}/B")
    opening = asyncio.create_task(opened(desk, tab, "B"))
    await until(api, "GET", f"{CHATS}/B")
    if opens_b == "whole":
        comes.set()
        await opening
    await desk.stopping.stop(seen, tab, REQUEST)
    comes.set()
    await opening
    assert changed(api) == [("DELETE", f"{CHATS}/A/runs/ra")]


async def test_stop_holds_for_what_was_asked_before_another_chat_was_opened(desk: Desk, api: Held) -> None:
    """The answer has not begun: the page knows no run that it could name."""
    tab = Tab()
    await opened(desk, tab, "A")
    seen, begins = on(tab), api.hold("POST", f"{CHATS}/A/runs")
    sending = asyncio.create_task(done(desk, "send", seen, tab))
    await until(api, "POST", f"{CHATS}/A/runs")
    await opened(desk, tab, "B")
    await desk.stopping.stop(seen, tab, REQUEST)
    assert not api.count("DELETE", f"{CHATS}/A/runs/r")
    begins.set()
    await sending
    assert changed(api) == [("POST", f"{CHATS}/A/runs"), ("DELETE", f"{CHATS}/A/runs/r")] and not tab.asking
    api.chats["A"]["run"] = "late"  # it has begun, and the page has not heard of it
    await desk.stopping.stop(seen, tab, REQUEST)
    assert changed(api)[-1] == ("DELETE", f"{CHATS}/A/runs/late")


async def test_the_settings_of_a_chat_that_comes_are_awaited(desk: Desk, api: Held) -> None:
    """What the fields tell of the chat before must not pass for its own."""
    tab, settings = Tab(), TabSettings()
    settings.replace({"system": "of A"}, chat="A")
    await opened(desk, tab, "B")
    await desk.heard(settings, tab)
    assert tab.applying
    settings.replace({}, chat="B")
    await desk.heard(settings, tab)
    assert not tab.applying


async def test_calls_name_the_answer_that_they_are_of(desk: Desk, api: Held) -> None:
    calls = [{"id": "c", "function": {"name": "f"}}]
    for id in ("A", "B"):
        api.chats[id] = chat(id, said("1", "user", "?"), said(f"{id}2", "assistant", "", "1", tool_calls=calls))
    tab, pending = Tab(), desk.view.shared.pending
    (first,), (second,) = (await opened(desk, tab, "A"))[pending], (await opened(desk, tab, "B"))[pending]
    assert (first["chat"], first["message"], second["chat"], second["message"]) == ("A", "A2", "B", "B2")
    assert not first["fresh"] and not second["fresh"], "nothing runs by itself in a chat that is opened"


@pytest.mark.parametrize(("ours", "head", "fresh"), [(True, "a", True), (False, "a", False), (True, "b", False)])
async def test_calls_of_an_answer_that_was_asked_for_here_are_fresh(
    desk: Desk, api: Held, ours: bool, head: str, fresh: bool
) -> None:
    """Not those of one that another tab asked for, nor of another one that is the chat's end by then."""
    tab, pending = Tab(), desk.view.shared.pending
    if not ours:
        api.chats["A"] = answered("A", run="r")
    await opened(desk, tab, "A")
    if ours:
        await all_of(desk.again(on(tab), "m", TabSettings(), tab, REQUEST))
    answer, other = (
        said(id, "assistant", "", "q", tool_calls=[{"id": f"c{id}", "function": {"name": "f"}}]) for id in "ab"
    )
    api.streams = [[{"type": "start", "message": answer}, {"type": "end", "message": answer}]]
    api.chats["A"] = chat("A", said("q", "user", "Hi"), *([answer] if head == "a" else [answer, other]))
    await all_of(desk.following.follow(tab, REQUEST))
    (call,) = (await desk.following.ended(tab, REQUEST))[pending]
    assert (call["id"], call["chat"], call["message"], call["fresh"]) == (f"c{head}", "A", head, fresh)
