"""The chats that the server keeps: found, opened, renamed, deleted, exported, imported.

The list is one component, which the browser draws (`assets/history.js`); `desk` is what it asks for.
"""

from typing import Any, Final

import gradio as gr

from ggufrun.ui import assets
from ggufrun.ui.history.desk import desk
from ggufrun.ui.shared import Shared

# Gradio finds the names of a component's own events in this text.
_ON_LOAD: Final = "ggufrun.chats(element, trigger, props, server, watch, {open: 'open', gone: 'gone'})"


def history_panel(shared: Shared) -> gr.HTML:
    """Which chat is to be opened, and which one is gone, are its events `open` and `gone`: the chat listens to them."""
    chats = gr.HTML(
        html_template=assets.text("history.html"),
        js_on_load=_ON_LOAD,
        server_functions=desk(shared.users),
        apply_default_css=False,
        elem_id="chats",
        opened="",
        changed="",
    )
    quick: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}
    heard = [shared.chat.change, shared.chats_changed.change]
    gr.on(heard, _told, [shared.chat, shared.chats_changed], chats, queue=False, **quick)
    return chats


def _told(chat: str, changed: int) -> gr.HTML:
    return gr.HTML(opened=chat, changed=str(changed))
