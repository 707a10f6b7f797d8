"""The runs of this server that are under way, by their chats: begun once, found by readers, ended with the server."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from ggufrun.api.chats.run import Run
from ggufrun.errors import ChatBusy
from ggufrun.records.chats import ChatStore

_CLOSE_S: Final = 1.0  # the sweep of the next start stops what has not ended by then


class Runs:
    """For the event loop's thread."""

    def __init__(self) -> None:
        self._by_chat: dict[int, Run] = {}
        self.closing = False

    @property
    def ids(self) -> Collection[str]:
        return {run.id for run in self._by_chat.values()}

    def of(self, chat: int) -> Run | None:
        """What is being answered in the chat of this number."""
        return self._by_chat.get(chat)

    def check(self, chat: int) -> None:
        """Raises ChatBusy."""
        if (run := self.of(chat)) is not None:
            raise ChatBusy(run.id)

    def begin(self, run: Run, answer: Callable[[Run], Awaitable[None]]) -> None:
        """Have `answer` answer it, from now to its end. Raises ChatBusy where the chat has one."""
        self.check(run.chat)
        self._by_chat[run.chat] = run
        run.go(answer, lambda: self._by_chat.pop(run.chat, None))

    async def stop(self, chat: int) -> None:
        """End what is being answered there, if anything is; it is stored then."""
        if (run := self.of(chat)) is not None:
            await run.stop()

    async def close(self, store: ChatStore | None = None) -> None:
        """The server ends, and with it all of them, whether or not the `store` can be written to."""
        self.closing = True
        if store is not None:
            store.hurry()
        runs = tuple(self._by_chat.values())
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait([asyncio.ensure_future(run.stop()) for run in runs], timeout=_CLOSE_S)
