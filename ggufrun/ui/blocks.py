"""The page's parts, put together: chats on the left, settings on the right, tabs between them."""

import gradio as gr

from ggufrun.ui.beside.panel import beside_tab
from ggufrun.ui.chat.panel import chat_panel
from ggufrun.ui.history.panel import history_panel
from ggufrun.ui.models.panel import models_tab
from ggufrun.ui.settings.panel import settings_panel
from ggufrun.ui.shared import Shared
from ggufrun.ui.snippets.panel import api_tab
from ggufrun.ui.users import Users


def blocks(users: Users) -> gr.Blocks:
    page = gr.Blocks(title="ggufrun", fill_width=True, analytics_enabled=False, delete_cache=(3600, 86_400))
    with page:
        shared = Shared.made(users)
        with gr.Sidebar(elem_id="history", width=280):
            history_panel(shared)
        with gr.Sidebar(elem_id="settings", position="right", width=320):
            settings_panel(shared)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Chat", id="chat"):
                chat_panel(shared)
            with gr.Tab("Models", id="models"):
                models_tab(shared)
            with gr.Tab("Side by side", id="beside"):
                beside_tab(shared)
            with gr.Tab("API", id="api"):
                api_tab(shared)
    # The default limit is one of each event at a time, so that a second user's answer would wait for the first one's.
    page.queue(default_concurrency_limit=32, max_size=512)
    return page
