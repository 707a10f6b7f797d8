"""What a browser needs before Gradio begins: light or dark, which sidebars are open, and a field to write in.

So nothing flashes, and nobody waits. Gradio adds a page's scripts only after its own have come; this stands in the
document itself.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.ui import assets

_HEAD: Final = b"<head>"
_BODY: Final = b"<body"
_VIEWPORT: Final = b"shrink-to-fit=no"
_KEYBOARD: Final = b"interactive-widget=resizes-content"  # a phone's keyboard makes the window smaller, and hides none


class Early:
    """Around the page: its document has it at the beginning of its head, and of its body."""

    def __init__(self, page: ASGIApp) -> None:
        self._page = page
        self._head = _HEAD + assets.text("early.html").encode()
        self._field = assets.text("first.html").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path not in ("", "/"):
            await self._page(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def changed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            whole = self._with_field(bytes(body).replace(_HEAD, self._head, 1).replace(_VIEWPORT, _KEYBOARD, 1))
            headers = [each for each in start.get("headers", ()) if each[0].lower() != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", b"%d" % len(whole))]})
            await send({"type": "http.response.body", "body": whole})

        await self._page(_plain(scope), receive, changed)

    def _with_field(self, document: bytes) -> bytes:
        """The body's tag is the last: the settings before it hold HTML too."""
        before, tag, after = document.rpartition(_BODY)
        rest, end, body = after.partition(b">")
        return before + tag + rest + end + self._field + body if tag and end else document


def _plain(scope: Scope) -> Scope:
    """Not compressed: it is to be read here."""
    return {**scope, "headers": [each for each in scope["headers"] if each[0].lower() != b"accept-encoding"]}
