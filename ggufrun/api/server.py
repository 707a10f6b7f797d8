"""Runs the HTTP application with uvicorn until SIGINT or SIGTERM."""

import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from ggufrun.api.app import create_app
from ggufrun.chat.types import ChatModel
from ggufrun.errors import OptionError

GRACE_S = 2  # an open stream must not hold up the end for ever


async def serve(model: ChatModel, *, host: str, port: int, ui: bool) -> None:
    """Serve `model` on `host`:`port`; port 0 takes a free one, and the line printed says which.

    `ui` asks for the chat page on the same port, which this version does not have yet.
    Raises OptionError where the address cannot be used.
    """
    listener = _listen(host, port)
    address = f"http://{host if ':' not in host else f'[{host}]'}:{listener.getsockname()[1]}"
    print(f"{model.info.name} is served at {address}/v1 (Ctrl-C ends it)", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        create_app(model), log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_S, lifespan="off"
    )
    await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn raises a signal again when it has shut down, which would end us before the model is closed."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        before = {sig: signal.signal(sig, self._stop) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        self.handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"Cannot listen on {host}:{port}: {reason}.", "Choose another --host or --port.") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener
