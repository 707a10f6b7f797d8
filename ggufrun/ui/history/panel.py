"""The chats that the server keeps: found, opened, renamed, deleted, exported, imported.

The list is one component, which the browser draws (`assets/history.js`); `desk` is what it asks for.
"""

from typing import Any, Final

import gradio as gr

from ggufrun.ui import assets
from ggufrun.ui.errors import warn
from ggufrun.ui.history.desk import desk
from ggufrun.ui.shared import Shared

# Gradio finds the names of a component's own events in this text.
_ON_LOAD: Final = "ggufrun.chats(element, trigger, props, server, watch, {open: 'open', gone: 'gone'})"
_GONE: Final = "The chat that was open here has been deleted, in another tab or by another program."


def history_panel(shared: Shared) -> None:
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
    # By the queue: outside of it Gradio tells nobody that a state has changed.
    chats.open(_asked, None, shared.chat, concurrency_limit=None, **quick)
    chats.gone(_gone, shared.chat, shared.chat, concurrency_limit=None, **quick)
    heard = [shared.chat.change, shared.chats_changed.change]
    gr.on(heard, _told, [shared.chat, shared.chats_changed], chats, queue=False, **quick)


def _asked(event: gr.EventData) -> str:
    return str(event.id)


def _gone(chat: str, event: gr.EventData) -> str:
    """The list has noticed it; what has been opened since then stays."""
    if chat != event.id:
        return chat
    warn(_GONE, "Chat deleted")
    return ""


def _told(chat: str, changed: int) -> gr.HTML:
    return gr.HTML(opened=chat, changed=str(changed))
