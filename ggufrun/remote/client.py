"""HTTP to one remote: a pool of connections, replies as JSON, and answers as they stream; tried again where that helps.

What the bytes of an answer mean is `reading`'s.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

import httpx
from pydantic_core import from_json, to_json

from ggufrun.errors import GgufrunError
from ggufrun.remote.backoff import wait_s
from ggufrun.remote.breaker import Breaker
from ggufrun.remote.faults import Faults
from ggufrun.remote.keys import Key
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote.sse import DONE, Events, EventTooLong
from ggufrun.remote_errors import RemoteBroke, RemoteDown, RemoteError, RemoteUnusable

CONNECT_S: Final = 5.0
_IDLE_S: Final = 30.0  # a connection that nobody uses is kept for so long
_KEPT: Final = 64  # connections
_REPLY: Final = 64 << 20  # bytes of a whole reply
_LARGE: Final = 1 << 20  # bytes; what is larger is parsed beside the event loop
_REFUSAL: Final = (1 << 16, 10.0)  # bytes of a refusal that are read, and seconds: its status says enough
_STALE: Final = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)  # of a connection closed meanwhile
_COMPRESSES: Final = "it compresses what it sends, though it was asked not to"
_END_S: Final = 1.0  # what is left of an answer behind its end is waited for so long, so that its connection is kept


class Stream:
    """An answer that has begun: `read` gives items as `Events` has them, batch by batch, and None at its end."""

    def __init__(self, reply: httpx.Response, faults: Faults) -> None:
        self._reply, self._faults = reply, faults
        self._received: AsyncIterator[bytes] = reply.aiter_raw()
        self._events = Events()
        self._first: list[bytes] | None = None
        self._over = False

    async def begin(self) -> None:
        """Wait for the first items. Raises RemoteError where none come."""
        self._first = await self.read()
        if self._first is None:
            raise self._faults.broke("its stream ended before it had begun")

    def peek(self) -> bytes | None:
        """The first data, if that has come by now."""
        return next((item for item in self._first or () if not item.startswith(b":")), None)

    async def read(self) -> list[bytes] | None:
        """Raises RemoteBroke where the stream is cut."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        while not self._over:
            try:
                received = await anext(self._received)
            except StopAsyncIteration:
                self._over = True
                items = self._events.finish()
            except (httpx.TransportError, httpx.StreamError) as error:
                raise self._faults.cut(error) from error
            else:
                items = self._feed(received)
            if items:
                return items
        return None

    async def rest(self) -> None:
        """Read what stands behind the end, so that the connection can be used again; not for long."""
        try:
            async with asyncio.timeout(_END_S):
                async for _ in self._received:
                    pass
        except (TimeoutError, httpx.HTTPError, httpx.StreamError):
            return  # then it is closed

    async def aclose(self) -> None:
        """Where it has not come to its end, the remote sees that nobody listens any more."""
        await self._reply.aclose()

    def _feed(self, received: bytes) -> list[bytes]:
        try:
            return self._events.feed(received)
        except EventTooLong as error:
            raise self._faults.broke("it sent an event without an end") from error


class Used:
    """Whether a request goes over a connection that others went over before."""

    again = True

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        if event.endswith(".connect_tcp.started"):  # "connection." or, by way of a proxy, "socks."
            self.again = False


