"""Events as fast as they come, shown at most ten times a second; and the one reader that a tab has."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final

from ggufrun.errors import GgufrunError
from ggufrun.ui.chat.live import Live

EVERY_S: Final = 0.1


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
        """Each time that what was taken is to be shown: at once, then every `every_s`, and in the end.

        Raises what reading the events does, after all that came was shown. Nothing is shown once it was left.
        """
        reader = asyncio.create_task(self._read(events, take))
        reader.add_done_callback(lambda _: self._news.set())
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
                await asyncio.sleep(every_s)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, events: AsyncIterator[Any], take: Callable[[Any], None]) -> None:
        async for event in events:
            take(event)
            self._news.set()
