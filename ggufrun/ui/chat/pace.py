"""Events as fast as they come, shown at most ten times a second, less where much is to do; and a tab's one reader."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final

from ggufrun.errors import GgufrunError
from ggufrun.ui.chat.live import Live

EVERY_S: Final = 0.1
SLOWEST_S: Final = 0.5
_BACK_OFF: Final = 6.0  # times of what a pause came too late: a click should find a machine that is not full


def pause_after(late_s: float, every_s: float = EVERY_S) -> float:
    """Until the next update, where the last pause ended so much too late: others want the processor, too."""
    return max(every_s, min(SLOWEST_S, every_s + _BACK_OFF * late_s))


class Reading:
    """Of one run, by one tab, until it is over or the tab turns to something else. Before it, of what leads there."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.left = False
        self.stops = False  # the user wants it to end, whatever it has come to
        self.live: Live | None = None  # the answer, once there is one
        self.begun = False  # somebody reads it
        self.done = False  # and has read all of it
        self.lost: GgufrunError | None = None  # or why not

    def leave(self) -> None:
        self.left = True
        self._news.set()

    async def updates(
        self, events: AsyncIterator[Any], take: Callable[[Any], None], every_s: float = EVERY_S
    ) -> AsyncGenerator[None, None]:
        """Each time that what was taken is to be shown: at once, then every `every_s` or later, and in the end.

        Raises what reading the events does, after all that came was shown. Nothing is shown once it was left.
        """
        reader = asyncio.create_task(self._read(events, take))
        reader.add_done_callback(lambda _: self._news.set())
        loop, pause = asyncio.get_running_loop(), every_s
        try:
            while not self.left:
                await self._news.wait()
                self._news.clear()
                if self.left:
                    return
                over = reader.done()
                yield
                if over:
                    await reader
                    return
                begun = loop.time()
                await asyncio.sleep(pause)
                pause = pause_after(loop.time() - begun - pause, every_s)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, events: AsyncIterator[Any], take: Callable[[Any], None]) -> None:
        async for event in events:
            take(event)
            self._news.set()
