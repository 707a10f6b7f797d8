"""Who may see the page: whoever can reach it until there is an API key, then those who log in with one.

A browser that has logged in has a cookie, a random name for its key. The keys stay here, until the program ends.
"""

import secrets
import time
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.ui.assets import text
from ggufrun.ui.client import Server
from ggufrun.ui.errors import ApiError

COOKIE: Final = "ggufrun_page"
KNOWN_S: Final = 1.0  # for so long it is not asked again whether a key is good
LASTS_S: Final = 30 * 86_400
LONGEST: Final = 500
_OPEN: Final = ("/manifest.json", "/favicon.ico", "/pwa_icon", "/robots.txt")  # browsers ask for them without cookies


class Gate:
    """In front of the page: lets a browser in, or shows it where to log in."""

    def __init__(self, page: ASGIApp, server: Server, token: str = "") -> None:
        """`token`: what this machine's user manages the server with, for as long as there is no key to log in with."""
        self._page, self._server, self._token = page, server, token
        self._keys: dict[str, str] = {}  # of browsers, by their cookies
        self._known: dict[str, tuple[float, bool]] = {}  # until when it is known whether a key is good

    def key_of(self, cookies: str) -> str:
        """The key of a browser with this Cookie header: which it has logged in with, or this machine's user's own."""
        _, open_to_all = self._known.get("", (0.0, False))
        return self._logged_in(cookies) or (self._token if open_to_all else "")

    def _logged_in(self, cookies: str) -> str:
        return self._keys.get(_cookie(cookies), "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/login" and scope["method"] == "POST":
            await (await self._log_in(Request(scope, receive)))(scope, receive, send)
        elif path == "/logout":
            await self._log_out(Request(scope, receive))(scope, receive, send)
        elif path == "/login":
            await _login(scope)(scope, receive, send)
        elif path.startswith(_OPEN) or await self._admits(scope):
            await self._page(scope, receive, send)
        else:
            wants_page = "text/html" in Headers(scope=scope).get("accept", "")
            refusal = _login(scope) if wants_page else JSONResponse({"detail": "Log in with an API key first."}, 401)
            await refusal(scope, receive, send)

    async def _admits(self, scope: Scope) -> bool:
        return await self._is_good(self._logged_in(Headers(scope=scope).get("cookie", "")))

    async def _is_good(self, key: str) -> bool:
        """Whether the server takes it; "" is good until there is one. While the server is silent, as it last was."""
        until, good = self._known.get(key, (0.0, False))
        if time.monotonic() < until:
            return good
        try:
            await self._server.user(key).get("/v1/models")
            good = True
        except ApiError as error:
            good = error.status not in (401, 403) and (bool(error.status) or good)
        if len(self._known) > 1000:  # wrong ones, that somebody tries
            self._known.clear()
        self._known[key] = (time.monotonic() + KNOWN_S, good)
        return good

    async def _log_in(self, request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=2)
        key = str(form.get("key", "")).strip()[:LONGEST]
        if not key or not key.isascii() or not await self._is_good(key):
            return _login(request.scope, "That is no key of this server.")
        cookie = secrets.token_urlsafe(32)
        self._keys[cookie] = key
        reply = RedirectResponse(_root(request.scope), 303)
        secure = request.scope["scheme"] == "https"
        reply.set_cookie(COOKIE, cookie, max_age=LASTS_S, httponly=True, samesite="strict", secure=secure)
        return reply

    def _log_out(self, request: Request) -> Response:
        self._keys.pop(_cookie(request.headers.get("cookie", "")), None)
        reply = RedirectResponse(f"{_root(request.scope)}login", 303)
        reply.delete_cookie(COOKIE)
        return reply


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _root(scope: Scope) -> str:
    return f"{scope.get('root_path', '')}/"


def _login(scope: Scope, wrong: str = "") -> Response:
    said = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    page = text("login.html").replace("{action}", f"{_root(scope)}login").replace("{said}", said)
    return HTMLResponse(page, 401, {"Cache-Control": "no-store"})
