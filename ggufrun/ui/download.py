"""A button that makes a file and downloads it. Gradio's own one needs the file before it is clicked."""

import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio as gr


def download_button(
    label: str, make: Callable[..., Awaitable[str]], inputs: list[Any] | None = None, *, elem_id: str
) -> gr.Button:
    """`make` gives the path of a file that `scratch_file` has named; it may raise what handlers raise."""
    button = gr.Button(label, size="sm", scale=0, min_width=120, elem_id=elem_id)
    link = gr.DownloadButton(visible="hidden", elem_id=f"{elem_id}-file")
    made = button.click(make, inputs, link, api_visibility="private", show_progress="hidden", queue=False)
    # The component has its new file a moment after the event.
    fetch = f"() => setTimeout(() => document.querySelector('#{elem_id}-file').closest('a, button').click(), 100)"
    made.success(None, js=fetch, api_visibility="private", queue=False)
    return button


def scratch_file(name: str) -> Path:
    """A path for a file of this name. Gradio serves what lies in its own folder, and removes it in time."""
    return Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"])) / name
