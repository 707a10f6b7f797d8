"""The page on the API's own port: each gets the requests that are its own."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.api.front.access import access_of

# Gradio's, at the root; an address that is nobody's gets the API's good words for it.
_PAGES: Final = frozenset(
    ("/config", "/theme.css", "/login", "/logout", "/manifest.json", "/pwa_icon", "/robots.txt", "/favicon.ico")
)
_FOLDERS: Final = ("/assets/", "/static/", "/svelte/", "/gradio_api/", "/login/", "/pwa_icon/", "/reports/")


class BesidePage:
    """Its own requests are not in the log of requests, for there are dozens for each click: but logins are."""

    def __init__(self, api: ASGIApp, page: ASGIApp) -> None:
        self._api, self._page = api, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_pages(scope):
            access_of(scope).quiet = _path(scope) != "/login"
            await self._page(scope, receive, send)
        else:
            await self._api(scope, receive, send)


def is_pages(scope: Scope) -> bool:
    path = _path(scope)
    if path in ("", "/"):
        return scope["method"] in ("GET", "HEAD")
    return path in _PAGES or path.startswith(_FOLDERS)


def _path(scope: Scope) -> str:
    return str(scope["path"].removeprefix(scope.get("root_path", "")))
