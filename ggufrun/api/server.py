"""Runs the HTTP application with uvicorn until SIGINT or SIGTERM."""

import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from ggufrun.api.app import create_app
from ggufrun.api.gateway import Gateway
from ggufrun.api.listener import Listener
from ggufrun.api.logs import logging_to

GRACE_S = 2  # an open stream must not hold up the end for ever


async def serve(gateway: Gateway, listener: Listener, page: ASGIApp | None = None) -> None:
    """Serve the gateway; a line on standard error says where.

    `page` is served on the same port. Raises OptionError where the address cannot be used.
    """
    config = uvicorn.Config(
        create_app(gateway, page),
        log_config=None,
        access_log=False,  # `Guard` writes it
        timeout_graceful_shutdown=GRACE_S,
        lifespan="off",
        ws="none",
        ssl_certfile=listener.tls.certificate if listener.tls else None,
        ssl_keyfile=listener.tls.key if listener.tls else None,
    )
    sockets = [listener.listen()]
    names = ", ".join(model.info.name for model in gateway.models.served())
    verb = "is" if len(gateway.models.served()) == 1 else "are"
    with logging_to(sys.stderr):
        what = (
            f"{names} {verb} served at {listener.url}/v1" if names else f"No model is served yet at {listener.url}/v1"
        )
        where = f"; the page is at {listener.url}" if page is not None else ""
        print(f"{what}{where} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        server = _Server(config, gateway)
        if gateway.control is not None:
            gateway.control.stops_with(server.stop)
        try:
            await server.serve(sockets=sockets)
        finally:
            await gateway.runs.close(gateway.chats)


class _Server(uvicorn.Server):
    """uvicorn raises a signal again when it has shut down, which would end us before the model is closed."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._gateway.library is not None:
            self._gateway.library.jobs.stop_all()  # so that who watches one sees its end, and leaves
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
