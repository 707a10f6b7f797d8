"""The latest of several questions: who asks again gives up the answer that has not come yet."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Superseded(Exception):
    """Another question has taken this one's place."""


class Turn:
    """Of one browser tab. The requests that are given up are ended, so that the server hears of it."""

    def __init__(self) -> None:
        self._asking: asyncio.Task[Any] | None = None

    async def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Its answer. Raises Superseded."""
        self.drop()
        self._asking = mine = asyncio.create_task(question)
        try:
            return await mine
        except asyncio.CancelledError:
            if self._asking is mine:
                raise  # the browser has left
            raise Superseded from None
        finally:
            if self._asking is mine:
                self._asking = None

    def drop(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
