"""Keeps web pages out that a browser on this machine shows: by the Host header (DNS rebinding), and by Origin.

Where only this machine can reach us, no key is needed until one is made, so any page could use the models. Its requests
carry a foreign Origin, or, if its name was made to resolve to us, a foreign Host. Where others can reach us, a key is
always needed and no page has it: any Host is fine then, unless --allowed-host names those that are.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.api.errors import error_response
from ggufrun.api.front.beside_page import is_pages
from ggufrun.errors import AccessError, HostRefused, OriginRefused

_PORTS: Final = {"http": 80, "https": 443}


class HostCheck:
    """`hosts`: names beside the loopback's; `origins`: of pages that may call, "*" for all, but for the management.

    `loopback`: addresses instead of names must be the loopback's. No name resolves to an address by itself, so they
    cannot be rebound, and elsewhere all of them are fine.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str], *, loopback: bool) -> None:
        self._app, self._loopback = app, loopback
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._fault(scope, dict(scope["headers"])) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await error_response(error)(scope, receive, send)

    def _fault(self, scope: Scope, headers: dict[bytes, bytes]) -> AccessError | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_ours(_place(f"//{host}")[0]):
            return HostRefused()
        origin = headers.get(b"origin")
        if origin is None:
            return None
        if not manages(scope) and ("*" in self._origins or origin.decode("latin-1") in self._origins):
            return None
        name, port = _place(origin.decode("latin-1").lower())
        # A proxy may give us another Host than the browser gave it, so its own names count too.
        same = name in self._hosts or (name, port) in ((_place(f"{scheme}://{host}")) for scheme in _PORTS)
        return None if same else OriginRefused()

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or name in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback


def manages(scope: Scope) -> bool:
    """Whether the request is to manage the server, or one of our page's, which may do that too.

    No page of another origin does that, whatever --cors says.
    """
    return is_pages(scope) or scope["path"].removeprefix(scope.get("root_path", "")).startswith("/ggufrun/")


def _place(url: str) -> tuple[str, int | None]:
    """Host name and port of a URL, the scheme's own port where it gives none; ("", None) for what is no URL."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None
