"""Models that only pretend to load, and remember what was done with them: openers for the pool."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from ggufrun.chat.types import AnyRequest, ChatEvent, ChatModel, Meter, ModelInfo
from ggufrun.pool.offer import Offer, Progress
from tests.fakes import Scripted


class FakeModel(Scripted):
    def __init__(self, info: ModelInfo) -> None:
        self._info = info
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        return self._info

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        raise NotImplementedError


@dataclass
class Fleet:
    """`offer` makes what the pool takes. A load takes `load_s` and fails with what `failures` holds for it."""

    load_s: float = 0.0
    close_s: float = 0.0
    total: int | None = None  # bytes of memory of the pretended machine
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)  # a load that waits for one
    loads: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)  # bytes of those that are open or opening
    grown: set[str] = field(default_factory=set)  # those whose bytes are missed already: once they are open
    most: int = 0  # models open at once

    def offer(self, name: str, memory_bytes: int = 0, aliases: tuple[str, ...] = ()) -> Offer:
        info = ModelInfo(name, 100, 100, 256, 1000, "a fake", aliases=aliases, memory_bytes=memory_bytes)

        @asynccontextmanager
        async def open(on_progress: Progress) -> AsyncIterator[ChatModel]:
            assert name not in self.held, f"{name} is loaded twice"
            self.loads.append(name)
            self.held[name] = memory_bytes
            self.most = max(self.most, len(self.held))
            model = FakeModel(info)
            try:
                await asyncio.sleep(self.load_s / 2)
                on_progress(0.5)
                if name in self.gates:
                    await self.gates[name].wait()
                await asyncio.sleep(self.load_s / 2)
                if self.failures.get(name):
                    raise self.failures[name].pop(0)
                self.grown.add(name)
                yield model
            finally:
                model.closed = True
                await self._close(name)

        return Offer(info, open)

    def make(self, spec: str, name: str) -> Offer:
        """For a pool that takes more: file, quant and aliases as `folder/NAME-QUANT.gguf,ALIAS` says."""
        path, _, alias = spec.partition(",")
        own, _, quant = path.rpartition("/")[2].removesuffix(".gguf").partition("-")
        offer = self.offer(name or own, aliases=(alias,) if alias and not name else ())
        return replace(offer, info=replace(offer.info, quant=quant), path=path)

    async def _close(self, name: str) -> None:
        """Not to be hurried, as the end of a process is not."""
        closing = asyncio.ensure_future(asyncio.sleep(self.close_s))
        while not closing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(closing)
        del self.held[name]
        self.grown.discard(name)
        self.closed.append(name)

    def available(self) -> int | None:
        return None if self.total is None else self.total - sum(self.held[name] for name in self.grown)
