"""The page as an ASGI application. Gradio takes seconds to import, so it comes in a thread, while the server serves."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

Living = Callable[[], AbstractAsyncContextManager[ASGIApp]]


class Page:
    """Requests wait for it until it is there. `url`: of the server whose models it shows."""

    def __init__(self, url: str, scratch: Path, *, token: str = "", own: bool = True, root_path: str = "") -> None:
        """`own`: the server is this program's; `token`: its user's. `scratch`: where uploads lie until the end."""
        self._token = token
        self._url, self._scratch, self._own, self._root = url, scratch, own, root_path
        self._there: asyncio.Future[ASGIApp] | None = None
        self._over = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Import and build it, beside whatever goes on; it ends with this."""
        self._there = asyncio.get_running_loop().create_future()
        self._there.add_done_callback(_looked_at)
        life = asyncio.create_task(self._live(self._there))
        try:
            yield
        finally:
            self._over.set()
            await asyncio.wait({life}, timeout=1.0)
            life.cancel()

    async def ready(self) -> ASGIApp:
        """Returns when it is there. Raises what it could not be built for."""
        if self._there is None:
            raise RuntimeError("The page is not running.")
        return await asyncio.shield(self._there)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self.ready())(scope, receive, send)

    async def _live(self, there: "asyncio.Future[ASGIApp]") -> None:
        """One task begins and ends Gradio's life, as its lifespan wants."""
        try:
            async with (await _beside(self._built))() as page:
                there.set_result(page)
                await self._over.wait()
        except Exception as error:  # who asks for the page hears of it
            if there.done():
                raise
            there.set_exception(error)

    def _built(self) -> Living:
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported: it asks nobody on the internet
        os.environ["GRADIO_TEMP_DIR"] = str(self._scratch)
        from ggufrun.ui.mount import mounted

        return mounted(self._url, token=self._token, own=self._own, root_path=self._root)


async def _beside(work: Callable[[], Living]) -> Living:
    """In a thread that the end of the program does not wait for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Living] = loop.create_future()

    def settle(result: Living | None, error: BaseException | None) -> None:
        if done.done():
            return
        if result is not None:
            done.set_result(result)
        else:
            done.set_exception(error or RuntimeError("Nothing was built."))

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:  # the thread ends here, and who waits hears of it
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="page", daemon=True).start()
    return await done


def _looked_at(there: "asyncio.Future[ASGIApp]") -> None:
    if not there.cancelled():
        there.exception()
