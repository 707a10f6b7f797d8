"""What stands in front of the routes: request ids and the log, the Host and Origin check, CORS, the limit of bodies.

Plain ASGI, so that a stream of tokens passes it without cost.
"""

import logging
import uuid
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.api.front.access import access_of, begin_access
from ggufrun.api.front.body_limit import BodyLimit
from ggufrun.api.front.host_check import HostCheck, manages
from ggufrun.api.gateway import ServerSettings

_EXPOSED = ("x-request-id", "retry-after", "x-should-retry", "x-ggufrun-cost-usd", "x-ggufrun-engine", "x-ggufrun-why")
_PAGE = b"ggufrun-page"  # asks for something every few seconds
_log = logging.getLogger(__name__)


def guarded(app: ASGIApp, settings: ServerSettings) -> ASGIApp:
    """The application behind all of it, from the inside to the outside; errors of the inner ones have CORS headers."""
    app = BodyLimit(app, settings.max_body)
    if settings.cors:
        app = Pages(app, settings.cors)
    if settings.loopback or settings.allowed_hosts:
        app = HostCheck(app, settings.allowed_hosts, settings.cors, loopback=settings.loopback)
    return Guard(app, settings.root_path)


class Pages:
    """CORS for web pages of these origins. They may use the models, never manage the server."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
            allow_private_network=True,  # a page of the internet that was named may call this machine
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._app if manages(scope) else self._cors)(scope, receive, send)


def request_id(scope: Scope) -> str:
    """The id that the reply's `x-request-id` and the log carry."""
    return access_of(scope).request_id


class Guard:
    """Gives each request its id and its line in the log, and sorts out its path."""

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app, self._root = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        access = begin_access(scope, uuid.uuid4().hex)
        access.quiet = (b"user-agent", _PAGE) in scope["headers"]
        header = (b"x-request-id", access.request_id.encode())

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                access.status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(self._placed(scope), receive, tagged)
        except Exception:  # the application has answered with a 500, and raises the error again for the log
            _log.exception("Request %s failed.", access.request_id)
            if not access.status:
                raise
        finally:
            access.write(scope)

    def _placed(self, scope: Scope) -> Scope:
        """Under the proxy's path, whether or not it strips that, and `/v1/v1` taken for `/v1`.

        A Mistral client whose base URL already ends in /v1, as OpenAI's does, asks for /v1/v1.
        """
        if self._root:
            scope = {**scope, "root_path": self._root}
        before, alias, after = scope["path"].partition("/v1/v1/")
        return {**scope, "path": f"{before}/v1/{after}"} if alias and before in ("", self._root) else scope
