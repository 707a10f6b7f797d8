"""What a browser is shown while Gradio's page is still being built: one can write already, and loses nothing of it.

Where one writes is `assets/first.html`, which lies over Gradio's own page too until that has a field (`early`). How the
real page comes to where the first one is says `assets/waiting.html`.
"""

from collections.abc import Callable
from functools import cache

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.ui.assets import text


class First:
    """In front of the page. Programs wait for that one, and so does the first page, which asks as a program does."""

    def __init__(self, page: ASGIApp, is_settled: Callable[[], bool]) -> None:
        """`is_settled`: the page is there, or cannot be."""
        self._page, self._is_settled = page, is_settled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_settled() or not _is_for_people(scope):
            await self._page(scope, receive, send)
        else:
            await HTMLResponse(_document(), headers={"Cache-Control": "no-store"})(scope, receive, send)


def _is_for_people(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path in ("", "/") and "text/html" in Headers(scope=scope).get("accept", "")


@cache
def _document() -> str:
    return text("waiting.html").replace("{early}", text("early.html")).replace("{first}", text("first.html"))
