"""The layer that sees every request to its end: a call that its route has not closed is closed here.

So are those that were refused before their route ran (the body's shape, the key), by their status.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.api.calls.call import call_of, endpoint_of
from ggufrun.api.manage.metrics import Metrics

_CLIENT_LEFT: Final = 499


class Recorder:
    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _CLIENT_LEFT  # where nothing is sent at all

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if (call := call_of(scope)) is not None:
                if not call.detached:
                    call.close(status, _reason(status))
            else:
                self._metrics.count(endpoint_of(scope), "", status)


def _reason(status: int) -> str:
    if status == _CLIENT_LEFT:
        return "cancelled"
    if status < 400:
        return "stop"
    return "invalid_request_error" if status < 500 else "server_error"
