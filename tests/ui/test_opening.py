"""Which chat a tab shows, by what the list of chats tells it. No browser: `test_history_opens` has one."""

import asyncio

import gradio as gr

from ggufrun.ui.chat.desk import Desk
from ggufrun.ui.chat.tab import Tab
from tests.ui.test_chat_desk import REQUEST, Held, all_of, opened
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
