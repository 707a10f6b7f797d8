"""The engine events of several generations as one stream, each with its choice's number."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from ggufrun.engine.generation import Generation
from ggufrun.engine.types import EngineEvent

_Queue = asyncio.Queue[tuple[int, EngineEvent | None]]


async def merged(generations: Sequence[Generation]) -> AsyncGenerator[tuple[int, EngineEvent], None]:
    """Events in the order in which they come; an error of one generation is raised here."""
    if len(generations) == 1:
        async for event in generations[0]:
            yield 0, event
        return
    queue: _Queue = asyncio.Queue()  # unbounded: a generation ends at the context's end, and its events are small
    pumps = [asyncio.create_task(_pump(choice, each, queue)) for choice, each in enumerate(generations)]
    running = len(pumps)
    try:
        while running:
            choice, got = await queue.get()
            if got is not None:
                yield choice, got
                continue
            running -= 1
            await pumps[choice]
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(choice: int, generation: Generation, queue: _Queue) -> None:
    try:
        async for event in generation:
            queue.put_nowait((choice, event))
    finally:
        queue.put_nowait((choice, None))
