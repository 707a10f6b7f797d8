"""Engines that play answers, and the surroundings of a shadow: what it leases, keeps and spends can be looked at."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ggufrun.chat.types import (
    AnswerSettings,
    AnyRequest,
    ChatEvent,
    ChatOptions,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Message,
    Meter,
    ModelInfo,
    Price,
    Started,
    TextDelta,
    ToolCallDelta,
)
from ggufrun.records.shadows import ShadowAnswer, ShadowPair
from ggufrun.routing.settings import ShadowSettings
from ggufrun.routing.shadow import Shadow, Spent, Surroundings
from ggufrun.routing.watcher import Answered
from tests.fakes import Scripted

PRICE = Price(1.0, 10.0)


def events(text: str, calls: Sequence[tuple[str, str]] = ()) -> tuple[ChatEvent, ...]:
    """A whole answer, its text word by word and its calls in two pieces each."""
    words = text.split(" ") if text else []
    said = [TextDelta(word if at == 0 else f" {word}") for at, word in enumerate(words)]
    called = [
        ToolCallDelta(index, f"call{index}", name, part)
        for index, (name, arguments) in enumerate(calls)
        for part in (arguments[:3], arguments[3:])
    ]
    end = ChoiceFinished("tool_calls" if calls else "stop")
    return (Started(10, 100), *said, *called, end, Completed(10, len(words), (), 0.01, 0.02, 20, 100))


@dataclass
class Engine(Scripted):
    """Answers with the events of `answers`, one after the other and the last one again; errors in them are raised."""

    answers: Sequence[Sequence[ChatEvent | Exception] | Exception]
    name: str = "shadow"
    requests: list[ChatRequest] = field(default_factory=list)
    gate: asyncio.Event | None = None  # each answer waits for it
    active: int = 0
    most: int = 0

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(self.name, 100, 100, 256, 1000, "a script", AnswerSettings(temperature=0.3), charges=PRICE)

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        assert isinstance(request, ChatRequest)
        self.requests.append(request)
        return self._play(self.answers[min(len(self.requests), len(self.answers)) - 1], meter or Meter())

    async def _play(
        self, answer: Sequence[ChatEvent | Exception] | Exception, meter: Meter
    ) -> AsyncGenerator[ChatEvent, None]:
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            if isinstance(answer, Exception):
                raise answer
            for event in answer:
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, Started):
                    meter.prompt_tokens = event.prompt_tokens
                    if self.gate is not None:
                        await self.gate.wait()
                elif isinstance(event, TextDelta):
                    meter.completion_tokens += 1
                meter.spent_usd = PRICE.usd(meter.prompt_tokens, meter.completion_tokens)
                yield event
        finally:
            self.active -= 1


@dataclass
class World:
    """Implements `Engines` with the only one that there is."""

    engine: Engine
    free: bool = True
    needed: bool = False  # its place, by others
    aliases: dict[str, str] = field(default_factory=dict)
    leases: list[Exception] = field(default_factory=list)  # raised by the next ones
    loading: asyncio.Event | None = None  # each lease waits for it
    loads: int = 0
    wishes: list[float] = field(default_factory=list)  # those that are held
    kept: list[ShadowPair] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)
    full: Exception | None = None  # raised where a pair is to be kept

    def shadow(
        self, share: float = 1.0, draws: Sequence[float] = (), waiting: int = 100, size: int = 1 << 20
    ) -> Shadow:
        left = list(draws)
        around = Surroundings(self, self._keep, self.spent.append)
        draw = (lambda: left.pop(0)) if draws else lambda: 0.0
        return Shadow("route", ShadowSettings("Shadow", share), around, draw, waiting=waiting, waiting_size=size)

    def served(self, engine: str) -> str:
        return self.aliases.get(engine, engine)

    def spare(self, engine: str) -> bool:
        return self.free

    def in_the_way(self, engine: str) -> bool:
        return self.needed

    @contextmanager
    def wish(self, engine: str, since: float) -> Iterator[None]:
        assert engine == "Shadow"
        self.wishes.append(since)
        try:
            yield
        finally:
            self.wishes.pop()

    @asynccontextmanager
    async def borrow(self, name: str) -> AsyncIterator[Engine]:
        assert name == "Shadow" and len(self.wishes) == 1
        if self.leases:
            raise self.leases.pop(0)
        if self.loading is not None:
            self.loads += 1
            await self.loading.wait()
        yield self.engine

    def _keep(self, pair: ShadowPair) -> None:
        if self.full is not None:
            raise self.full
        self.kept.append(pair)


def request(text: str = "Hi", **options: Any) -> ChatRequest:
    return ChatRequest((Message(role="user", content=text),), ChatOptions(**options))


def answered(text: str = "Hello there", engine: str = "real", calls: Sequence[tuple[str, str]] = ()) -> Answered:
    return Answered("route", engine, "first", events(text, calls), 10, 2, 0.1, 0.5, 0.002)


def answer(text: str = "", *calls: tuple[str, str], error: str = "", engine: str = "x") -> ShadowAnswer:
    return ShadowAnswer(engine, "stop", 0.1, 0.5, 10, 5, 0.0, error, text, calls)


async def until_idle(shadow: Shadow) -> None:
    async with asyncio.timeout(60):
        while shadow.state.waiting:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
