"""A chat model that plays events, behind the real HTTP application: over ASGI, and on a socket of the loopback."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn

from ggufrun.api.app import create_app
from ggufrun.chat.types import ChatEvent, ChatRequest, ModelInfo

STEPS = 500  # of 0.02 s, before a wait is given up


@dataclass
class PlayedModel:
    """Answers each request with the script: an exception in it is raised there, None waits for ever."""

    script: Sequence[ChatEvent | Exception | None]
    requests: list[ChatRequest] = field(default_factory=list)
    answers: list[AsyncGenerator[ChatEvent, None]] = field(default_factory=list)  # kept: no one but its reader ends it
    ended: int = 0  # answers that were read to their end, or closed

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("played", 100, 100, 256, 1000, "a script")

    def complete(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        self.answers.append(self._play())
        return self.answers[-1]

    async def _play(self) -> AsyncGenerator[ChatEvent, None]:
        try:
            for step in self.script:
                if step is None:
                    await asyncio.Event().wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step
        finally:
            self.ended += 1

    async def count_tokens(self, request: ChatRequest) -> int:
        return 10

    async def close(self) -> None:
        return None


@asynccontextmanager
async def listening(model: PlayedModel) -> AsyncIterator[httpx.AsyncClient]:
    """A client of uvicorn on a free port. Uvicorn's log goes to the root logger."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(model), lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=10) as client:
            yield client
    finally:
        server.should_exit = True
        await asyncio.wait_for(running, 10)


async def until_ended(model: PlayedModel, answers: int = 1) -> None:
    for _ in range(STEPS):
        if model.ended >= answers:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{model.ended} of {answers} answers were ended")
