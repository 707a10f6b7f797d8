"""Who a handler works for: the server with the key that the browser has logged in with."""

from collections.abc import Callable

import gradio as gr

from ggufrun.ui.client import Api, Server
from ggufrun.ui.forwarded import forwarded


class Users:
    """Handlers take a `gr.Request` and give it to `api`."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._key_of: Callable[[str], str] = str

    def are_of(self, server: Server, key_of: Callable[[str], str]) -> None:
        """`key_of`: from a Cookie header to the key that its browser may use."""
        self._server, self._key_of = server, key_of

    @property
    def server(self) -> Server:
        if self._server is None:
            raise RuntimeError("The page has no server yet.")
        return self._server

    def api(self, request: gr.Request) -> Api:
        """What comes through a proxy is lent neither this machine's token nor its user's key."""
        headers = dict(request.headers)
        return self.server.user(self._key_of(str(headers.get("cookie", ""))), lent=not forwarded(headers))
