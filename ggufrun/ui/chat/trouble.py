"""What goes wrong with a chat, said in the corner of the page."""

import gradio as gr

from ggufrun.errors import GgufrunError
from ggufrun.ui.errors import shown


def tell(error: GgufrunError) -> None:
    """As `shown` has it, not raised: Gradio would put its own mark of an error over all that the event may change."""
    told = shown(error)
    gr.Warning(told.message, duration=told.duration, title=told.title)
