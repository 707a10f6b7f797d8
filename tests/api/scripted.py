"""A chat model that plays events, behind the real HTTP application: over ASGI, and on a socket of the loopback."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from starlette.types import ASGIApp

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.gateway import Gateway
from ggufrun.api.listener import Listener
from ggufrun.chat.types import AnyRequest, ChatEvent, ChatModel, Meter, ModelInfo
from tests.fakes import Scripted

STEPS = 3000  # of 0.02 s, before a wait is given up


@dataclass
class PlayedModel(Scripted):
    """Answers each request with the script: an exception in it is raised there, None waits for ever."""

    script: Sequence[ChatEvent | Exception | None]
    requests: list[AnyRequest] = field(default_factory=list)
    answers: list[AsyncGenerator[ChatEvent, None]] = field(default_factory=list)  # kept: no one but its reader ends it
    ended: int = 0  # answers that were read to their end, or closed

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("played", 100, 100, 256, 1000, "a script")

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
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


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """A client without a socket, for what needs none."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60)


@asynccontextmanager
async def listening(model: ChatModel, gateway: Gateway | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of uvicorn on a free port. Uvicorn's log goes to the root logger."""
    listener = Listener("127.0.0.1", 0).listen()  # socket.create_server's leaves Nagle on: 40 ms a request
    app = create_app(gateway or gateway_for(model))
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])  # `serve` would look only every 0.1 s whether it is to end
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60) as client:
            yield client
    finally:
        for each in server.servers:
            each.close()
        async with asyncio.timeout(60):
            while server.server_state.tasks or server.server_state.connections:  # noqa: ASYNC110 - uvicorn's own state
                await asyncio.sleep(0.002)


async def until_ended(model: PlayedModel, answers: int = 1) -> None:
    for _ in range(STEPS):
        if model.ended >= answers:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{model.ended} of {answers} answers were ended")
