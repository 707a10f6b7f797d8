"""Takes every body for JSON, whatever its Content-Type says: `curl -d` alone calls it a form."""

from starlette.types import ASGIApp, Receive, Scope, Send

_TYPE = b"content-type"
_WITH_BODY = ("POST", "PUT", "PATCH")


class JsonBody:
    """No route reads anything else. Pages of foreign origins are kept out by the Host and Origin check."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in _WITH_BODY:
            others = [(name, value) for name, value in scope["headers"] if name != _TYPE]
            scope["headers"] = [*others, (_TYPE, b"application/json")]  # in place: `Recorder` reads this scope later
        await self._app(scope, receive, send)
