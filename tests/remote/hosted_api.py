"""A stand-in of Mistral's hosted API: a real HTTP server on the loopback, strict where the hosted one is, scripted.

The hosted API itself was never asked: its documents and its SDKs were. `python -m tests.remote.hosted_api` runs one.
"""

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.remote.hosted_chunks import card, chunk, deltas, usage, whole
from tests.remote.hosted_scenes import UNAUTHORIZED, Fault, Scene, said, scene_of
from tests.remote.hosted_wire import Request, fault_of, tokens_of

KEY = "hosted-key-7fK2pQ9xWm"


class ConnectionCut(Exception):
    """Ends a stream without its last chunk."""


@dataclass
class Hosted:
    """Its state, which tests look at. `faults` are answered one after the other before anything else is."""

    key: str = KEY
    address: str = ""
    faults: list[Fault] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)  # of chat requests that had the key, as they were sent
    requests: int = 0  # of chats, the refused ones counted
    lists: int = 0  # how often it was asked which models it has
    streaming: int = 0  # answers that are being sent now
    left: int = 0  # answers whose reader went away

    def _refused(self, request: HTTPRequest) -> Fault | None:
        return None if request.headers.get("authorization") == f"Bearer {self.key}" else UNAUTHORIZED

    async def models(self, request: HTTPRequest) -> Response:
        self.lists += 1
        if fault := self._refused(request):
            return _error(fault)
        return JSONResponse({"object": "list", "data": [card()]})

    async def chat(self, request: HTTPRequest) -> Response:
        self.requests += 1
        if fault := self._refused(request):
            return _error(fault)
        body = await request.json()
        self.bodies.append(body)
        if self.faults:
            return _error(self.faults.pop(0))
        try:
            asked = Request.model_validate(body)
        except ValidationError as error:
            detail = json.loads(error.json(include_url=False, include_context=False))
            return JSONResponse({"detail": [each | {"loc": ["body", *each["loc"]]} for each in detail]}, 422)
        if broken := fault_of(asked):
            return _error(said(400, broken[0], broken[2], broken[1]))
        scene = scene_of(asked)
        if not asked.stream:
            await asyncio.sleep(scene.pause_s * len(scene.pieces))
            return JSONResponse(whole(scene, tokens_of(asked)))
        return StreamingResponse(self._stream(scene, tokens_of(asked)), media_type="text/event-stream")

    async def _stream(self, scene: Scene, prompt: int) -> AsyncGenerator[bytes, None]:
        self.streaming += 1
        ended = False
        try:
            for delta in deltas(scene):
                await asyncio.sleep(scene.pause_s)
                yield _event(chunk(delta))
            if scene.cut:
                ended = True
                raise ConnectionCut
            yield _event(chunk({"content": ""}, scene.finish, usage=usage(scene, prompt)))
            ended = True
            yield b"data: [DONE]\n\n"
        finally:
            self.streaming -= 1
            self.left += not ended


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def _error(fault: Fault) -> Response:
    if isinstance(fault.body, str):
        return Response(fault.body, fault.status, fault.headers, "text/html")
    return JSONResponse(fault.body, fault.status, fault.headers)


def application(hosted: Hosted) -> Starlette:
    routes = [
        Route("/v1/models", hosted.models),
        Route("/v1/chat/completions", hosted.chat, methods=["POST"]),
    ]
    return Starlette(routes=routes)


@contextmanager
def hosted_api(key: str = KEY) -> Iterator[Hosted]:
    """A running one, on a free port, in a thread of its own."""
    hosted = Hosted(key)
    listener = socket.create_server(("127.0.0.1", 0))
    hosted.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(application(hosted), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield hosted
    finally:
        server.should_exit = True
        thread.join(30)


if __name__ == "__main__":
    port = int(sys.argv[1]) if sys.argv[1:] else 8008
    print(f"the stand-in of the hosted API: http://127.0.0.1:{port}/v1, key {KEY}", flush=True)
    uvicorn.run(application(Hosted()), host="127.0.0.1", port=port, log_level="warning")
