"""What browsers may do with the page: nothing in it loads from, or sends to, another host.

A model's answer can hold pictures and links; without this a picture's address could carry what was said to its host.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio evaluates code of its own: without 'unsafe-eval' the page looks well and no button does anything.
_CONTENT: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-ancestors 'self'; base-uri 'self'; form-action 'self'; object-src 'none'"
)
_HEADERS: Final = [
    (b"content-security-policy", _CONTENT.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class PageHeaders:
    """Around the page: its replies carry them."""

    def __init__(self, page: ASGIApp) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._page(scope, receive, headed)
