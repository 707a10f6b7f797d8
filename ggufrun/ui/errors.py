"""What goes wrong between the page and the server, and how it is shown. Nothing in it is taken for HTML."""

from html import escape

import gradio as gr

from ggufrun.errors import GgufrunError
from ggufrun.ui.api_error import ApiError

__all__ = ["ApiError", "say", "shown", "warn"]


def shown(error: GgufrunError) -> gr.Error:
    """To be raised by a handler: a message in the corner of the page."""
    told, title = str(error), "That did not work"
    if isinstance(error, ApiError) and error.code == "invalid_api_key":
        told, title = "This server now asks for a key, or yours is revoked. Reload this page and log in.", "Log in"
    return gr.Error(escape(told), duration=15, print_exception=False, title=title)


def say(message: str, title: str = "Note") -> None:
    """A note in the corner of the page."""
    gr.Info(escape(message), title=escape(title))


def warn(message: str, title: str = "Note") -> None:
    gr.Warning(escape(message), title=escape(title))
