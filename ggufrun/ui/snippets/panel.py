"""The API tab: where the server is, and how other programs call it."""

import gradio as gr

from ggufrun.ui.shared import Shared


def api_tab(shared: Shared) -> None:
    gr.Markdown("")
