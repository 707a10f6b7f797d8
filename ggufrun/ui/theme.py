"""How the page looks: Gradio's own theme with the fonts of the user's system, nothing fetched."""

from typing import Final

import gradio as gr

THEME: Final = gr.themes.Default(
    primary_hue="orange",
    neutral_hue="zinc",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
    radius_size="md",
    spacing_size="sm",
    text_size="md",
)
