"""The chats that the server keeps: found, opened, renamed, deleted, exported."""

import gradio as gr

from ggufrun.ui.shared import Shared


def history_panel(shared: Shared) -> None:
    gr.Markdown("")
