"""Fetches the file behind a picture's URL, for whoever asks: from public addresses only, within limits.

A name is resolved once a hop, and the address that was checked is the one that is connected to. No proxies, cookies or
credentials: the request is made with httpx's transport alone.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ggufrun.api.images.addresses import Resolve, checked, plain, resolved
from ggufrun.api.library.beside import Beside
from ggufrun.chat.picture_files import PEEK, format_of
from ggufrun.errors import OutOfRange, RequestError, Unsupported, cut

if TYPE_CHECKING:
    import httpx  # a server without pictures starts without it

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_AT_ONCE: Final = 16  # pictures
_OF_ONE_REQUEST: Final = 4  # of them, so that slow hosts of one keep nobody else's waiting
_LOOK_UPS: Final = 64  # names; one that takes longer than its picture may goes on alone
_SEND: Final = "Send the picture itself, as a data: URL."


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one picture."""

    bytes: int = 20_000_000
    time_s: float = 20.0  # from the name's look-up to the last byte, redirects included
    connect_s: float = 5.0  # to one address
    redirects: int = 3


@dataclass(slots=True)
class Budget:
    """What is left to all pictures of one request."""

    bytes: int
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OF_ONE_REQUEST))


class Fetcher:
    """Of one server. Belongs to its event loop."""

    def __init__(
        self,
        allowed: Collection[str] = (),
        limits: Limits = Limits(),  # frozen
        *,
        resolve: Resolve = resolved,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`allowed`: hosts that may be private. `resolve` blocks; `tls` None: the usual authorities are trusted."""
        self._allowed = frozenset(map(plain, allowed))
        self._limits, self._resolve, self._tls = limits, resolve, tls
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._beside = Beside(_LOOK_UPS)

    async def fetch(self, url: str, budget: Budget | None = None) -> bytes:
        """The file of a PNG, JPEG, WebP or GIF picture. Raises RequestError, without `param`."""
        budget, parsed = budget or Budget(self._limits.bytes), _parsed(url)
        try:
            async with budget.places, self._places, asyncio.timeout(self._limits.time_s):
                return await self._followed(parsed, budget)
        except TimeoutError as error:
            raise _failed(parsed, f"did not come within {self._limits.time_s:g} s") from error

    async def _followed(self, url: "httpx.URL", budget: Budget) -> bytes:
        for _ in range(self._limits.redirects + 1):
            async with self._asked(url) as response:
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    return await self._read(url, response, budget)
                url = _parsed(response.headers["location"], url)
        raise _failed(url, f"is more than {self._limits.redirects} redirects away")

    @asynccontextmanager
    async def _asked(self, url: "httpx.URL") -> AsyncIterator["httpx.Response"]:
        """The answer to one request, at the first of the host's addresses that can be connected to."""
        host, port = _host(url), url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self._beside.do(lambda: self._resolve(host, port))
        except (OSError, UnicodeError):  # refused as a private host is: who asks could tell which names there are
            found = []
        addresses = checked(host, found, allowed=plain(host) in self._allowed)
        async with self._transport() as transport:
            response = await self._first(transport, url, addresses)
            try:
                yield response
            finally:
                await response.aclose()

    def _transport(self) -> "httpx.AsyncHTTPTransport":
        """A new one each time: a connection that is kept would be taken for another host at the same address."""
        import httpx

        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False)

    async def _first(
        self, transport: "httpx.AsyncHTTPTransport", url: "httpx.URL", addresses: list[str]
    ) -> "httpx.Response":
        import httpx

        failure: Exception | None = None
        for address in addresses:
            try:
                return await transport.handle_async_request(self._request(url, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except (httpx.HTTPError, ValueError) as error:  # ValueError: a name that no certificate can have
                raise _failed(url, "could not be read") from error
        raise _failed(url, "could not be reached") from failure

    def _request(self, url: "httpx.URL", address: str) -> "httpx.Request":
        """To the address, in the name of the host: for its Host header, and for its certificate."""
        import httpx

        headers = {"Host": url.netloc.decode("ascii"), "Accept": "image/*", "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(self._limits.time_s, connect=self._limits.connect_s).as_dict()
        extensions = {"sni_hostname": _host(url).rstrip("."), "timeout": timeout}
        at = url.copy_with(host=address, fragment=None)
        return httpx.Request("GET", at, headers={**headers, "User-Agent": "ggufrun"}, extensions=extensions)

    async def _read(self, url: "httpx.URL", response: "httpx.Response", budget: Budget) -> bytes:
        """The body, stopped where it turns out to be too large or no picture."""
        import httpx

        if response.status_code != 200:
            raise _failed(url, f"was answered with status {response.status_code}")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _failed(url, "came compressed, which was not asked for")
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.bytes:
            raise self._too_large(url)
        body, looked = bytearray(), False
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                budget.bytes -= len(chunk)
                if len(body) > self._limits.bytes:
                    raise self._too_large(url)
                if budget.bytes < 0:
                    raise _failed(url, "makes the images of this request too large together")
                if not looked and len(body) >= PEEK:
                    looked = _look(url, body)
        except httpx.HTTPError as error:
            raise _failed(url, "broke off") from error
        _look(url, body)
        return bytes(body)

    def _too_large(self, url: "httpx.URL") -> RequestError:
        return _failed(url, f"is larger than {self._limits.bytes / 1e6:g} MB")


def _host(url: "httpx.URL") -> str:
    """As it goes over the wire."""
    return url.raw_host.decode("ascii")


def _look(url: "httpx.URL", start: bytes | bytearray) -> bool:
    if format_of(bytes(start[:PEEK])) is None:
        raise _failed(url, "is no PNG, JPEG, WebP or GIF picture")
    return True


def _parsed(url: str, base: "httpx.URL | None" = None) -> "httpx.URL":
    """Raises Unsupported for what is not http or https, and OutOfRange for what is no URL or has a password in it."""
    import httpx

    try:
        parsed = httpx.URL(url) if base is None else base.join(url)
        host, port = parsed.host, parsed.port or 80  # ValueError: a name in Punycode that means nothing
    except (httpx.InvalidURL, ValueError) as error:
        raise OutOfRange("The picture's URL is no URL.", "Use https://…, or data:image/png;base64,…") from error
    if parsed.scheme not in ("http", "https"):
        raise Unsupported("Pictures are fetched from http and https URLs only.", _SEND)
    if not host or not 0 < port < 65536:
        raise OutOfRange("A picture's URL names no host, or no port that there is.", "Use https://HOST/PATH.")
    if parsed.userinfo:
        raise OutOfRange("A picture's URL may hold no user name or password.", _SEND)
    return parsed


def _failed(url: "httpx.URL", how: str) -> RequestError:
    """Without what is behind a ?: often that lets whoever has it in."""
    named = str(url.copy_with(query=None, fragment=None))
    return RequestError(f"The picture {cut(named, 100)} {how}.", _SEND)
