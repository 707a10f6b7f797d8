"""Runs what blocks beside the event loop, in threads that the end of the server does not wait for: the hub may hang."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from ggufrun.errors import EngineBusy

T = TypeVar("T")

_MOST: Final = 8  # at once; each may start a process that measures


class Beside:
    """Of one server. A call that nobody waits for any more goes on to its end, and counts until then."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._running = 0  # belongs to the event loop

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Raises EngineBusy where many run already."""
        if self._running >= self._most:
            raise EngineBusy(self._running)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def tell(result: T | None, error: BaseException | None) -> None:
            self._running -= 1
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None only where it is T

        def run() -> None:
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:  # the thread ends here; who waits raises it
                failure = error
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(tell, result, failure)

        threading.Thread(target=run, name="library", daemon=True).start()
        self._running += 1  # `tell` runs in this loop, so later; a thread that does not start takes no place
        return await future
