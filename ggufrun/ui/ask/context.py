"""How much of the context is used, said while one writes; and what may be left out when it is full."""

from typing import Any, Final

import gradio as gr

from ggufrun.ui.ask.counting import CHATS, Asking, count
from ggufrun.ui.ask.leaving import choices, uncounted
from ggufrun.ui.ask.left_out import changed
from ggufrun.ui.ask.meter import line
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, say, shown
from ggufrun.ui.shared import Shared, now

_SOON: Final = "() => { window.ggufrunAsk?.soon(); }"
_COUNTED: Final = "() => { window.ggufrunAsk?.counted(); }"
_SWITCHED: Final = "() => { window.ggufrunAsk?.switched(); }"
_TOLD: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}  # queued: others hear of it
_QUICK: Final[dict[str, Any]] = {**_TOLD, "queue": False}
Box = dict[str, Any] | None
Settings = dict[str, Any] | None


def context_panel(shared: Shared, ask: gr.MultimodalTextbox) -> None:
    """Below the box where one writes."""
    with gr.Row(elem_id="below-ask"):
        meter = gr.HTML(line(None, ""), elem_id="context")
        what = gr.Button("Leave out…", elem_id="leave-open", size="sm", scale=0, min_width=96, visible=False)
        recount = gr.Button("Count", elem_id="count-now", visible="hidden")  # the script presses it
    with gr.Column(elem_id="leave", visible=False) as leave:
        chosen = gr.CheckboxGroup(
            [], label="Left out, it stays in the chat, and the model reads it no more", elem_id="leave-list"
        )
        with gr.Row():
            out = gr.Button("Leave out", elem_id="leave-out", size="sm", variant="primary")
            back = gr.Button("Bring back", elem_id="bring-back", size="sm")
            close = gr.Button("Close", elem_id="leave-close", size="sm")
    listed = gr.State("")  # the chat whose list is open; "": none, `_closed`: it is not to open by itself again
    asking = [ask, shared.chat, shared.settings, shared.model]
    seen = [meter, what, leave, chosen, listed]
    context, told = _Context(shared), [shared.settings, shared.chats_changed]

    felt = (shared.chat, shared.settings, shared.model, shared.chats_changed, shared.models_changed)
    gr.on([ask.change, *(each.change for each in felt)], None, js=_SOON, **_QUICK)
    shared.chat.change(None, js=_SWITCHED, **_QUICK)
    counted = recount.click(context.counted, [*asking, listed], seen, trigger_mode="always_last", **_QUICK)
    counted.then(None, js=_COUNTED, **_QUICK)
    gr.on([what.click, shared.over.change], context.opened, asking, seen, **_QUICK)
    for button, work in ((out, context.left_out), (back, context.brought_back)):
        done = button.click(work, [shared.chat, chosen, shared.settings], told, **_TOLD)
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
        settings: Settings,
        model: str | None,
        open_in: str,
        request: gr.Request,
    ) -> list[Any]:
        """The list opens by itself when nothing more fits, and closes with its chat."""
        api, asked = self._users.api(request), Asking(value, chat, settings, model)
        found = await count(api, asked)
        is_known = open_in in (chat, _closed(chat))
        if chat and not is_known and found.used is not None and found.used.is_full:
            return await _listed(api, asked)
        closing = [gr.skip()] * 3 if is_known else [gr.update(visible=False), gr.skip(), ""]
        return [line(found.used, chat, found.wrong), gr.update(visible=bool(chat)), *closing]

    async def opened(
        self, value: Box, chat: str, settings: Settings, model: str | None, request: gr.Request
    ) -> list[Any]:
        return await _listed(self._users.api(request), Asking(value, chat, settings, model))

    async def left_out(self, chat: str, ids: list[str], settings: Settings, request: gr.Request) -> list[Any]:
        return await self._change(request, chat, settings, out=ids)

    async def brought_back(self, chat: str, ids: list[str], settings: Settings, request: gr.Request) -> list[Any]:
        return await self._change(request, chat, settings, back=ids)

    async def _change(self, request: gr.Request, chat: str, settings: Settings, **ids: list[str]) -> list[Any]:
        """The settings of the page, which it is part of, and that the chat has changed."""
        if not any(ids.values()):
            say("Mark something in the list first.")
            return [gr.skip(), gr.skip()]
        api = self._users.api(request)
        try:
            stored = await api.get(f"{CHATS}/{chat}")
            new = changed(stored["settings"], known=[each["id"] for each in stored["messages"]], **ids)
            await api.patch(f"{CHATS}/{chat}", {"settings": new})
        except ApiError as error:
            raise shown(error) from error
        return [{**(settings or {}), "left_out": new["left_out"]}, now()]


def _closed(chat: str) -> str:
    return f"not {chat}"


async def _listed(api: Api, asked: Asking) -> list[Any]:
    found = await count(api, asked, exchanges=True)
    meter = line(found.used, asked.chat, found.wrong)
    if not asked.chat:
        return [meter, gr.update(visible=False), gr.update(visible=False), gr.skip(), ""]
    try:
        chat = await api.get(f"{CHATS}/{asked.chat}")
    except ApiError as error:
        raise shown(error) from error
    offered = gr.update(choices=choices(chat, found.exchanges or uncounted(chat)), value=[])
    return [meter, gr.update(visible=True), gr.update(visible=True), offered, asked.chat]
