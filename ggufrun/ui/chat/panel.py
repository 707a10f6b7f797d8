"""The chat: what was said, the answer that comes, and where one writes."""

import gradio as gr

from ggufrun.ui.shared import Shared


def chat_panel(shared: Shared) -> None:
    gr.Chatbot(elem_id="said", show_label=False)
    gr.MultimodalTextbox(elem_id="ask", show_label=False)
