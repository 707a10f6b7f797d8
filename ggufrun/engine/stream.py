"""One submitted request as its reader sees it: a buffer between the service and one consumer, both on one loop."""

import asyncio
from collections import deque
from collections.abc import Callable

from ggufrun.engine.types import (
    Embedded,
    EngineEvent,
    EngineRequest,
    Failed,
    Finished,
    GenerationRequest,
    PromptProgress,
    Tokens,
)


class Stream:
    """Implements `Generation`. A reader that falls behind gets its tokens in fewer, longer events."""

    def __init__(self, request: EngineRequest, cancel: Callable[[int], None]) -> None:
        self.request = request
        self.unread = 0  # numbers waiting for the reader: tokens, and their logprobs
        self._cancel = cancel
        logprobs = request.sampling.logprobs if isinstance(request, GenerationRequest) else None
        self._weight = 1 + (0 if logprobs is None else 1 + logprobs)
        self._events: deque[EngineEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._over = False  # the last event was read

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> EngineEvent:
        while not self._events:
            if self._over:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take()

    def cancel(self) -> None:
        self._cancel(self.request.id)

    def push(self, event: EngineEvent) -> None:
        """Add an event and wake the reader."""
        self._events.append(event)
        if type(event) is Tokens:
            self.unread += len(event.tokens) * self._weight
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def abandon(self, message: str) -> None:
        """Throw away what was not read and end with an error."""
        self._events.clear()
        self.unread = 0
        self.push(Failed(self.request.id, message))

    def _take(self) -> EngineEvent:
        event = self._events.popleft()
        if isinstance(event, Tokens):
            if self._events and isinstance(self._events[0], Tokens):
                event = self._merge(event)
            self.unread -= len(event.tokens) * self._weight
        elif isinstance(event, PromptProgress):
            while self._events and isinstance(self._events[0], PromptProgress):
                event = self._events.popleft()
        elif isinstance(event, Finished | Failed | Embedded):
            self._over = True
        return event

    def _merge(self, first: Tokens) -> Tokens:
        tokens, logprobs = list(first.tokens), list(first.logprobs)
        while self._events and isinstance(following := self._events[0], Tokens):
            self._events.popleft()
            tokens += following.tokens
            logprobs += following.logprobs
        return Tokens(first.id, tuple(tokens), tuple(logprobs))
