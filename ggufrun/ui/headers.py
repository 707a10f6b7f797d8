"""What browsers may do with the page: nothing in it loads from, or sends to, another host.

A model's answer can hold pictures and links; without this a picture's address could carry what was said to its host.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio evaluates code of its own: without 'unsafe-eval' the page looks well and no button does anything.
_CONTENT: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-src 'none'; frame-ancestors 'self'; base-uri 'self'; form-action 'self'; "
    "object-src 'none'"
)
# Uploads, and what else is served as it came: shown in a tab of its own, it is no page of this server.
_FILE: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'"
# A report of measurements, which says itself which script of it may run; with what the API has sent, both hold.
_REPORT: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
)
_HEADERS: Final = [
    (b"referrer-policy", b"same-origin"),  # with none at all, the form of the login has no Origin either
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_CORS: Final = b"access-control-"  # Gradio lets other origins in, some of them with cookies


class PageHeaders:
    """Around the page: its replies carry them."""

    def __init__(self, page: ASGIApp) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = _policy(scope["path"]).encode()

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [header for header in message.get("headers", ()) if not header[0].lower().startswith(_CORS)]
                message["headers"] = [*own, (b"content-security-policy", content), *_HEADERS]
            await send(message)

        await self._page(scope, receive, headed)


def _policy(path: str) -> str:
    if "/reports/" in path:
        return _REPORT
    return _FILE if "/gradio_api/file" in path else _CONTENT
