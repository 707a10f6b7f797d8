"""What goes wrong between the page and the server, and how it is shown. Nothing in it is taken for HTML."""

from html import escape
from typing import Any

import gradio as gr

from ggufrun.errors import GgufrunError


class ApiError(GgufrunError):
    """The server refused, with its own words. `status` 0: it did not answer at all."""

    def __init__(self, message: str, status: int, *, type: str = "", param: str = "") -> None:
        super().__init__(message)
        self.status, self.type, self.param = status, type, param

    @classmethod
    def of(cls, status: int, body: Any) -> "ApiError":
        """From a reply's JSON, in either of the envelopes that servers write."""
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": str(error)}
        message = str(error.get("message") or f"The server answered with status {status}.")
        return cls(message, status, type=str(error.get("type") or ""), param=str(error.get("param") or ""))


def shown(error: GgufrunError) -> gr.Error:
    """To be raised by a handler: a message in the corner of the page."""
    return gr.Error(escape(str(error)), duration=15, print_exception=False, title="That did not work")


def say(message: str, title: str = "Note") -> None:
    """A note in the corner of the page."""
    gr.Info(escape(message), title=escape(title))


def warn(message: str, title: str = "Note") -> None:
    gr.Warning(escape(message), title=escape(title))
