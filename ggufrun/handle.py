"""The Python API: `from ggufrun import load`. One class, callable from plain and from async code; the model's own event
loop runs in a background thread.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from ggufrun.api.calls.dialect import Dialect
from ggufrun.api.conversation.chat_body import ChatBody
from ggufrun.api.conversation.wire import ChatCompletionBody
from ggufrun.api.images.images import Images
from ggufrun.chat.types import ChatEvent, ChatModel, ChatRequest, ModelInfo
from ggufrun.errors import EngineClosed, RequestError
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings, ModelOverrides
from ggufrun.validation import first_problem, nearest

Messages = Sequence[Mapping[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `usage` and `timings` are those of the HTTP API."""

    text: str
    finish_reason: str
    thinking: str
    tool_calls: tuple[Mapping[str, Any], ...]
    usage: Mapping[str, Any]
    timings: Mapping[str, Any]

    def __str__(self) -> str:
        return self.text


def _request(messages: Messages, options: Mapping[str, Any]) -> ChatRequest:
    known = set(ChatCompletionBody.model_fields) - {"model", "messages", "stream", "stream_options"}
    for name in options:
        if name not in known:
            meant = nearest(name, known, 1)
            hint = f"Did you mean {meant[0]}?" if meant else f"Known options: {', '.join(sorted(known))}."
            raise RequestError(f"There is no option {name!r}.", hint, name)
    try:
        return ChatCompletionBody.model_validate({"messages": list(messages), **options}).to_request()
    except ValidationError as error:
        raise RequestError(first_problem(error, known), param=str(error.errors()[0]["loc"][0])) from error


class Model:
    """A loaded model. Close it, or use it in a `with` statement: its process and memory go with it.

    Options are the fields of POST /v1/chat/completions, e.g. `temperature=0, max_tokens=100, response_format={…}`.
    """

    def __init__(self, spec: str, overrides: ModelOverrides, engine: EngineSettings, template: Path | None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ggufrun", daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()
        self._closed = False
        self._images = Images()
        try:
            self._model = self._wait(self._open(spec, overrides, engine, template))
        except BaseException:
            self.close()
            raise

    async def _open(
        self, spec: str, overrides: ModelOverrides, engine: EngineSettings, template: Path | None
    ) -> ChatModel:
        return await self._stack.enter_async_context(open_model(spec, overrides, engine, chat_template=template))

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    def chat(self, messages: Messages, **options: Any) -> Answer:
        """The whole answer. Raises RequestError for what is wrong with the request, EngineError for the engine."""
        return self._wait(self._collect(_request(messages, options)))

    def stream(self, messages: Messages, **options: Any) -> Iterator[ChatEvent]:
        """The answer's events as they come; leaving the loop stops the generation."""
        events = self._events(replace(_request(messages, options), live=True))
        try:
            while (event := self._wait(_next(events))) is not None:
                yield event
        finally:
            self._wait(_close(events))

    async def achat(self, messages: Messages, **options: Any) -> Answer:
        """`chat` for async code; cancelling the task stops the generation."""
        return await self._awaited(self._collect(_request(messages, options)))

    async def astream(self, messages: Messages, **options: Any) -> AsyncIterator[ChatEvent]:
        """`stream` for async code."""
        events = self._events(replace(_request(messages, options), live=True))
        try:
            while (event := await self._awaited(_next(events))) is not None:
                yield event
        finally:
            await asyncio.shield(self._awaited(_close(events)))

    def count_tokens(self, messages: Messages, **options: Any) -> int:
        """Prompt tokens of the request, as `usage["prompt_tokens"]` would report them."""
        return self._wait(self._images.count(self._model, _request(messages, options)))

    def close(self) -> None:
        """End the model's process. Safe to call more than once."""
        if self._closed:
            return
        with contextlib.suppress(RuntimeError):
            self._wait(self._stack.aclose())
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def _events(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        brought = await self._images.brought(request, self._model.info)
        async with contextlib.aclosing(self._model.complete(brought)) as events:
            async for event in events:
                yield event

    async def _collect(self, request: ChatRequest) -> Answer:
        collector = ChatBody(self._model.info.name, request.options.n, Dialect.OPENAI)
        async with contextlib.aclosing(self._events(request)) as events:
            async for event in events:
                collector.add(event)
        body = collector.body()
        choice = body["choices"][0]
        message = choice["message"]
        return Answer(
            text=message["content"],
            finish_reason=choice["finish_reason"],
            thinking=message.get("reasoning_content", ""),
            tool_calls=tuple(message["tool_calls"] or ()),
            usage=body["usage"],
            timings=body["timings"],
        )

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise EngineClosed
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _awaited(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise EngineClosed
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


async def _next(events: AsyncGenerator[ChatEvent, None]) -> ChatEvent | None:
    return await anext(events, None)


async def _close(events: AsyncGenerator[ChatEvent, None]) -> None:
    await events.aclose()
