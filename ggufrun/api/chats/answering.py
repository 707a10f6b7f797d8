"""How a run is answered: as a request to /v1/chat/completions is, but into the chat, and whoever reads along.

The answer is stored twice a second while it comes, and whole when it ends, however it ends.
"""

import asyncio
import logging
import sqlite3
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, Final

from ggufrun.api.calls.call import Call
from ggufrun.api.calls.respond import escalated
from ggufrun.api.calls.usage import routed
from ggufrun.api.chats.answer import Answer
from ggufrun.api.chats.owned import Owned
from ggufrun.api.chats.question import Question
from ggufrun.api.chats.run import Run
from ggufrun.api.errors import envelope_of, reply_to
from ggufrun.chat.types import ChatEvent, ChatRequest, ModelInfo, Started
from ggufrun.errors import ChatBusy, GgufrunError, StoreBusy
from ggufrun.records.chat_messages import ChatMessage

WRITE_S: Final = 0.5
_TRIES: Final = 3  # to store the whole answer
_log = logging.getLogger(__name__)


class Answering:
    """Of one run. `call` is its own from now on."""

    def __init__(self, chats: Owned, call: Call, question: Question, request: ChatRequest) -> None:
        self._chats, self._call, self._question = chats, call, question
        self._request = escalated(request, call.request.headers)
        self._answer: Answer | None = None  # None: not begun
        self._first_token: float | None = None  # when it came
        self._dirty = False  # something of it is not stored
        self._over = asyncio.Event()

    async def __call__(self, run: Run) -> None:
        """Raises what comes before the answer has begun."""
        writer: asyncio.Task[None] | None = None
        state, failure = "done", dict[str, Any]()
        try:
            async with AsyncExitStack() as stack:
                model = await stack.enter_async_context(self._call.model(self._question.model))
                request = await self._call.gateway.images.brought(self._request, model.info)
                events = await stack.enter_async_context(aclosing(model.complete(request, self._call.meter)))
                first = await anext(events)  # raises what is wrong with the request
                await self._begin(run, model.info, first)
                writer = asyncio.create_task(self._write(run))
                self._take(run, first)
                async for event in events:
                    self._take(run, event)
        except asyncio.CancelledError:
            self._call.close(499, "cancelled")
            state = "stopped"
            if self._answer is None:
                raise
        except Exception as error:  # the run ends here: its readers hear of it
            state, failure = "failed", {"error": self._failure(run, error)}
            if self._answer is None:
                raise
        run.finishes()
        self._over.set()
        if writer is not None:
            await asyncio.wait({writer})
        await self._end(run, state, failure)

    async def _begin(self, run: Run, info: ModelInfo, first: ChatEvent) -> None:
        question = self._question
        kept = {name: value for name, value in question.answer.meta.items() if name == "thinking_ms"}
        context = {"context": first.context} if isinstance(first, Started) else {}  # readers show how much is used
        meta = {"state": "running", "run": run.id, "model": info.name, **context, **kept}
        meta |= routed(self._call.meter)
        message = replace(question.answer, meta=meta)
        await run.undisturbed(asyncio.to_thread(self._store, run, message))
        self._answer = Answer(message, info.price)
        run.has_begun(message)

    def _store(self, run: Run, message: ChatMessage) -> None:
        stored, question = self._chats.store.runs, self._question
        try:
            stored.begin(run.chat, run.id, question.added, message, new=not question.continued)
        except ChatBusy:  # perhaps by a process that has ended
            stored.sweep(self._chats.runs.ids)
            stored.begin(run.chat, run.id, question.added, message, new=not question.continued)

    def _take(self, run: Run, event: ChatEvent) -> None:
        if self._answer is not None and (new := self._answer.add(event)) is not None:
            self._dirty = True
            run.events.add(new, self._call.meter.completion_tokens, self._generation_ms())
        if self._call.transcript is not None:
            self._call.transcript.add(event)
        self._call.watch(event)

    def _generation_ms(self) -> int:
        """Since the first token; 0 before it."""
        if self._first_token is None and self._call.meter.completion_tokens:
            self._first_token = time.perf_counter()
        return 0 if self._first_token is None else round(1e3 * (time.perf_counter() - self._first_token))

    def _failure(self, run: Run, error: Exception) -> object:
        reply = reply_to(error)
        self._call.close(reply.status, reply.type)
        if self._answer is not None and not isinstance(error, GgufrunError):
            _log.exception("Run %s failed.", run.id)
        return envelope_of(error)["error"]

    async def _write(self, run: Run) -> None:
        """Store what has come, now and then, until the answer is over."""
        while not self._over.is_set():
            try:
                await asyncio.wait_for(self._over.wait(), WRITE_S)
            except TimeoutError:
                if self._dirty and self._answer is not None:
                    self._dirty = False
                    await self._write_once(run, self._answer.message())

    async def _write_once(self, run: Run, message: ChatMessage) -> None:
        try:
            there = await asyncio.to_thread(self._chats.store.runs.write, message)
        except (StoreBusy, sqlite3.Error) as error:
            self._dirty = True
            _log.warning("The answer of run %s cannot be stored now: %s", run.id, error)
        else:
            if not there:  # its chat was deleted
                run.cancel()

    async def _end(self, run: Run, state: str, failure: dict[str, Any]) -> None:
        if self._answer is None:
            return
        if state != "done":
            self._answer.cut(self._call.meter, self._generation_ms())
        message = replace(self._question.answer, meta={"state": "failed", "run": run.id})  # what can be stored always
        try:
            message = await self._stored(run, self._answer.end(state, **failure))
        except Exception:  # the run has to end in the store all the same
            _log.exception("The answer of run %s cannot be stored.", run.id)
            await self._stored(run, message)
        finally:
            run.events.end(message)

    async def _stored(self, run: Run, message: ChatMessage) -> ChatMessage:
        for attempt in range(_TRIES):
            try:
                await asyncio.to_thread(self._chats.store.runs.end, run.chat, run.id, message)
                break
            except (StoreBusy, sqlite3.Error) as error:
                _log.warning("The answer of run %s could not be stored: %s", run.id, error)
                if self._chats.runs.closing:
                    break
                await asyncio.sleep(attempt)
        return message
