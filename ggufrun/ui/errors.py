"""What goes wrong between the page and the server, and how it is shown. Nothing in it is taken for HTML."""

from html import escape
from typing import Any

import gradio as gr

from ggufrun.errors import GgufrunError


class ApiError(GgufrunError):
    """The server refused, with its own words. `status` 0: it did not answer at all.

    `served_as`: the model is served already, by this name.
    """

    def __init__(
        self, message: str, status: int, *, type: str = "", param: str = "", code: str = "", served_as: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.type, self.param, self.code, self.served_as = status, type, param, code, served_as

    @classmethod
    def of(cls, status: int, body: Any) -> "ApiError":
        """From a reply's JSON, in either of the envelopes that servers write."""
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": str(error)}
        message = str(error.get("message") or f"The server answered with status {status}.")
        more = {name: str(error.get(name) or "") for name in ("type", "param", "code", "served_as")}
        return cls(message, status, **more)


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
