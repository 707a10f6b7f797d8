"""How much of the context is used, said while one writes; and what may be left out when it is full."""

import gradio as gr

from ggufrun.ui.shared import Shared


def context_panel(shared: Shared, ask: gr.MultimodalTextbox) -> None:
    """Below the box where one writes."""
