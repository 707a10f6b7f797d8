"""Engines that play answers, and a pool of them: which is leased, and how many at once, can be looked at."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ggufrun.chat.types import (
    AnyRequest,
    ChatEvent,
    ChatModel,
    ChatOptions,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Embeddings,
    Logprob,
    Message,
    Meter,
    ModelInfo,
    Started,
    TextDelta,
    ToolCallDelta,
)
from ggufrun.errors import EngineBusy, ModelLacks
from ggufrun.routing.info import info_of
from ggufrun.routing.routed import RoutedChatModel
from ggufrun.routing.settings import RouteSettings

Step = ChatEvent | Exception | None  # None waits for ever


def said(*words: str, sure: float = -0.1, forced: Sequence[float] = (), calls: Sequence[tuple[str, str]] = ()) -> Any:
    """A whole answer: its words with their log-probability, those of `forced` behind them, and its tool calls."""
    entries = [Logprob(word, 1, word.encode(), sure) for word in words]
    entries += [Logprob("}", 2, b"}", each, forced=True) for each in forced]
    texts = [*words, *("" for _ in forced)]
    deltas = [TextDelta(text, logprobs=(entry,)) for text, entry in zip(texts, entries, strict=True)]
    called = [ToolCallDelta(at, f"call{at}", name, arguments) for at, (name, arguments) in enumerate(calls)]
    end = ChoiceFinished("tool_calls" if calls else "stop")
    return (Started(10, 100), *deltas, *called, end, Completed(10, len(texts), (), 0.01, 0.02, 20, 100))


@dataclass
class Engine:
    """Answers with `answer`, whose exceptions are raised there. Implements `ChatModel`."""

    name: str
    answer: Sequence[Step]
    usd: float = 0.0  # what each attempt costs, told when it is closed, as a remote engine does
    places: int = 8
    vector: bytes = b""
    context: int = 100
    requests: list[AnyRequest] = field(default_factory=list)
    reserved: int = 0
    closed: int = 0
    stuck: asyncio.Event = field(default_factory=asyncio.Event)  # an answer has come to where it waits for ever

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(self.name, self.context, 100, 256, 1000, "a script")

    async def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        meter = meter or Meter()
        try:
            for step in self.answer:
                await asyncio.sleep(0)
                if step is None:
                    self.stuck.set()
                    await asyncio.Event().wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    self._count(step, meter)
                    asked = request.options.logprobs is not None
                    yield replace(step, logprobs=()) if isinstance(step, TextDelta) and not asked else step
        finally:
            self.closed += 1
            meter.spent_usd += self.usd

    def _count(self, event: ChatEvent, meter: Meter) -> None:
        if isinstance(event, Started):
            meter.prompt_tokens = event.prompt_tokens
        elif isinstance(event, TextDelta):
            meter.completion_tokens += 1
            meter.ttft_s = meter.ttft_s or 0.01

    @contextmanager
    def reserve(self, answers: int, param: str) -> Iterator[ChatModel]:
        if answers > self.places:
            raise EngineBusy(8)
        self.reserved += answers
        try:
            yield self
        finally:
            self.reserved -= answers

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        return tuple(range(len(self.name)))

    async def count_tokens(self, request: AnyRequest) -> int:
        return len(await self.tokens(request))

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> Embeddings:
        if not self.vector:
            raise ModelLacks(f"{self.name} makes no embeddings.")
        return Embeddings((self.vector,), (1,))

    async def close(self) -> None: ...


@dataclass
class Fleet:
    """Leases engines by name; `refused` raises instead."""

    engines: dict[str, Engine]
    refused: dict[str, Exception] = field(default_factory=dict)
    leased: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    most: int = 0

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ChatModel]:
        self.leased.append(name)
        if name in self.refused:
            raise self.refused[name]
        self.held.append(name)
        self.most = max(self.most, len(self.held))
        try:
            yield self.engines[name]
        finally:
            self.held.remove(name)

    def route(self, settings: RouteSettings, **more: Any) -> RoutedChatModel:
        infos = {name: engine.info for name, engine in self.engines.items()}
        return RoutedChatModel(info_of(settings, infos), settings, self.lease, **more)


def fleet(*engines: Engine) -> Fleet:
    return Fleet({engine.name: engine for engine in engines})


def asked(**more: Any) -> ChatRequest:
    options = more.pop("options", ChatOptions())
    return ChatRequest((Message(role="user", content="Hi"),), options, **more)


@dataclass
class Reply:
    text: str
    events: list[ChatEvent]
    meter: Meter


async def reply(route: ChatModel, request: AnyRequest | None = None) -> Reply:
    meter = Meter()
    events = [event async for event in route.complete(request or asked(), meter)]
    return Reply("".join(event.text for event in events if isinstance(event, TextDelta)), events, meter)
