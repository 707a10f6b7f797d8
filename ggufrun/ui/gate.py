"""Who may see the page: whoever can reach it until there is an API key, then those who log in with one.

What a browser that has logged in is known by is in `sessions`.
"""

from html import escape
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.ui.assets import text
from ggufrun.ui.client import Server
from ggufrun.ui.errors import ApiError
from ggufrun.ui.known_keys import Standing
from ggufrun.ui.sessions import COOKIE, LASTS_S, Sessions
from ggufrun.ui.tries import Tries

LONGEST: Final = 500
_OPEN: Final = ("/favicon.ico", "/pwa_icon", "/robots.txt")  # as the manifest: browsers ask for them without cookies
_ICON: Final = {"src": "pwa_icon", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}
_MANIFEST: Final = {
    "name": "ggufrun",
    "short_name": "ggufrun",
    "description": "Chat with language models on this machine.",
    "start_url": "./",
    "scope": "./",
    "display": "standalone",
    "icons": [_ICON, {**_ICON, "purpose": "maskable"}],
}
_GRADIO: Final = "/gradio_api/"
# Of Gradio's own addresses those that the page uses. Others have the server fetch what an address names, for one.
_USED: Final = (
    "app_id",
    "call/",
    "cancel",
    "component_server",
    "heartbeat/",
    "queue/",
    "reset",
    "run/",
    "startup-events",
    "theme.css",
    "upload",
)
_WRONG: Final = "That is no key of this server."


class Gate:
    """In front of the page: lets a browser in, or shows it where to log in."""

    def __init__(self, page: ASGIApp, server: Server, *, always: bool = False) -> None:
        """`always`: who has not logged in is not let in, also where the server asks for no key."""
        self._page, self._server, self._always = page, server, always
        self.sessions, self._tries = Sessions(), Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/login":
            request = Request(scope, receive)
            reply = await self._log_in(request) if scope["method"] == "POST" else _login(scope, status=200)
            await reply(scope, receive, send)
        elif path == "/logout":
            await self._log_out(Request(scope, receive))(scope, receive, send)
        elif path.startswith(_GRADIO) and not _is_used(path.removeprefix(_GRADIO)):
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
        elif path == "/login/who":
            await (await self._who(Headers(scope=scope)))(scope, receive, send)
        elif path == "/manifest.json":
            await JSONResponse(_MANIFEST, media_type="application/manifest+json")(scope, receive, send)
        elif path in _OPEN:
            await self._page(scope, receive, send)
        else:
            headers = Headers(scope=scope)
            standing = await self._standing(self.sessions.key_of(headers.get("cookie", "")))
            if standing == "good":
                await self._page(scope, receive, send)
            else:
                wants_page = "text/html" in headers.get("accept", "")
                await self._refusal(scope, standing, wants_page=wants_page)(scope, receive, send)

    async def _standing(self, key: str) -> Standing:
        if not self._always:
            return await self._server.standing(key)
        open_to_all = await self._server.standing("")
        if open_to_all == "good":  # any word would be a good key
            return "bad"
        return await self._server.standing(key) if key else open_to_all

    async def _log_in(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return JSONResponse({"detail": "Log in from this server's own page."}, 403)
        client = request.client.host if request.client else ""
        if wait_s := self._tries.wait_s(client):
            told = f"Too many wrong keys. Wait {wait_s} s, then try again."
            return _login(request.scope, told, status=429, headers={"Retry-After": str(wait_s)})
        form = await request.form(max_files=0, max_fields=2)
        key = str(form.get("key", "")).strip()
        if not key or len(key) > LONGEST or not key.isascii() or not key.isprintable():
            standing: Standing = "bad"
        else:
            standing = await self._standing(key)
        if standing != "good":
            if standing == "silent":
                return self._refusal(request.scope, standing, wants_page=True)
            self._tries.wrong(client)
            return _login(request.scope, _WRONG)
        self._tries.right(client)
        reply = RedirectResponse(_root(request.scope), 303)
        reply.set_cookie(
            _cookie(request.scope),
            self.sessions.begin(key),
            max_age=LASTS_S,
            path=_root(request.scope),
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return reply

    async def _who(self, headers: Headers) -> Response:
        """The name of the key that somebody has logged in with, null where nobody has."""
        key, name = self.sessions.key_of(headers.get("cookie", "")), None
        if key and await self._standing(key) == "good":
            try:
                name = (await self._server.user(key).get("/ggufrun/v1/key"))["name"]
            except (ApiError, KeyError, TypeError):
                name = "(a key)"  # of a server that does not say
        return JSONResponse({"name": name}, headers={"Cache-Control": "no-store"})

    def _log_out(self, request: Request) -> Response:
        self.sessions.end(request.headers.get("cookie", ""))
        reply = RedirectResponse(f"{_root(request.scope)}login", 303)
        reply.delete_cookie(_cookie(request.scope), path=_root(request.scope))
        return reply

    def _refusal(self, scope: Scope, standing: Standing, *, wants_page: bool) -> Response:
        if standing == "silent":
            told = f"No server answers at {self._server.place}."
            if not wants_page:
                return JSONResponse({"detail": told}, 503, {"Retry-After": "3"})
            page = text("silent.html").replace("{told}", escape(told))
            return HTMLResponse(page, 503, {"Cache-Control": "no-store", "Retry-After": "3"})
        return _login(scope) if wants_page else JSONResponse({"detail": "Log in with an API key first."}, 401)


def _is_used(path: str) -> bool:
    """`file=` is for files of ours: with an address in it, the server would ask that one for what is there."""
    if path.startswith("file="):
        return "://" not in path
    return path.startswith(_USED)


def _cookie(scope: Scope) -> str:
    server = scope.get("server")
    return f"{COOKIE}_{server[1]}" if server else COOKIE


def _root(scope: Scope) -> str:
    return f"{scope.get('root_path', '')}/"


def _login(scope: Scope, wrong: str = "", *, status: int = 401, headers: dict[str, str] | None = None) -> Response:
    said = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    page = text("login.html").replace("{action}", f"{_root(scope)}login").replace("{said}", said)
    return HTMLResponse(page, status, {"Cache-Control": "no-store", **(headers or {})})
