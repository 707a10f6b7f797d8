"""One run: an answer of a chat while it is made. It ends by itself, when it is stopped, or with the server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ggufrun.api.chats.run_events import RunEvents
from ggufrun.errors import RunStopped
from ggufrun.records.chat_messages import ChatMessage

T = TypeVar("T")


class Run:
    """`chat` is the chat's number. What is wrong with the request comes out of `begun`, before there is an answer."""

    def __init__(self, id: str, chat: int) -> None:
        self.id, self.chat = id, chat
        self.events = RunEvents()
        self._begun: asyncio.Future[ChatMessage] = asyncio.get_running_loop().create_future()
        self._begun.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to see it
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._stoppable = True

    def go(self, answer: Callable[["Run"], Awaitable[None]], ended: Callable[[], object]) -> None:
        def over(_: asyncio.Task[None]) -> None:
            if not self._begun.done():  # cancelled before its first step
                self._begun.set_exception(RunStopped())
            self.events.close()
            ended()

        self._task = asyncio.create_task(self._answer(answer), name=f"run {self.id}")
        self._task.add_done_callback(over)

    @property
    def answers(self) -> bool:
        """Whether the answer has begun, and so is kept however it ends."""
        return self._begun.done() and self._begun.exception() is None

    async def begun(self) -> ChatMessage:
        """The answer's message, once the answer has begun. Raises what the request ended with."""
        return await asyncio.shield(self._begun)

    def has_begun(self, message: ChatMessage) -> None:
        self._begun.set_result(message)
        self.events.start(message)

    async def undisturbed(self, work: Awaitable[T]) -> T:
        """What `work` returns; a stop waits until then."""
        self._stoppable = False
        try:
            return await work
        finally:
            self._stoppable = True
            if self._stopping and self._task is not None:
                self._task.cancel()

    def finishes(self) -> None:
        """The answer is over and only to be stored: that is not stopped."""
        self._stoppable = False

    def cancel(self) -> None:
        if not self._stopping:
            self._stopping = True
            if self._stoppable and self._task is not None:
                self._task.cancel()

    async def stop(self) -> None:
        """Returns when it has ended."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _answer(self, answer: Callable[["Run"], Awaitable[None]]) -> None:
        try:
            await answer(self)
        except asyncio.CancelledError:
            if not self._begun.done():
                self._begun.set_exception(RunStopped())
        except Exception as error:  # the task ends here: who waits for the beginning gets it
            if self._begun.done():
                raise
            self._begun.set_exception(error)
