"""Side by side: several models answer one prompt."""

import gradio as gr

from ggufrun.ui.shared import Shared


def beside_tab(shared: Shared) -> None:
    gr.Markdown("")