class Client:
    """Of one remote, on one event loop."""

    def __init__(self, settings: RemoteSettings, key: Key, breaker: Breaker | None = None) -> None:
        """Raises RemoteUnusable where the environment's proxy or certificates are no use."""
        self._settings = settings
        self.faults = Faults(settings, key)
        self.breaker = breaker or Breaker(settings.name)
        try:
            self._http = httpx.AsyncClient(
                headers={"Accept-Encoding": "identity", "User-Agent": "ggufrun", **key.headers()},
                timeout=httpx.Timeout(settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s), pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT, keepalive_expiry=_IDLE_S),
                trust_env=not settings.loopback,
            )
        except (ImportError, OSError, ValueError):
            hint = "Look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and SSL_CERT_FILE."
            why = "the proxy or the certificates that the environment names cannot be used."
            raise RemoteUnusable(settings.name, why, hint) from None  # a proxy's address may have a password in it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def stream(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Stream:
        """An answer whose first items have come. Raises RequestError or RemoteError.

        Tried again where a try failed before anything had come, and the remote may do better at once.
        """
        content = _encoded(body)
        for attempt in range(self._settings.retries + 1):
            try:
                with self.breaker.attempt():
                    return await self._begun(path, content, headers)
            except RemoteError as error:
                if attempt == self._settings.retries or (wait := wait_s(attempt, error)) is None:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError  # mypy cannot know that the last attempt returns or raises

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """The JSON of a reply to what generates nothing; below `base`, or a whole address. Errors as `stream`'s."""
        for attempt in range(self._settings.retries + 1):
            try:
                with self.breaker.attempt():
                    return await self._whole(url, _encoded(body))
            except RemoteError as error:
                if attempt == self._settings.retries or (wait := wait_s(attempt, error)) is None:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError  # as above

    async def get(self, url: str) -> tuple[httpx.Response, bytes]:
        """A reply of any status, once, and its body. Raises httpx's errors."""
        async with self._http.stream("GET", url) as reply:
            if _compressed(reply):
                raise httpx.DecodingError(_COMPRESSES)
            return reply, await _read(reply, _REPLY)

    async def _begun(self, path: str, content: bytes, headers: Mapping[str, str]) -> Stream:
        reply = await self._sent(f"{self._settings.base}{path}", content, headers)
        stream = Stream(reply, self.faults)
        try:
            if reply.status_code != 200:
                raise self.faults.of_reply(reply, await _refusal(reply))
            if "event-stream" not in reply.headers.get("content-type", ""):
                raise self._no_stream(reply, await _refusal(reply))
            await stream.begin()
            if (data := stream.peek()) is not None and data != DONE and b'"error"' in data:
                self._check_first(data)
        except RemoteBroke as error:
            await stream.aclose()
            self.failed(error.why)
            again = not isinstance(error.__cause__, httpx.TimeoutException)  # it would be waited for as long again
            raise RemoteDown(self._settings.name, error.why, again=again) from error
        except BaseException as error:
            await stream.aclose()
            self._noted(error)
            raise
        self.breaker.answered()
        return stream

    def _no_stream(self, reply: httpx.Response, body: bytes) -> GgufrunError:
        """Of what is answered with 200 and is no stream. Asking again would bring the same."""
        said = self.faults.said(body, reply.headers.get("content-type", ""))
        return RemoteDown(self._settings.name, f"it does not stream, but answers {said.words or 'nothing'}")

    def _check_first(self, data: bytes) -> None:
        """Raise the error that a stream begins with: some remotes have sent 200 before they look at the request."""
        try:
            chunk = from_json(data)
        except ValueError:
            return  # whoever reads it says so
        if isinstance(chunk, dict) and not chunk.get("choices"):
            error = chunk if chunk.get("object") == "error" else chunk.get("error")
            if error:
                raise self.faults.of_chunk(error)

    async def _whole(self, url: str, content: bytes) -> Any:
        address = url if "://" in url else f"{self._settings.base}{url}"
        reply = await self._sent(address, content, {})
        async with aclosing(reply):
            try:
                if reply.status_code != 200:
                    raise self.faults.of_reply(reply, await _refusal(reply))
                body = await _read(reply, _REPLY)
                if len(body) >= _REPLY:
                    raise self.faults.broke("its reply is too long")
                found = json.loads(body) if len(body) < _LARGE else await asyncio.to_thread(json.loads, body)
            except (httpx.TransportError, httpx.StreamError) as error:
                self.failed("the connection was cut")
                raise self.faults.cut(error) from error
            except (ValueError, RecursionError) as error:
                raise self.faults.broke("what it answers is no JSON") from error
            except GgufrunError as error:
                self._noted(error)
                raise
        self.breaker.succeeded()
        return found

    async def _sent(self, url: str, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
        used = Used()
        request = self._http.build_request(
            "POST",
            url,
            content=content,
            headers={"Content-Type": "application/json", **headers},
            extensions={"trace": used.trace},
        )
        try:
            reply = await self._answered(request, used)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            failure = self.faults.of_failure(error)
            self.failed(failure.why)
            raise failure from error
        if reply.status_code == 200 and _compressed(reply):
            await reply.aclose()
            self.failed(_COMPRESSES)
            raise RemoteDown(self._settings.name, _COMPRESSES)
        return reply

    async def _answered(self, request: httpx.Request, used: Used) -> httpx.Response:
        for _ in range(_KEPT):  # of those that were kept all may be stale
            try:
                return await self._http.send(request, stream=True)
            except _STALE:  # the remote had just closed it, being idle
                if not used.again:
                    raise
        return await self._http.send(request, stream=True)

    def failed(self, why: str) -> None:
        self.breaker.failed(why)

    def _noted(self, error: BaseException) -> None:
        """Only who is down has failed: who is busy, or refuses a request, does answer."""
        if isinstance(error, RemoteDown):
            self.failed(error.why)
        elif isinstance(error, GgufrunError):
            self.breaker.succeeded()


def _encoded(body: Mapping[str, Any]) -> bytes:
    """As JSON; halves of surrogate pairs, which no UTF-8 has, become question marks."""
    try:
        return to_json(body)
    except ValueError:
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _compressed(reply: httpx.Response) -> bool:
    """Nobody knows how much that would be."""
    return reply.headers.get("content-encoding", "identity").strip().lower() not in ("identity", "")


async def _refusal(reply: httpx.Response) -> bytes:
    """The body of a refusal, as far as it comes."""
    most, seconds = _REFUSAL
    try:
        async with asyncio.timeout(seconds):
            return b"" if _compressed(reply) else await _read(reply, most)
    except (TimeoutError, httpx.HTTPError, httpx.StreamError):
        return b""


async def _read(reply: httpx.Response, most: int) -> bytes:
    """Up to about `most` bytes."""
    received = bytearray()
    async for piece in reply.aiter_raw():
        received += piece
        if len(received) >= most:
            break
    return bytes(received)
