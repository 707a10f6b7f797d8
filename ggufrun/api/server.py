"""Runs the HTTP application with uvicorn until SIGINT or SIGTERM."""

import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ggufrun.api.app import create_app
from ggufrun.api.errors import ErrorResponse, envelope
from ggufrun.api.front.beside_page import BesidePage
from ggufrun.api.front.guard import guarded
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.listener import Listener
from ggufrun.api.logs import logging_to
from ggufrun.errors import cut

GRACE_S = 2  # an open stream must not hold up the end for ever


class PageApp(Protocol):
    """A page as the server sees it: an ASGI application that can end its streams."""

    def close(self) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


async def serve(gateway: Gateway, listener: Listener, page: PageApp | None = None) -> None:
    """Serve the gateway; a line on standard error says where.

    `page` is served on the same port. Raises OptionError where the address cannot be used.
    """
    names = ", ".join(model.info.name for model in gateway.models.served())
    verb = "is" if len(gateway.models.served()) == 1 else "are"
    what = f"{names} {verb} served at {listener.url}/v1" if names else f"No model is served yet at {listener.url}/v1"
    where = f"; the page is at {listener.url}" if page is not None else ""
    ends = [] if page is None else [page.close]
    if gateway.library is not None:
        ends.append(gateway.library.jobs.stop_all)  # so that who watches one sees its end, and leaves
    server = _Server(_config(create_app(gateway, page), listener), ends)
    if gateway.control is not None:
        gateway.control.stops_with(server.stop)
    try:
        await _run(server, listener, f"{what}{where}")
    finally:
        await gateway.runs.close(gateway.chats)


async def serve_page(page: PageApp, listener: Listener, settings: ServerSettings, api: str) -> None:
    """The page alone, for the models that `api` serves; behind the same guard. Raises what `serve` does."""
    app = guarded(BesidePage(_Elsewhere(api), page), settings)
    await _run(_Server(_config(app, listener), [page.close]), listener, f"The page for {api} is at {listener.url}")


def _config(app: ASGIApp, listener: Listener) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # `Guard` writes it
        timeout_graceful_shutdown=GRACE_S,
        lifespan="off",
        ws="none",
        ssl_certfile=listener.tls.certificate if listener.tls else None,
        ssl_keyfile=listener.tls.key if listener.tls else None,
    )


async def _run(server: "_Server", listener: Listener, said: str) -> None:
    sockets = [listener.listen()]
    with logging_to(sys.stderr):
        print(f"{said} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        await server.serve(sockets=sockets)


class _Elsewhere:
    """In the place of an API that another server has."""

    def __init__(self, api: str) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        message = f"{scope['method']} {cut(scope['path'])} is not served here: the API is at {self._api}/v1."
        await ErrorResponse(envelope(message, "invalid_request_error"), 404)(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn raises a signal again when it has shut down, which would end us before the model is closed."""

    def __init__(self, config: uvicorn.Config, ends: Sequence[Callable[[], None]]) -> None:
        """`ends` are called before it waits for those who read."""
        super().__init__(config)
        self._ends = ends

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for end in self._ends:
            end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        before = {sig: signal.signal(sig, self._stop) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def stop(self) -> None:
        self.should_exit = True

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        self.handle_exit(sig, frame)
