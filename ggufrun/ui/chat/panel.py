"""The chat: what was said, the answer that comes, and where one writes."""

import gradio as gr

from ggufrun.ui.ask.context import context_panel
from ggufrun.ui.shared import Shared
from ggufrun.ui.tools.calls import calls_panel


def chat_panel(shared: Shared) -> None:
    gr.Chatbot(elem_id="said", show_label=False)
    calls_panel(shared)
    ask = gr.MultimodalTextbox(elem_id="ask", show_label=False)
    context_panel(shared, ask)
