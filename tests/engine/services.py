"""What the tests of the service share: settings with a fake model, requests, and readers that do not wait for ever."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil

from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.service import Service
from ggufrun.engine.stream import Stream
from ggufrun.engine.types import EngineEvent, Failed, GenerationRequest, Tokens
from ggufrun.settings import EngineSettings, ModelSettings
from tests.engine.harness import alone

CONTEXT = 2048
LIMIT_S = 60.0  # before a wait is given up: a loaded machine may take its time


def settings(factory: str = "good", path: Path = Path("fake.gguf"), **engine: object) -> WorkerSettings:
    model = ModelSettings(path, context=CONTEXT)
    return WorkerSettings(f"tests.engine.worker_models:{factory}", model, EngineSettings(**engine))  # type: ignore[arg-type]


def ask(service: Service, *prompt: int, most: int | None = 30, endless: bool = False) -> GenerationRequest:
    return GenerationRequest(service.next_id(), prompt, max_tokens=most, ignore_end=endless)


async def read(stream: Stream) -> tuple[list[int], EngineEvent]:
    """All tokens and the last event."""
    tokens: list[int] = []
    async with asyncio.timeout(LIMIT_S):
        async for event in stream:
            if isinstance(event, Tokens):
                tokens += event.tokens
    return tokens, event


async def first_tokens(stream: Stream) -> None:
    async with asyncio.timeout(LIMIT_S):
        async for event in stream:
            if isinstance(event, Tokens):
                return
    raise AssertionError("no tokens")


async def failure(stream: Stream) -> str:
    _, end = await read(stream)
    assert isinstance(end, Failed)
    return end.message


async def serves(service: Service) -> None:
    request = ask(service, 1, 2, 3)
    assert (await read(service.submit(request)))[0] == alone(request, CONTEXT)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not happened():  # noqa: ASYNC110 - what is waited for is another process, or the service's own state
            await asyncio.sleep(0.01)


async def until_gone(pid: int) -> None:
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
