"""The page as an ASGI application. Gradio takes seconds to import, so it comes in a thread, while the server serves.

What is there of it sooner: who may see it (`entrance`), and a first page where one can write (`first`).
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggufrun.mcp_servers import McpServer

if TYPE_CHECKING:  # httpx comes with it, and no server is to wait for that
    from ggufrun.ui.entrance import Entrance

_NOT_THERE: Final = PlainTextResponse(
    "The page cannot be shown: what the server has written says why. The API works all the same.\n", 503
)
_ENDING: Final = PlainTextResponse("The server ends.\n", 503)
_log = logging.getLogger(__name__)

T = TypeVar("T")
Living = Callable[[], AbstractAsyncContextManager[ASGIApp]]


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Whose models it shows, and to whom."""

    url: str
    own: bool = True  # the server is this program's
    token: str = ""  # by which everybody may manage the server while it asks nobody for a key
    key: str = ""  # of those who have not logged in
    root_path: str = ""  # where a reverse proxy mounts it
    always_login: bool = False  # nobody sees it without a key of the server
    mcp_servers: Callable[[], Mapping[str, McpServer]] = dict  # of this machine's user, read anew each time


class Page:
    """Requests wait for it until it is there; browsers are shown a first page meanwhile."""

    def __init__(self, settings: PageSettings, scratch: Path) -> None:
        """`scratch`: where uploads lie until the end."""
        self._settings, self._scratch = settings, scratch
        self._entrance: asyncio.Future[Entrance] | None = None
        self._there: asyncio.Future[ASGIApp] | None = None
        self._over = asyncio.Event()
        self._building, self._ended = threading.Lock(), False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Import and build it, beside whatever goes on; it ends with this, and writes nothing afterwards."""
        loop = asyncio.get_running_loop()
        self._entrance, self._there = loop.create_future(), loop.create_future()
        life = asyncio.create_task(self._live(self._entrance, self._there))
        try:
            yield
        finally:
            self.close()
            if self._there.done():
                await asyncio.wait({life}, timeout=1.0)
            life.cancel()  # at once where it is still being imported: that thread ends with the program
            self._ended = True
            with self._building:  # which makes folders in `scratch`, also if it is gone
                pass

    def close(self) -> None:
        """End what it streams, as if all browsers had left: a server that ends would wait for them."""
        self._over.set()

    async def ready(self) -> bool:
        """Returns when browsers can be shown something of it, or never can; what for is in the log."""
        return await self._until(self._entrance) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._has_failed() or (entrance := await self._until(self._entrance)) is None:
            await self._absent()(scope, receive, send)
        else:
            await self._answered(entrance.app, scope, receive, send)

    async def _behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Gradio's part, for those who may see it."""
        await (await self._until(self._there) or self._absent())(scope, receive, send)

    def _absent(self) -> PlainTextResponse:
        return _ENDING if self._over.is_set() and not self._has_failed() else _NOT_THERE

    def _is_settled(self) -> bool:
        """It is there, or cannot be."""
        return self._there is not None and self._there.done()

    def _has_failed(self) -> bool:
        return self._there is not None and self._there.done() and self._there.exception() is not None

    async def _until(self, there: "asyncio.Future[T] | None") -> T | None:
        """None where it cannot be, or where all is over first."""
        if there is None:
            raise RuntimeError("The page is not running.")
        over = asyncio.ensure_future(self._over.wait())
        waited: list[asyncio.Future[Any]] = [there, over]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        return there.result() if there.done() and not there.cancelled() and there.exception() is None else None

    async def _answered(self, page: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """To its end, also where that has come early."""
        begun = whole = False

        async def sent(message: Message) -> None:
            nonlocal begun, whole
            begun, whole = True, message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        await page(scope, self._until_over(receive), sent)
        if self._over.is_set() and not whole:
            if not begun:
                await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    def _until_over(self, receive: Receive) -> Receive:
        async def received() -> Message:
            message, over = asyncio.ensure_future(receive()), asyncio.ensure_future(self._over.wait())
            waited: list[asyncio.Future[Any]] = [message, over]
            try:
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                over.cancel()

        return received

    async def _live(self, opened: "asyncio.Future[Entrance]", there: "asyncio.Future[ASGIApp]") -> None:
        """One task begins and ends Gradio's life, as its lifespan wants."""
        try:
            entrance = await _beside(self._first_of_all, "entrance")
            opened.set_result(entrance)
            try:
                async with (await _beside(self._built, "page"))() as page:
                    there.set_result(page)
                    await self._over.wait()
            finally:
                await entrance.server.close()
        except Exception as error:  # who asks for the page hears of it
            opened.cancel()
            if not there.done():
                there.set_exception(error)
            _log.exception("The page cannot be shown.")

    def _first_of_all(self) -> "Entrance":
        from ggufrun.ui.client import Server
        from ggufrun.ui.entrance import Entrance

        ours = self._settings
        server = Server(ours.url, own=ours.own, key=ours.key, token=ours.token)
        return Entrance(self._behind, server, is_settled=self._is_settled, always_login=ours.always_login)

    def _built(self) -> Living:
        from ggufrun.ui.gradio_import import prepare

        prepare(self._scratch)
        from ggufrun.ui.mount import mounted

        with self._building:
            if self._ended or self._entrance is None:
                raise RuntimeError("The page has ended.")
            entrance, ours = self._entrance.result(), self._settings
            return mounted(entrance, root_path=ours.root_path, mcp_servers=ours.mcp_servers)


async def _beside(work: Callable[[], T], name: str) -> T:
    """In a thread that the end of the program does not wait for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Sequence[T], error: BaseException | None) -> None:
        if done.done():
            return
        if result:
            done.set_result(result[0])
        else:
            done.set_exception(error or RuntimeError("Nothing was built."))

    def run() -> None:
        result: Sequence[T] = ()
        failed = None
        try:
            result = (work(),)
        except BaseException as error:  # the thread ends here, and who waits hears of it
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
