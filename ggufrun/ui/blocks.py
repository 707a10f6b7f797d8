"""The page's parts, put together: chats on the left, settings on the right, tabs between them.

Where they are and when a sidebar is open is the style sheet's and the script's (`assets/page.*`, `assets/early.html`).
"""

import gradio as gr

from ggufrun.ui import assets
from ggufrun.ui.beside.panel import beside_tab
from ggufrun.ui.chat.panel import chat_panel
from ggufrun.ui.history.panel import history_panel
from ggufrun.ui.models.panel import models_tab
from ggufrun.ui.settings.panel import settings_panel
from ggufrun.ui.shared import Shared
from ggufrun.ui.snippets.panel import api_tab
from ggufrun.ui.tools.mcp import Mcp
from ggufrun.ui.users import Users


def blocks(users: Users, mcp: Mcp | None = None) -> gr.Blocks:
    page = gr.Blocks(title="ggufrun", fill_width=True, analytics_enabled=False, delete_cache=(3600, 86_400))
    with page:
        shared = Shared.made(users, mcp)
        with gr.Row(elem_id="window", equal_height=False):
            with gr.Column(elem_id="history", min_width=0):
                chats = history_panel(shared)
            with gr.Column(elem_id="middle", min_width=0):
                gr.HTML(assets.text("bar.html"), elem_id="bar", apply_default_css=False)
                with gr.Tabs(elem_id="tabs"):
                    with gr.Tab("Chat", id="chat", elem_id="chat-tab"):
                        chat_panel(shared, chats)
                    with gr.Tab("Models", id="models", elem_id="models-tab"):
                        models_tab(shared)
                    with gr.Tab("Side by side", id="beside", elem_id="beside-tab") as tab:
                        beside_tab(shared, tab)
                    with gr.Tab("API", id="api", elem_id="api-tab") as tab:
                        api_tab(shared, tab)
            with gr.Column(elem_id="settings", min_width=0):
                settings_panel(shared)
    # The default limit is one of each event at a time, so that a second user's answer would wait for the first one's.
    page.queue(default_concurrency_limit=32, max_size=512)
    _rest(page)
    _tell_no_progress(page)
    return page


def _rest(page: gr.Blocks) -> None:
    """Its queue looks for work a thousand times a second, which alone is a twentieth of a core. Fifty will do."""
    queue = page._queue  # Gradio has no setting for it; one that names it otherwise works all the same
    if hasattr(queue, "sleep_when_free"):
        queue.sleep_when_free = 0.02


def _tell_no_progress(page: gr.Blocks) -> None:
    """Where Gradio's own progress is only hidden, with each change of any event's status the browser copies all that
    each component has which any event has changed so far: ten times a second while an answer comes.
    """
    for event in page.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = []
