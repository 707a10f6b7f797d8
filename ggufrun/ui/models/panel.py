"""Models on this machine and on the hub: what fits, and fetching it."""

import gradio as gr

from ggufrun.ui.shared import Shared


def models_tab(shared: Shared) -> None:
    gr.Markdown("")
