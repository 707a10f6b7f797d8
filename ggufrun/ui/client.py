"""The page's way to a server: JSON and server-sent events over HTTP, with its user's key."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ggufrun.ui.api_error import ApiError
from ggufrun.ui.known_keys import KnownKeys, Standing

Json = Any
AGENT: Final = "ggufrun-page"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)


class Server:
    """One server, for all users of the page. `url` has no /v1 at its end."""

    def __init__(self, url: str, *, own: bool = False, key: str = "", token: str = "") -> None:
        """`own`: it is this program's, so its certificate is whatever its user gave it, and its name this machine's.

        `key` is that of users who have none. While the server asks nobody for one, all may manage it: by `token`.
        """
        self.url, self.own = url.rstrip("/").removesuffix("/v1"), own
        self._key, self._token, self._known = key, token, KnownKeys(self._replied)
        headers = {"User-Agent": AGENT} | ({"Host": "localhost"} if own else {})
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=_TIMEOUT, limits=_LIMITS, verify=not own, trust_env=not own
        )

    def user(self, key: str, *, lent: bool = True) -> "Api":
        """As its user with that key; "" for none. `lent`: for who has none, this program's own will do."""
        return Api(self, key, lent=lent)

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    async def standing(self, key: str, *, lent: bool = True) -> Standing:
        """Whether it takes this key; "" for none. `lent` as for `user`."""
        return await self._known.standing(key or (self._key if lent else ""))

    async def needs_key(self) -> bool | None:
        """Whether programs need a key: asked without any, also without this page's own. None: it does not answer."""
        status = await self._replied("")
        return status in (401, 403) if status else None

    async def close(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def reply(
        self, method: str, path: str, key: str, *, lent: bool = True, **more: Any
    ) -> AsyncIterator[httpx.Response]:
        """The reply whose body is still to be read. Raises ApiError for what is no success."""
        if self._http.is_closed:
            raise ApiError("This page's program is ending.", 0)
        if lent and self._token and await self.standing("") == "good":
            key = self._token
        headers = _bearer(key or (self._key if lent else ""))
        try:
            async with self._http.stream(method, path, headers=headers, **more) as reply:
                if reply.is_error:
                    raise ApiError.of(reply.status_code, _json(await reply.aread()))
                yield reply
        except httpx.TimeoutException as error:
            raise ApiError("The server takes too long to answer. Try again.", 0) from error
        except httpx.HTTPError as error:
            raise ApiError(f"No server answers at {self.place}. Start it again, then reload this page.", 0) from error

    async def _replied(self, key: str) -> int:
        """The status of a reply to that key; 0 where there is no reply."""
        try:
            return (await self._http.get("/v1/models", headers=_bearer(key))).status_code
        except (httpx.HTTPError, RuntimeError):  # RuntimeError: closed, because the program ends
            return 0


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


class Api:
    """The server as one user has it. All of it raises ApiError."""

    def __init__(self, server: Server, key: str, *, lent: bool = True) -> None:
        self.server, self.key, self._lent = server, key, lent

    async def get(self, path: str, **query: Any) -> Json:
        """`path` begins at the root, as in /v1/models; queries that are None are left out."""
        return await self._ask("GET", path, params={name: v for name, v in query.items() if v is not None})

    async def text(self, path: str, **query: Any) -> str:
        async with self._reply("GET", path, params=query) as reply:
            return (await reply.aread()).decode()

    async def file(self, path: str) -> tuple[bytes, httpx.Headers]:
        """What is there, with its headers."""
        async with self._reply("GET", path) as reply:
            return await reply.aread(), reply.headers

    async def post(self, path: str, body: Json = None, *, timeout_s: float | None = None) -> Json:
        """`timeout_s`: for what takes longer than a minute."""
        more: dict[str, Any] = {} if timeout_s is None else {"timeout": httpx.Timeout(timeout_s, connect=5.0)}
        return await self._ask("POST", path, json={} if body is None else body, **more)

    async def put(self, path: str, body: Json) -> Json:
        return await self._ask("PUT", path, json=body)

    async def patch(self, path: str, body: Json) -> Json:
        return await self._ask("PATCH", path, json=body)

    async def delete(self, path: str) -> Json:
        return await self._ask("DELETE", path)

    async def events(self, path: str, body: Json = None, **query: Any) -> AsyncGenerator[Json, None]:
        """The JSON of each server-sent event until the stream ends; POSTs where there is a body."""
        method, more = ("GET", {}) if body is None else ("POST", {"json": body})
        timeout = httpx.Timeout(None, connect=5.0)  # they are kept alive while nothing comes
        async with self._reply(method, path, params=query, timeout=timeout, **more) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data:") and (data := line.removeprefix("data:").strip()) != "[DONE]":
                    yield _json(data)

    async def _ask(self, method: str, path: str, **more: Any) -> Json:
        async with self._reply(method, path, **more) as reply:
            return _json(await reply.aread())

    def _reply(self, method: str, path: str, **more: Any) -> AbstractAsyncContextManager[httpx.Response]:
        return self.server.reply(method, path, self.key, lent=self._lent, **more)


def _json(text: str | bytes) -> Json:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ApiError("What answers there is no ggufrun server.", 0) from error
