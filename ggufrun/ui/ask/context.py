"""How much of the context is used, said while one writes; and what may be left out when it is full."""

from typing import Any, Final
from urllib.parse import quote

import gradio as gr

from ggufrun.ui.ask.counting import CHATS, Asking, count
from ggufrun.ui.ask.leaving import choices, uncounted
from ggufrun.ui.ask.left_out import changed
from ggufrun.ui.ask.meter import line
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, say, shown
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import LeftOut, Shared, now

_SOON: Final = "() => { window.ggufrunAsk?.soon(); }"
_COUNTED: Final = "() => { window.ggufrunAsk?.counted(); }"
_WROTE: Final = "(value) => { window.ggufrunAsk?.wrote(value); }"
_PUT: Final = "(value) => window.ggufrunAsk.files(value)"
_TOLD: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}  # queued: others hear of it
_QUICK: Final[dict[str, Any]] = {**_TOLD, "queue": False}
Box = dict[str, Any] | None


def context_panel(shared: Shared, ask: gr.MultimodalTextbox, tab: gr.State) -> None:
    """Below the box where one writes. `tab`: what this browser tab shows of the chat, a `Tab`."""
    with gr.Row(elem_id="below-ask"):
        meter = gr.HTML(line(None, ""), elem_id="context")
        what = gr.Button("Leave out…", elem_id="leave-open", size="sm", scale=0, min_width=96, visible=False)
        recount = gr.Button("Count", elem_id="count-now", visible="hidden")  # the script presses it
        put = gr.Button("Put", elem_id="draft-put", visible="hidden")  # and this, where the box is to have other files
    with gr.Column(elem_id="leave", visible=False) as leave:
        chosen = gr.CheckboxGroup(
            [], label="Left out, it stays in the chat, and the model reads it no more", elem_id="leave-list"
        )
        with gr.Row():
            out = gr.Button("Leave out", elem_id="leave-out", size="sm", variant="primary")
            back = gr.Button("Bring back", elem_id="bring-back", size="sm")
            close = gr.Button("Close", elem_id="leave-close", size="sm")
    # The chat whose list the browser shows; "": none, `_closed`: it is not to open by itself again.
    listed = gr.Textbox(visible="hidden")
    asking = [ask, shared.chat, shared.settings, shared.model, tab]
    seen = [meter, what, leave, chosen, listed]
    context, told = _Context(shared), [shared.left_out, shared.chats_changed]

    felt = (shared.chat, shared.settings_changed, shared.model, shared.chats_changed, shared.models_changed)
    ask.change(None, ask, js=_WROTE, trigger_mode="multiple", **_QUICK)
    put.click(None, ask, ask, js=_PUT, trigger_mode="multiple", **_QUICK)
    gr.on([each.change for each in felt], None, js=_SOON, **_QUICK)
    counted = recount.click(context.counted, [*asking, listed], seen, trigger_mode="always_last", **_QUICK)
    counted.then(None, js=_COUNTED, **_QUICK)
    gr.on([what.click, shared.over.change], context.opened, asking, seen, **_QUICK)
    for button, work in ((out, context.left_out), (back, context.brought_back)):
        done = button.click(work, [listed, chosen, tab], told, **_TOLD)
        done.success(context.opened, asking, seen, **_QUICK)
    close.click(lambda chat: (gr.update(visible=False), _closed(chat)), shared.chat, [leave, listed], **_QUICK)


class _Context:
    """The handlers. They return values of: the line, the button that opens the list, its frame, the list, its chat."""

    def __init__(self, shared: Shared) -> None:
        self._users = shared.users

    async def counted(
        self,
        value: Box,
        chat: str,
        settings: TabSettings,
        model: str | None,
        tab: Tab,
        open_in: str,
        request: gr.Request,
    ) -> list[Any]:
        """The list opens by itself when nothing more fits, and closes with its chat."""
        api, asked = self._users.api(request), _asking(value, chat, settings, model, tab)
        found = await count(api, asked)
        is_known = open_in in (chat, _closed(chat))
        if chat and not is_known and found.used is not None and found.used.is_full:
            return await listed(api, asked)
        closing = [gr.skip()] * 3 if is_known else [gr.update(visible=False), gr.skip(), ""]
        return [line(found.used, chat, found.wrong), gr.update(visible=bool(chat)), *closing]

    async def opened(
        self, value: Box, chat: str, settings: TabSettings, model: str | None, tab: Tab, request: gr.Request
    ) -> list[Any]:
        return await listed(self._users.api(request), _asking(value, chat, settings, model, tab))

    async def left_out(self, chat: str, ids: list[str], tab: Tab, request: gr.Request) -> list[Any]:
        return await self._change(request, chat, tab, out=ids)

    async def brought_back(self, chat: str, ids: list[str], tab: Tab, request: gr.Request) -> list[Any]:
        return await self._change(request, chat, tab, back=ids)

    async def _change(self, request: gr.Request, chat: str, tab: Tab, **ids: list[str]) -> list[Any]:
        """What is left out now, and that the chat has changed."""
        if not any(ids.values()):
            say("Mark something in the list first.")
            return [gr.skip(), gr.skip()]
        api = self._users.api(request)
        try:
            left_out = changed(await _as_shown(api, chat, _head_of(tab, chat)), **ids)
            await api.patch(_path(chat), {"left_out": left_out})
        except ApiError as error:
            raise shown(error) from error
        return [LeftOut(chat, tuple(left_out)), now()]


def _closed(chat: str) -> str:
    return f"not {chat}"


async def listed(api: Api, asked: Asking) -> list[Any]:
    """What the line, the button, the frame, the list and its chat are to be. Raises what Gradio shows."""
    found = await count(api, asked, exchanges=True)
    meter = line(found.used, asked.chat, found.wrong)
    none = [meter, gr.update(visible=False), gr.update(visible=False), gr.skip(), ""]
    if not asked.chat:
        return none
    try:
        chat = await _as_shown(api, asked.chat, asked.head)
    except ApiError as error:
        if error.status == 404:  # as one that had only begun, and was refused its first answer
            return none
        raise shown(error) from error
    offered = gr.update(choices=choices(chat, found.exchanges or uncounted(chat)), value=[])
    return [meter, gr.update(visible=True), gr.update(visible=True), offered, asked.chat]


def _asking(value: Box, chat: str, settings: TabSettings, model: str | None, tab: Tab) -> Asking:
    return Asking(value, chat, settings.now, model, _head_of(tab, chat))


def _head_of(tab: Tab, chat: str) -> str | None:
    """The end of the branch that this tab shows: another one may have switched the chat's. None: it shows none yet."""
    return tab.conversation.head if tab.conversation.id == chat else None


def _path(chat: str) -> str:
    """The browser says which one."""
    return f"{CHATS}/{quote(chat, safe='')}"


async def _as_shown(api: Api, chat: str, head: str | None) -> dict[str, Any]:
    found: dict[str, Any] = await api.get(_path(chat))
    return found if head is None else {**found, "head": head}
