"""Which chat a tab shows, by what the list of chats tells it. No browser: `test_history_opens` has one."""

import asyncio
from types import SimpleNamespace
from typing import cast

import gradio as gr
import pytest

from ggufrun.ui.ask.context import listed
from ggufrun.ui.ask.counting import Asking
from ggufrun.ui.chat.desk import Desk
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.errors import ApiError
from tests.ui.test_chat_desk import CHATS, REQUEST, Held, all_of, opened, until
from tests.ui.test_chat_desk import api as api  # the fixtures
from tests.ui.test_chat_desk import desk as desk


def test_of_quick_clicks_the_last_holds_in_whatever_order_they_come(api: Held, desk: Desk) -> None:
    async def clicked() -> list[str]:
        tab, shown = Tab(), []
        for turn, chat in ((2, "B"), (1, "A"), (4, ""), (3, "B"), (5, "A")):
            event = gr.EventData(None, {"id": chat, "turn": turn})
            await all_of(desk.opening.asked(event, tab, REQUEST))
            shown.append(tab.conversation.id)
        return shown

    assert asyncio.run(clicked()) == ["B", "B", "", "", "A"]


def test_only_what_is_open_can_be_gone(api: Held, desk: Desk) -> None:
    async def gone() -> list[str]:
        tab, shown = Tab(), []
        await opened(desk, tab, "A")
        for chat in ("", "B", "A"):
            await all_of(desk.opening.gone(gr.EventData(None, {"id": chat}), tab, REQUEST))
            shown.append(tab.conversation.id)
        return shown

    assert asyncio.run(gone()) == ["A", "A", ""]


def test_what_was_chosen_holds_over_what_the_address_had(api: Held, desk: Desk) -> None:
    at = cast(gr.Request, SimpleNamespace(query_params={"chat": "A"}))

    async def loaded(*clicks: str) -> str:
        tab = Tab()
        for turn, chat in enumerate(clicks, 1):
            await all_of(desk.opening.asked(gr.EventData(None, {"id": chat, "turn": turn}), tab, REQUEST))
        await all_of(desk.opening.loaded(tab, at))
        return tab.conversation.id

    assert [asyncio.run(loaded(*clicks)) for clicks in ((), ("B",), ("B", ""))] == ["A", "B", ""]


def test_an_opening_that_ends_early_can_be_begun_again(api: Held, desk: Desk) -> None:
    async def again() -> tuple[str, str]:
        tab = Tab()
        comes = api.hold("GET", f"{CHATS}/A")
        opening = asyncio.create_task(opened(desk, tab, "A"))
        await until(api, "GET", f"{CHATS}/A")
        opening.cancel()  # as Gradio does with what a browser has left
        with pytest.raises(asyncio.CancelledError):
            await opening
        wanted = tab.wanted
        comes.set()
        await opened(desk, tab, "A")
        return wanted, tab.conversation.id

    assert asyncio.run(again()) == ("", "A")


async def test_a_chat_that_is_gone_by_then_has_no_list_of_exchanges(api: Held) -> None:
    for chat in ("gone", "A"):
        api.failing["POST", f"{CHATS}/{chat}/count"] = ApiError("It is not counted.", 404)
    assert (await listed(api, Asking(None, "gone", {}, "m", None)))[-1] == ""
    assert (await listed(api, Asking(None, "A", {}, "m", None)))[-1] == "A"
