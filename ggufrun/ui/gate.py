"""Who may see the page: whoever can reach it until there is an API key, then those who log in with one.

What a browser that has logged in is known by is in `sessions`.
"""

import logging
from html import escape
from typing import Final, Literal, TypedDict

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.ui.api_error import ApiError
from ggufrun.ui.assets import text
from ggufrun.ui.client import Server
from ggufrun.ui.fetching import Foreign, without_addresses
from ggufrun.ui.forwarded import forwarded
from ggufrun.ui.known_keys import Standing
from ggufrun.ui.sessions import COOKIE, LASTS_S, Sessions
from ggufrun.ui.tries import Tries

LONGEST: Final = 500
_OPEN: Final = ("/pwa_icon", "/robots.txt")  # as the manifest: browsers ask for them without cookies
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
_USED: Final = frozenset(
    (
        "app_id",
        "cancel",
        "component_server",
        "component_server/",
        "queue/data",
        "queue/join",
        "reset",
        "run/predict",
        "startup-events",
        "theme.css",
        "upload",
        "upload_progress",
    )
)
_UPLOAD: Final = f"{_GRADIO}upload"
_WRONG: Final = "That is no key of this server."
_NO_KEYS: Final = "{place} has no API key to log in with. Make one there: ggufrun keys add NAME."
_log = logging.getLogger(__name__)


class _Kept(TypedDict):
    """How browsers keep our cookie. One that is dropped must be named in the same way."""

    path: str
    secure: bool
    httponly: bool
    samesite: Literal["strict"]


class Gate:
    """In front of the page: lets a browser in, or shows it where to log in."""

    def __init__(self, page: ASGIApp, server: Server, *, always: bool = False) -> None:
        """`always`: who has not logged in is not let in, also where the server asks for no key."""
        self._page, self._server, self._always = page, server, always
        self.sessions, self._tries = Sessions(), Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/login":
            await (await self._at_login(Request(scope, receive)))(scope, receive, send)
        elif path == "/logout":
            await self._log_out(Request(scope, receive))(scope, receive, send)
        elif path.startswith(_GRADIO) and not _is_used(path.removeprefix(_GRADIO)):
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
        elif path == "/login/who":
            await (await self._who(Headers(scope=scope)))(scope, receive, send)
        elif path == "/manifest.json":
            await JSONResponse(_MANIFEST, media_type="application/manifest+json")(scope, receive, send)
        elif path == "/favicon.ico":  # not Gradio's: tabs that wait for that share six connections
            await Response(text("icon.svg"), media_type="image/svg+xml")(scope, receive, send)
        elif path in _OPEN:
            await self._page(scope, receive, send)
        else:
            headers = Headers(scope=scope)
            key, lent = self.sessions.key_of(headers.get("cookie", "")), not forwarded(headers)
            standing = await self._standing(key, lent=lent)
            if standing == "good":
                await self._to_page(path, scope, receive, send)
            else:
                wants_page = "text/html" in headers.get("accept", "")
                await self._refusal(scope, standing, wants_page=wants_page)(scope, receive, send)

    async def _to_page(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST" and path.startswith(_GRADIO) and path != _UPLOAD:
            try:
                checked = await without_addresses(receive)
            except Foreign as error:
                await JSONResponse({"detail": str(error)}, 400)(scope, receive, send)
                return
            if checked is None:
                return  # nobody waits for an answer, and it would be one to half a question
            receive = checked
            plain = [each for each in scope["headers"] if each[0] != b"content-length"]  # it may have changed
            scope = {**scope, "headers": plain}
        await self._page(scope, receive, send)

    async def _standing(self, key: str, *, lent: bool = True) -> Standing:
        if not self._always:
            return await self._server.standing(key, lent=lent)
        open_to_all = await self._server.standing("", lent=False)
        if open_to_all == "good":  # any word would be a good key
            return "bad"
        return await self._server.standing(key) if key else open_to_all

    async def _at_login(self, request: Request) -> Response:
        if await self._server.needs_key() is not False:  # asked anew: a key may have been made just now
            return await self._log_in(request) if request.method == "POST" else _login(request.scope, status=200)
        if not self._always:  # any word would do
            return RedirectResponse(_root(request.scope), 303)
        told = _NO_KEYS.format(place=self._server.place)
        return _login(request.scope, told, status=401 if request.method == "POST" else 200)

    async def _log_in(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return JSONResponse({"detail": "Log in from this server's own page."}, 403)
        client = request.client.host if request.client else ""
        wait_s = self._tries.wait_s(client)
        if not wait_s:
            self._tries.begin(client)
        form = await request.form(max_files=0, max_fields=2)
        key = str(form.get("key", "")).strip()
        if not key or len(key) > LONGEST or not key.isascii() or not key.isprintable():
            standing: Standing = "bad"
        else:
            standing = await self._standing(key)
        if standing == "silent":
            if not wait_s:
                self._tries.untold(client)
            return self._refusal(request.scope, standing, wants_page=True)
        if standing == "bad":
            _log.warning("A wrong key at the page's login, from %s.", client)
            if not wait_s:
                return _login(request.scope, _WRONG)
            told = f"Too many wrong keys. Wait {wait_s} s, then try again."
            return _login(request.scope, told, status=429, headers={"Retry-After": str(wait_s)})
        self._tries.right(client)
        reply = RedirectResponse(_root(request.scope), 303)
        reply.set_cookie(
            _cookie(request.scope),
            self.sessions.begin(key),
            max_age=LASTS_S,
            **_kept(request.scope),
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
        """Browsers send no cookie of ours from another site; pages of another port of this host are of the same."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return JSONResponse({"detail": "Log out from this server's own page."}, 403)
        reply = RedirectResponse(f"{_root(request.scope)}login", 303)
        if _cookie(request.scope) in request.cookies:
            self.sessions.end(request.headers.get("cookie", ""))
            reply.delete_cookie(_cookie(request.scope), **_kept(request.scope))
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
    return path in _USED or path.startswith("heartbeat/")


def _cookie(scope: Scope) -> str:
    server = scope.get("server")
    return f"{COOKIE}_{server[1]}" if server else COOKIE


def _kept(scope: Scope) -> _Kept:
    return _Kept(path=_root(scope), secure=scope["scheme"] == "https", httponly=True, samesite="strict")


def _root(scope: Scope) -> str:
    return f"{scope.get('root_path', '')}/"


def _login(scope: Scope, wrong: str = "", *, status: int = 401, headers: dict[str, str] | None = None) -> Response:
    said = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    page = text("login.html").replace("{action}", f"{_root(scope)}login").replace("{said}", said)
    return HTMLResponse(page, status, {"Cache-Control": "no-store", **(headers or {})})
